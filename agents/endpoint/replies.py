"""Replies: sorts what a server sent into answers and the kinds of none.

Status 200 says that a server replied, not that it answered. Every reply is sorted here, before it
is kept, noted or ranked by. What becomes of each kind:

    answer     used, and the only kind that is kept. One that the token limit ended is one, too
    error      asked again by the client; what fails again stops the command
    empty      asked again once; then the call failed
    refused    by the model or a content filter: the call failed
    reasoning  thoughts without an answer: the call failed
    cut_off    the token limit came before the answer began: the call failed

A failed call gives no ranking and no demonstration. It is counted, and asked again by whoever
resumes the run.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import httpx2
from langchain_core.messages import AIMessage
from openai import APIStatusError, AsyncOpenAI

from lrgd.agents.endpoint.reasoning import Answer, said, separated
from lrgd.agents.values import Usage
from lrgd.core.text import whole_characters

Kind = Literal["answer", "error", "empty", "refused", "reasoning", "cut_off"]

CHAT = "/chat/completions"
SORTED = "x-lrgd-reply"
"""Header of a reply that is handed to the client as a failure: its kind."""
REASON = "x-lrgd-reason"
"""Header beside it: what the server says of it, in ASCII."""
REFUSALS = {"refusal", "content_filter", "safety", "recitation", "blocklist", "prohibited_content"}
LIMITS = {"length", "max_tokens"}
"""How servers call an answer's end that is its token limit's."""
LONGEST_TOKEN = 20
"""Characters; longer ones are rare."""
_ATTEMPT = "x-stainless-retry-count"
"""Header in which the OpenAI client counts its attempts at a request."""
_SHOULD_RETRY = "x-should-retry"
"""Header by which a server tells the OpenAI client whether to ask again."""
_LATER = (408, 409, 429)
UNREADABLE = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError)
"""What reading JSON raises that is nested too deep, of another shape, or holds a number that is too
large."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply, sorted."""

    kind: Kind
    text: str = ""
    """The answer, without reasoning."""
    reason: str = ""
    """What an error says."""
    finish: str | None = None
    """How it ended, in the server's words; "refusal" where it holds one."""
    reasoning_chars: int = 0
    status: int = 502
    """HTTP status that fits an error."""

    @property
    def truncated(self) -> bool:
        """Whether the token limit ended it."""
        return self.finish in LIMITS


def body_reply(path: str, content: bytes) -> Reply:
    """Sorts the body of a reply of status 200, whatever was asked."""
    try:
        body = json.loads(content, parse_constant=_number)
    except (ValueError, RecursionError) as error:
        return Reply("error", reason=f"what came is unusable: {error}")
    if not isinstance(body, dict):
        return Reply("error", reason=f"it is no answer: wanted an object, got {str(body)[:80]}")
    if told := _error_in(body):
        return told
    if not path.endswith(CHAT):
        return Reply("answer")
    try:
        return chat_reply(body)
    except UNREADABLE as error:
        return Reply("error", reason=f"it is no answer of the protocol: {error!r}")


def chat_reply(body: Mapping[str, Any], *, opened: bool = False) -> Reply:
    """Sorts a chat completion.

    Args:
        opened: the model is known to begin in mid-thought: a text that the limit ended before its
            thoughts did holds no answer.

    Raises:
        ValueError, TypeError, LookupError, AttributeError: it has another shape.
    """
    choice = body["choices"][0]
    if error := _error_in(choice):
        return error
    message, finish = choice["message"], _finish(choice, choice["message"])
    text, beside = said(message)
    found = separated(text, opened=opened and finish in LIMITS and not beside)
    reply = _sorted(found.text, found.reasoning_chars + len(beside), finish)
    # Where log-probabilities were asked for, they are the answer, whatever the token is.
    probabilities = (choice.get("logprobs") or {}).get("content")
    if probabilities and reply.kind in ("empty", "reasoning", "cut_off"):
        return Reply("answer", finish=finish)
    return reply


def message_reply(message: AIMessage) -> Reply:
    """Sorts what a LangChain chat model answered, ours or any other."""
    found, about = separated(str(message.text)), message.response_metadata
    beside = message.additional_kwargs.get("reasoning_content") or ""
    thoughts = found.reasoning_chars + int(about.get("reasoning_chars") or len(str(beside)))
    finish = about.get("finish_reason") or about.get("stop_reason") or about.get("done_reason")
    refused = message.additional_kwargs.get("refusal")
    return _sorted(found.text, thoughts, "refusal" if refused else finish)


