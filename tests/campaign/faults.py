"""Kinds of fault: what a server does instead of answering, or in a strange way, and what follows.

Each takes the right answer and spoils it. The fates are those of `lrgd.agents.endpoint.replies`:

    again    the client asks again; where it is the same each time, the command stops
    stops    the command stops at once
    failed   the call failed: no ranking or note comes of it, whoever resumes asks again
    read     it is an answer all the same
"""

import json
import time
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from math import inf, nan
from typing import Any, Literal

from tests.loopback import Answer

Fate = Literal["again", "stops", "failed", "read"]
Asked = Literal["any", "text", "letters", "rerank", "typed", "echo"]
"""What a request wants; "text" is a chat completion without log-probabilities."""
Spoil = Callable[[Any], Answer]
"""The right answer's body -> the faulty answer."""

HTML = b"<html><body>502 Bad Gateway</body></html>"
BROKEN = {"Connection": "close"}
SLOW_S = 0.2


@dataclass(frozen=True)
class Fault:
    """A kind of fault."""

    name: str
    fate: Fate
    asked: Asked
    """Which requests it can meet."""
    spoil: Spoil


def asked_of(path: str, body: dict[str, Any]) -> Asked:
    """What a request wants."""
    if path.endswith("/chat/completions"):
        return "letters" if body.get("logprobs") else "text"
    endings: dict[str, Asked] = {"/rerank": "rerank", "/systemone": "typed", "/completions": "echo"}
    return next((asked for end, asked in endings.items() if path.endswith(end)), "any")


def _status(code: int, body: Any = None, **headers: str) -> Spoil:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    told = {"error": {"message": f"status {code}"}} if body is None else body
    return lambda right: (code, told, named)


def _bytes(change: Callable[[bytes], bytes], **headers: str) -> Spoil:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda right: (200, change(json.dumps(right).encode()), named)


def _changed(change: Callable[[Any], object]) -> Spoil:
    """A fault by a change of the right answer in its place."""

    def spoil(right: Any) -> Answer:
        wrong = deepcopy(right)
        change(wrong)
        return 200, wrong, {}

    return spoil


def _message(finish: str = "stop", **message: Any) -> Spoil:
    """A chat completion whose message is another."""

    def change(body: Any) -> None:
        body["choices"][0].update(message={"role": "assistant", **message}, finish_reason=finish)

    return _changed(change)


def _said(form: Callable[[str], Any], **beside: Any) -> Spoil:
    """A chat completion that says the same in another form."""

    def change(body: Any) -> None:
        message = body["choices"][0]["message"]
        message.update(content=form(message["content"]), **beside)

    return _changed(change)


def _slow(right: Any) -> Answer:
    time.sleep(SLOW_S)
    return 200, right, {}


