"""HTTP routes of the embedded server (FastAPI), over the engine."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Sequence
from inspect import signature
from itertools import accumulate
from typing import Any
from uuid import uuid4

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, StreamingResponse
from transformers import PreTrainedTokenizerBase

from lrgd.core.errors import LrgdError
from lrgd.core.validation import first_fault
from lrgd.serving.embedded.engine import Engine
from lrgd.serving.embedded.generation import Step, Writing
from lrgd.serving.embedded.protocol import (
    DEFAULT_MAX_TOKENS,
    ChatRequest,
    CompletionRequest,
    DetokenizeRequest,
    RerankRequest,
    TokenizeRequest,
    usage,
)
from lrgd.serving.embedded.scoring import Scored

MAX_BODY = 32_000_000
"""Bytes of a request: a likelihood for each of 255 candidates, behind a long history each."""

TEMPLATE_ARGUMENTS = set(signature(PreTrainedTokenizerBase.apply_chat_template).parameters)
"""What transformers takes beside a template's variables. A client's own template among it could
compute for hours."""

Answer = dict[str, Any]


class Refused(LrgdError):
    """A request that can not be answered as it stands."""


def make_app(engine: Engine) -> FastAPI:
    """The server's application, without what bounds requests: `lrgd.core.http`."""
    app = FastAPI(title="lrgd", openapi_url=None)
    routes = Routes(engine)
    app.add_exception_handler(LrgdError, _refused)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.get("/health")(routes.health)
    app.get("/v1/models")(routes.models)
    app.post("/tokenize")(routes.tokenize)
    app.post("/detokenize")(routes.detokenize)
    app.post("/v1/chat/completions", response_model=None)(routes.chat)
    app.post("/v1/completions", response_model=None)(routes.complete)
    app.post("/v1/rerank")(routes.rerank)
    return app


