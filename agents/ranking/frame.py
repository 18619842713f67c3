"""The chat frame: what a model's chat template puts around a question and its answer.

Found by asking the server: its template renders marker texts (`/tokenize` takes messages), which
`/detokenize` turns back into text. Both are vLLM's, and free: no model runs.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx2

from lrgd.agents.endpoint.address import V1
from lrgd.agents.endpoint.client import Endpoint
from lrgd.core.errors import EndpointError

QUESTION, ANSWER = "kaleidoscope", "metronome"
"""Markers: words that no template holds, and that any tokenizer gives back as they are."""
MARKED = (
    {"role": "user", "content": QUESTION},
    {"role": "assistant", "content": ANSWER},
)
"""A chat of the two."""
_END_OF_TURN = re.compile(r"\s*(?:<[^<>\s]+>|\S+)")


@dataclass(frozen=True, slots=True)
class ChatFrame:
    """What stands around a question and an answer that is given in advance."""

    before: str
    """Before the question: beginning of text, system prompt, the user's header."""
    between: str
    """After the question, up to where the model begins to write."""
    after: str
    """What ends an answer: the end of turn."""
    lead: str = ""
    """Blanks before the answer that belong to its first token."""

    def prompt(self, question: str) -> str:
        """All that the model reads before it answers."""
        return f"{self.before}{question}{self.between}"

    def answer(self, text: str) -> str:
        """All that it writes where it answers with this text."""
        return f"{self.lead}{text}{self.after}"


@dataclass(frozen=True, slots=True)
class Tokenizer:
    """A server's tokenizer. Its methods raise EndpointError where the server has none."""

    endpoint: Endpoint

    async def tokens(self, text: str, *, special: bool = False) -> list[int]:
        """A text's token ids; `special`: with what stands around every text, as its beginning."""
        return await self._tokenized({"prompt": text, "add_special_tokens": special})

    async def rendered(self, messages: Sequence[Mapping[str, str]]) -> list[int]:
        """The token ids of a whole chat. Raises EndpointError, too, where there is no template."""
        body = {
            "messages": list(messages),
            "add_generation_prompt": False,
            **self.endpoint.chat_options,
        }
        return await self._tokenized({**body, **self.endpoint.chat_options})

    async def text(self, tokens: Sequence[int]) -> str:
        """The text of token ids, control tokens included."""
        return str(await self._ask("detokenize", {"tokens": list(tokens)}, "prompt"))

    async def _tokenized(self, body: dict[str, Any]) -> list[int]:
        return [int(token) for token in await self._ask("tokenize", body, "tokens")]

    async def _ask(self, route: str, body: dict[str, Any], wanted: str) -> Any:
        settings = self.endpoint.settings
        # Beside /v1, not under it.
        url = httpx2.URL(f"{settings.url.removesuffix(V1)}/{route}")
        body = {"model": settings.model, **body}
        return await self.endpoint.ask(str(url), body, lambda answer: answer[wanted])


async def chat_frame(tokenizer: Tokenizer) -> ChatFrame:
    """The frame of a server's chat template; of a model that has none, a plain one.

    Raises:
        EndpointError: the server has no /tokenize or no /detokenize.
    """
    beginning = await _beginning(tokenizer)
    try:
        tokens = await tokenizer.rendered(MARKED)
    except EndpointError:
        tokens = []  # a base model
    return frame_in(await tokenizer.text(tokens) if tokens else "", beginning)


def frame_in(rendered: str, beginning: str) -> ChatFrame:
    """The frame that a chat template puts around the two markers.

    Args:
        rendered: the text that the template makes of `MARKED`; empty where there is no template.
        beginning: the token that every text begins with, as text; empty where there is none.

    Returns:
        A plain frame where the template does not show both markers as they are.
    """
    before, _, rest = rendered.partition(QUESTION)
    between, answer, after = rest.partition(ANSWER)
    if not answer:
        return ChatFrame(beginning, "\nAnswer:", "\n", lead=" ")
    end, header = _END_OF_TURN.match(after), between.rstrip(" ")
    return ChatFrame(before, header, end[0] if end else "\n", lead=between[len(header) :])


async def _beginning(tokenizer: Tokenizer) -> str:
    """The token that every text begins with, as text; empty where there is none."""
    bare, whole = await tokenizer.tokens("a"), await tokenizer.tokens("a", special=True)
    extra = len(whole) - len(bare)
    return await tokenizer.text(whole[:extra]) if extra > 0 and whole[extra:] == bare else ""