def stream_reply(answer: Answer, finish: str | None) -> Reply:
    """Sorts a stream of events that is over."""
    return _sorted(answer.text, answer.reasoning_chars, finish)


def stream_event(event: Any) -> tuple[Mapping[str, Any], str | None]:
    """An event's delta, and how the answer ended where it says so.

    Events without a choice, and choices without a delta, say nothing of the answer.

    Raises:
        ValueError: the event is an error, or no object.
    """
    if not isinstance(event, dict):
        raise ValueError(f"wanted an object as an event, got {str(event)[:80]}")
    choices = event.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else {}
    if error := _error_in(event) or _error_in(choice):
        raise ValueError(f"in mid-stream {error.reason}")
    delta = choice.get("delta") or {}
    return delta, _finish(choice, delta)


async def asked(client: AsyncOpenAI, path: str, body: Mapping[str, Any]) -> httpx2.Response:
    """Asks for a reply. Retries are the client's, see `as_failure`.

    Raises:
        OpenAIError: no reply, a refusal by status, or an error in place of an answer.
    """
    try:
        return await client.post(path, body=body, cast_to=httpx2.Response)
    except APIStatusError as error:
        if error.response.headers.get(SORTED) != "empty":
            raise
        return error.response  # empty this time, too: for whoever asked to judge


def as_failure(response: httpx2.Response, reply: Reply) -> httpx2.Response:
    """What the client is handed for a reply: errors and empty ones as a failure that it repeats.

    Bounded as all its attempts are, and an empty reply is asked for twice at most.

    Args:
        response: of status 200, its body read.
    """
    first = response.request.headers.get(_ATTEMPT, "0") == "0"
    if reply.kind == "error":
        again = reply.status >= 500 or reply.status in _LATER
    elif reply.kind == "empty" and first:
        again = True
    else:
        return response
    return httpx2.Response(
        reply.status,
        headers={
            SORTED: reply.kind,
            REASON: reply.reason.encode("ascii", "replace").decode(),
            _SHOULD_RETRY: str(again).lower(),
        },
        content=response.content,
        request=response.request,
    )


def usage_in(body: Mapping[str, Any]) -> Usage:
    """One call, and the tokens that a reply counts: in the words of chat completions, of typed
    questions or of rerankers. What it does not count is 0, and the call counted as unknown."""
    used = body.get("usage")
    used = used if isinstance(used, Mapping) else {}
    asked_ = _count(used, "prompt_tokens", "input_tokens", "total_tokens")
    written = _count(used, "completion_tokens", "output_tokens")
    return Usage(1, asked_ or 0, written or 0, unknown=int(asked_ is None))


def least_tokens(used: Usage, text: str) -> int:
    """Tokens that an answer has at least: as counted, or by its length where nobody counted."""
    return used.completion_tokens or len(text) // LONGEST_TOKEN


def _count(used: Mapping[str, Any], *names: str) -> int | None:
    known = (used.get(name) for name in names)
    counts = (n for n in known if isinstance(n, int | float) and not isinstance(n, bool))
    return next((int(n) for n in counts if 0 <= n < 1e15), None)


def _sorted(text: str, reasoning_chars: int, finish: str | None) -> Reply:
    finish = None if finish is None else str(finish).lower()
    kind: Kind = "answer"
    if finish in REFUSALS:
        kind = "refused"
    elif not text.strip():
        kind = "cut_off" if finish in LIMITS else "reasoning" if reasoning_chars else "empty"
    return Reply(kind, whole_characters(text), finish=finish, reasoning_chars=reasoning_chars)


def _finish(choice: Mapping[str, Any], message: Mapping[str, Any]) -> str | None:
    """How the answer ended; servers call a refusal a stop."""
    return "refusal" if message.get("refusal") else choice.get("finish_reason")


def _error_in(body: Mapping[str, Any]) -> Reply | None:
    """The error that stands in the place of an answer, or beside its beginning."""
    error = body.get("error")
    if not error and body.get("finish_reason") != "error":
        return None
    about = error if isinstance(error, dict) else {"message": error or "finish_reason: error"}
    reason = "it tells an error: " + " ".join(str(about.get("message") or about)[:300].split())
    code: object = about.get("code")
    status = code if isinstance(code, int) and 400 <= code < 600 else 502
    return Reply("error", reason=reason, status=status)


def _number(name: str) -> float:
    """-Infinity is the logarithm of a probability of 0; other names are no numbers to rank by."""
    if name == "-Infinity":
        return float(name)
    raise ValueError(f"it holds {name} where a number belongs")