class Routes:
    """One method a route."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.name = engine.weights.name
        self.tokenizer = engine.weights.tokenizer
        longest = max(map(len, self.tokenizer.get_vocab()))
        self.most_chars = engine.weights.context * longest
        """No text of more fits: it is refused before the time to tokenize it is spent."""

    async def health(self) -> Answer:
        return {"status": "ok"}

    async def models(self) -> Answer:
        about = {"id": self.name, "object": "model", "created": 0, "owned_by": "lrgd"}
        return {"object": "list", "data": [{**about, "max_model_len": self.engine.weights.context}]}

    async def tokenize(self, asked: TokenizeRequest) -> Answer:
        self._known(asked.model)
        if asked.messages is not None:
            messages = [message.plain() for message in asked.messages]
            tokens = self._rendered(
                messages, asked.chat_template_kwargs, asked.add_generation_prompt
            )
        else:
            tokens = list(self._ids(asked.prompt or "", asked.add_special_tokens))
        context = self.engine.weights.context
        return {"tokens": tokens, "count": len(tokens), "max_model_len": context}

    async def detokenize(self, asked: DetokenizeRequest) -> Answer:
        self._known(asked.model)
        self._in_vocabulary(asked.tokens)
        return {"prompt": self.tokenizer.decode(asked.tokens)}

    async def chat(self, asked: ChatRequest) -> Answer | StreamingResponse:
        self._known(asked.model)
        messages = [message.plain() for message in asked.messages]
        prompt = self._rendered(messages, asked.chat_template_kwargs, True)
        most = asked.max_completion_tokens or asked.max_tokens or DEFAULT_MAX_TOKENS
        sampling = asked.sampling(most, asked.top_logprobs if asked.logprobs else None)
        if asked.stream:
            events = self._events(prompt, sampling)
            return StreamingResponse(events, media_type="text/event-stream")
        writing = await _finished(self.engine.write(prompt, sampling))
        choice: Answer = {
            "index": 0,
            "message": {"role": "assistant", "content": writing.text},
            "finish_reason": writing.finished,
            "logprobs": None,
        }
        if asked.logprobs:
            choice["logprobs"] = {"content": [self._told(step) for step in writing.steps]}
        used = usage(len(prompt), len(writing.steps))
        return {**self._about("chat.completion"), "choices": [choice], "usage": used}

    async def complete(self, asked: CompletionRequest) -> Answer:
        self._known(asked.model)
        if asked.stream:
            raise Refused("/v1/completions does not stream here: leave `stream` out")
        texts = [self._ids(prompt, asked.add_special_tokens) for prompt in asked.prompts]
        if not texts or not all(texts):
            raise Refused("a prompt without a token: wanted one or more")
        scored: list[Scored] | list[None] = [None] * len(texts)
        if asked.echo and asked.logprobs is not None:
            if asked.logprob_start_len >= min(map(len, texts)):
                raise Refused("logprob_start_len lies beyond the end of a prompt")
            future = self.engine.score(texts, asked.logprob_start_len, asked.logprobs)
            scored = await asyncio.wrap_future(future)
        sampling = asked.sampling(asked.max_tokens, asked.logprobs)
        wanted = texts if asked.max_tokens else []
        begun = [_finished(self.engine.write(text, sampling)) for text in wanted]
        written: Sequence[Writing | None] = await asyncio.gather(*begun) or [None] * len(texts)
        choices = [
            self._choice(n, asked, *of_text)
            for n, of_text in enumerate(zip(texts, scored, written, strict=True))
        ]
        used = usage(sum(map(len, texts)), sum(len(w.steps) for w in written if w))
        return {**self._about("text_completion"), "choices": choices, "usage": used}

    async def rerank(self, asked: RerankRequest) -> Answer:
        self._known(asked.model)
        self._check_length(asked.query, asked.baseline_query, *asked.texts)
        future = self.engine.rerank(asked.query, asked.texts, asked.baseline_query)
        found, tokens = await asyncio.wrap_future(future)
        order = sorted(range(len(found)), key=lambda n: -found[n])[: asked.top_n]
        results: list[Answer] = [{"index": n, "relevance_score": found[n]} for n in order]
        if asked.return_documents:
            for result in results:
                result["document"] = {"text": asked.texts[result["index"]]}
        return {**self._about("rerank"), "results": results, "usage": usage(tokens)}

    def _choice(
        self,
        index: int,
        asked: CompletionRequest,
        text: Sequence[int],
        scored: Scored | None,
        written: Writing | None,
    ) -> Answer:
        prompt = self.tokenizer.decode(text) if asked.echo else ""
        choice: Answer = {
            "index": index,
            "text": prompt + (written.text if written else ""),
            "finish_reason": written.finished if written else "length",
            "logprobs": None,
        }
        if asked.logprobs is not None:
            start = scored.start if scored else len(text)
            steps = written.steps if written else []
            tokens = [*text[start:], *(step.token for step in steps)]
            values = [*(scored.logprobs if scored else []), *(step.logprob for step in steps)]
            tops = [*(scored.alternatives if scored else []), *(s.alternatives for s in steps)]
            pieces = [self.tokenizer.decode([token]) for token in tokens]
            began = len(self.tokenizer.decode(text[:start])) if asked.echo else 0
            choice["logprobs"] = {
                "tokens": pieces,
                "token_logprobs": values,
                "top_logprobs": [self._named(top) for top in tops] if asked.logprobs else None,
                "text_offset": list(accumulate(map(len, pieces), initial=began))[:-1],
            }
        return choice

    async def _events(self, prompt: list[int], sampling: Any) -> AsyncIterator[str]:
        """A chat completion as server-sent events; abandoned where the client has gone."""
        loop, told = asyncio.get_running_loop(), asyncio.Queue[tuple[str, str | None]]()

        def tell(writing: Writing) -> None:
            loop.call_soon_threadsafe(told.put_nowait, (writing.text, writing.finished))

        writing = self.engine.write(prompt, sampling, tell)
        writing.done.add_done_callback(
            lambda done: loop.call_soon_threadsafe(told.put_nowait, ("", "failed"))
        )
        about, sent, ended = self._about("chat.completion.chunk"), "", None
        try:
            yield _event(about, {"role": "assistant", "content": ""}, None)
            while ended is None:
                text, ended = await told.get()
                if ended == "failed":
                    writing.done.result()
                yield _event(about, {"content": text[len(sent) :]}, ended)
                sent = text
            used = usage(len(prompt), len(writing.steps))
            yield f"data: {json.dumps({**about, 'choices': [], 'usage': used})}\n\n"
            yield "data: [DONE]\n\n"
        finally:
            writing.done.cancel()

    def _rendered(
        self, messages: list[dict[str, str]], options: dict[str, Any], generation: bool
    ) -> list[int]:
        if self.tokenizer.chat_template is None:
            raise Refused(f"{self.name} has no chat template: ask /v1/completions or /v1/rerank")
        if taken := TEMPLATE_ARGUMENTS & options.keys():
            raise Refused(f"chat_template_kwargs may not hold {', '.join(sorted(taken))}")
        self._check_length(*(message["content"] for message in messages))
        try:
            found: list[int] = self.tokenizer.apply_chat_template(
                messages,
                add_generation_prompt=generation,
                return_dict=False,
                sanitize_control_tokens=True,
                **options,
            )
        except Exception as error:  # a template may raise what it likes
            raise Refused(f"{self.name}'s chat template refuses these messages: {error}") from error
        return found

    def _ids(self, prompt: str | Sequence[int], special: bool) -> Sequence[int]:
        if isinstance(prompt, str):
            self._check_length(prompt)
            found: list[int] = self.tokenizer.encode(prompt, add_special_tokens=special)
            return found
        self._in_vocabulary(prompt)
        return prompt

    def _check_length(self, *texts: str) -> None:
        if (longest := max(map(len, texts))) > self.most_chars:
            raise Refused(f"a text of {longest} characters: the model reads {self.most_chars}")

    def _in_vocabulary(self, tokens: Sequence[int]) -> None:
        size = self.engine.weights.model.config.get_text_config().vocab_size
        if not all(0 <= token < size for token in tokens):
            raise Refused(f"a token id outside the vocabulary of {size}")

    def _told(self, step: Step) -> Answer:
        """A token with its alternatives, as chat completions tell it."""
        tops = [self._token(*pair) for pair in step.alternatives]
        return {**self._token(step.token, step.logprob), "top_logprobs": tops}

    def _token(self, token: int, logprob: float) -> Answer:
        text = self.tokenizer.decode([token])
        return {"token": text, "logprob": logprob, "bytes": list(text.encode())}

    def _named(self, top: Sequence[tuple[int, float]]) -> dict[str, float]:
        return {self.tokenizer.decode([token]): logprob for token, logprob in top}

    def _about(self, kind: str) -> Answer:
        ident = f"{kind}-{uuid4().hex}"
        return {"id": ident, "object": kind, "created": int(time.time()), "model": self.name}

    def _known(self, model: str) -> None:
        if model != self.name:
            raise Refused(f"no model {model!r} here: this server has {self.name!r}")


async def _finished(writing: Writing) -> Writing:
    return await asyncio.wrap_future(writing.done)


def _event(about: Answer, delta: Answer, ended: str | None) -> str:
    choice = {"index": 0, "delta": delta, "finish_reason": ended}
    return f"data: {json.dumps({**about, 'choices': [choice]})}\n\n"


async def _refused(request: Request, error: Exception) -> JSONResponse:
    return _error(400, str(error))


async def _malformed(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    # The first part of a place is "body", which whoever wrote it knows.
    return _error(400, first_fault(error, "body", skipped=1))


def _error(status: int, message: str) -> JSONResponse:
    about = {"message": message, "type": "invalid_request_error", "code": status}
    return JSONResponse({"error": about}, status_code=status)
