"""Requests as they come over HTTP, and answers as they go: OpenAI's forms, and vLLM's beside them.

Fields that are not named here are ignored, as every server does with some; those that would
change the answer and can not be done are refused.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from lrgd.serving.embedded.generation import Sampling

MAX_TOP = 64
"""Alternatives for one token, at most."""
DEFAULT_MAX_TOKENS = 256

Count = Annotated[int, Field(ge=0)]


class _Request(BaseModel):
    model_config = ConfigDict(extra="ignore")

    model: str


class _Generation(_Request):
    """What all ways to have a text written share."""

    temperature: Annotated[float, Field(ge=0)] = 1.0
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    seed: int | None = None
    stop: str | list[str] | None = None
    stream: bool = False
    n: Literal[1] = 1
    response_format: dict[str, Any] | None = None
    """Refused unless it is plain text: answers are not held to a schema."""
    tools: None = None

    @model_validator(mode="after")
    def _only_text(self) -> "_Generation":
        if self.response_format and self.response_format.get("type") != "text":
            raise ValueError("response_format: only text is supported")
        return self

    def sampling(self, max_tokens: int, top: int | None) -> Sampling:
        """How the engine draws. Without a seed every request has the same one."""
        stop = [self.stop] if isinstance(self.stop, str) else self.stop or []
        return Sampling(max_tokens, self.temperature, self.top_p, self.seed or 0, tuple(stop), top)


class Message(BaseModel):
    role: Annotated[str, Field(pattern=r"^[a-z_]{1,32}$")]
    """Chat templates join it to their control tokens."""
    content: str | list[dict[str, Any]]

    def plain(self) -> dict[str, str]:
        """The message with its parts joined."""
        parts = [{"text": self.content}] if isinstance(self.content, str) else self.content
        return {"role": self.role, "content": "".join(str(p.get("text", "")) for p in parts)}


class ChatRequest(_Generation):
    messages: Annotated[list[Message], Field(min_length=1)]
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    logprobs: bool = False
    top_logprobs: Annotated[int, Field(ge=0, le=MAX_TOP)] = 0
    stream_options: dict[str, Any] | None = None
    chat_template_kwargs: dict[str, Any] = {}


class CompletionRequest(_Generation):
    prompt: str | list[str] | list[int] | list[list[int]]
    max_tokens: Count = 16
    echo: bool = False
    logprobs: Annotated[int, Field(ge=0, le=MAX_TOP)] | None = None
    logprob_start_len: Count = 0
    """With `echo`: the prompt's first token whose log-probability is told (SGLang's name)."""
    add_special_tokens: bool = True

    @property
    def prompts(self) -> Sequence[str | Sequence[int]]:
        """Each prompt as a text or as token ids."""
        if isinstance(self.prompt, str):
            return [self.prompt]
        prompts: list[Any] = list(self.prompt)
        return [prompts] if prompts and isinstance(prompts[0], int) else prompts


class RerankRequest(_Request):
    query: str
    documents: Annotated[list[str | dict[str, Any]], Field(min_length=1)]
    top_n: Annotated[int, Field(ge=1)] | None = None
    return_documents: bool = False
    baseline_query: str = "N/A"
    """A query without content; what it pays to a document is subtracted."""

    @property
    def texts(self) -> list[str]:
        return [d if isinstance(d, str) else str(d.get("text", "")) for d in self.documents]


class TokenizeRequest(_Request):
    prompt: str | None = None
    messages: list[Message] | None = None
    add_special_tokens: bool = True
    add_generation_prompt: bool = True
    chat_template_kwargs: dict[str, Any] = {}

    @model_validator(mode="after")
    def _one(self) -> "TokenizeRequest":
        if (self.prompt is None) == (self.messages is None):
            raise ValueError("wanted prompt or messages, one of them")
        return self


class DetokenizeRequest(_Request):
    tokens: list[Count]


def usage(prompt: int, completion: int = 0) -> dict[str, int]:
    """Tokens, as OpenAI counts them."""
    total = prompt + completion
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": total,
    }