def _http() -> Iterator[Fault]:
    for code in (400, 401, 403, 404, 413, 422):
        yield Fault(f"status {code}", "stops", "any", _status(code))
    for code in (408, 409, 429, 500, 503, 504, 529):
        yield Fault(f"status {code}", "again", "any", _status(code))
    html = {"Content_Type": "text/html"}
    date = "Wed, 21 Oct 2015 07:28:00 GMT"
    again: dict[str, Spoil] = {
        "429, Retry-After in seconds": _status(429, Retry_After="0.02"),
        "503, Retry-After as a date that is past": _status(503, Retry_After=date),
        "502 as HTML": _status(502, HTML, **html),
        "200 as HTML": _status(200, HTML, **html),
        "closed before the reply": lambda right: (0, None, {}),
        "closed in mid-body": _bytes(lambda b: b[:20], Content_Length="100000", **BROKEN),
        "JSON cut off": _bytes(lambda b: b[: len(b) // 2]),
        "no body": _bytes(lambda b: b""),
        "null": _bytes(lambda b: b"null"),
        "no UTF-8": _bytes(lambda b: b[:-1] + b"\xff" + b[-1:]),
        "garbage that calls itself gzip": _bytes(lambda b: b"\x1f\x8b!", Content_Encoding="gzip"),
        "an error with status 200": _status(200, {"error": {"message": "overloaded"}}),
        "an error with status 200 and code 429": _status(200, {"error": {"code": 429}}),
        "redirected to nowhere": _status(302, b"", Location="http://127.0.0.1:9/v1"),
    }  # fmt: skip
    yield from (Fault(name, "again", "any", spoil) for name, spoil in again.items())
    yield Fault("slow first byte", "read", "any", _slow)
    plain = _bytes(lambda b: b, Content_Type="text/plain")
    yield Fault("content type text/plain", "read", "any", plain)


def _chat() -> Iterator[Fault]:
    again: dict[str, Spoil] = {
        "no choices": _changed(lambda b: b.update(choices=[])),
        "choices null": _changed(lambda b: b.update(choices=None)),
        "no message": _changed(lambda b: b["choices"][0].pop("message")),
        "finish_reason error": _changed(lambda b: b["choices"][0].update(finish_reason="error")),
        "content is a number": _message(content=7),
        "content null": _message(content=None),
        "content of blanks": _message(content=" \n"),
    }
    failed: dict[str, Spoil] = {
        "refusal": _message(content=None, refusal="I cannot."),
        "content filter": _message("content_filter", content=None),
        "cut off before it began": _message("length", content=None),
        "thoughts only": _message(content=None, reasoning_content="hm"),
        "content always null": _message(content=None),
        "content always of blanks": _message(content=" \n"),
        "<think> never ended": _message("length", content="<think>so"),
        "<think> and nothing after": _message(content="<think>so</think>"),
    }
    read: dict[str, Spoil] = {
        "<think> before the answer": _said(lambda t: f"<think>\nso\n</think>\n\n{t}"),
        "</think> alone": _said(lambda t: f"so\n</think>\n{t}"),
        "harmony channels": _said(
            lambda t: f"<|channel|>analysis<|message|>so<|end|><|channel|>final<|message|>{t}"
        ),
        "content as parts": _said(lambda t: [{"type": "text", "text": t}]),
        "thoughts beside": _said(lambda t: t, reasoning_content="so"),
    }
    fates: dict[Fate, dict[str, Spoil]] = {"again": again, "failed": failed, "read": read}
    for fate, kinds in fates.items():
        yield from (Fault(name, fate, "text", spoil) for name, spoil in kinds.items())


def _usage() -> Iterator[Fault]:
    yield Fault("usage missing", "read", "any", _changed(lambda b: b.pop("usage", None)))
    negative = {"prompt_tokens": -5, "completion_tokens": None}
    yield Fault("usage negative", "read", "any", _changed(lambda b: b.update(usage=negative)))


USAGE = {fault.name for fault in _usage()}
"""Kinds that change what is counted, and nothing else."""


def _first(body: Any, value: Any) -> None:
    body["choices"][0]["logprobs"]["content"][0]["top_logprobs"][0]["logprob"] = value


def _numbers() -> Iterator[Fault]:
    for name, value in (("NaN", nan), ("infinite", inf)):
        yield Fault(f"log-probability {name}", "again", "letters", _letter(value))
        yield Fault(f"score {name}", "again", "rerank", _result(relevance_score=value))
    for name, value in (("positive", 3.0), ("null", None), ("a word", "high")):
        yield Fault(f"log-probability {name}", "stops", "letters", _letter(value))
    without = _changed(lambda b: b["choices"][0].update(logprobs=None))
    yield Fault("no log-probabilities", "stops", "letters", without)
    rerank: dict[str, Spoil] = {
        "a result too few": _changed(lambda b: b["results"].pop()),
        "a result too many": _changed(lambda b: b["results"].append(b["results"][0])),
        "an index twice": _changed(lambda b: b["results"][0].update(b["results"][1])),
        "an index beyond": _result(index=99),
        "a score that is a word": _result(relevance_score="high"),
        "no results": _changed(lambda b: b.pop("results")),
    }  # fmt: skip
    yield from (Fault(name, "stops", "rerank", spoil) for name, spoil in rerank.items())
    yield Fault("a probability below 0", "stops", "typed", _changed(_negative))
    yield Fault("an option too few", "stops", "typed", _changed(_option_less))
    yield Fault("no answers", "stops", "typed", _changed(lambda b: b.pop("answers")))
    yield Fault("a prompt too few", "stops", "echo", _changed(lambda b: b["choices"].pop()))
    shorter = _changed(lambda b: b["choices"][0]["logprobs"]["token_logprobs"].pop())
    yield Fault("a token too few", "stops", "echo", shorter)


def _letter(value: Any) -> Spoil:
    return _changed(lambda body: _first(body, value))


def _result(**changes: Any) -> Spoil:
    return _changed(lambda body: body["results"][0].update(changes))


def _shares(body: Any) -> dict[str, float]:
    shares: dict[str, float] = next(iter(body["answers"].values()))["probabilities"]
    return shares


def _negative(body: Any) -> None:
    shares = _shares(body)
    shares[next(iter(shares))] = -0.2


def _option_less(body: Any) -> None:
    shares = _shares(body)
    shares.pop(next(iter(shares)))


FAULTS = (*_http(), *_chat(), *_usage(), *_numbers())
"""All kinds."""
