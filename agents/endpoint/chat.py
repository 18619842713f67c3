"""Chat completions of an OpenAI-compatible server, as a LangChain chat model.

Messages go out and answers come in as plain JSON. By langchain-openai, which is made for all of
OpenAI's products, a call costs the client half as much again (docs/performance.md).

A message holds the answer only, never the model's reasoning. Its `response_metadata` says how it
ended (`finish_reason`: what the server says, or "refusal") and how much reasoning there was
(`reasoning_chars`): `lrgd.agents.endpoint.replies.message_reply` tells whether it is an answer.
"""

from collections.abc import AsyncIterator
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, UsageMetadata
from langchain_core.messages.utils import convert_to_openai_messages
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from openai import AsyncOpenAI, AsyncStream

from lrgd.agents.endpoint.dialect import LIMIT, STANDARD, Dialect
from lrgd.agents.endpoint.notices import OVER_LIMIT, Notices
from lrgd.agents.endpoint.reasoning import CHAT_OPTIONS, AnswerStream, Thinking, said
from lrgd.agents.endpoint.replies import (
    CHAT,
    Reply,
    asked,
    chat_reply,
    least_tokens,
    stream_event,
    stream_reply,
    usage_in,
)
from lrgd.agents.values import Usage


class EndpointChatModel(BaseChatModel):
    """One model of one server. Asked asynchronously only: `ainvoke` and `astream`.

    Further arguments of a call (`seed`, `response_format`) go into the request as they are.
    """

    client: AsyncOpenAI
    model: str
    temperature: float
    max_tokens: int
    """Bounds one answer, reasoning included."""
    thinking: Thinking = "none"
    """How the model thinks, as `lrgd.agents.endpoint.inquiry.thinking` finds out."""
    dialect: Dialect = STANDARD
    """How the server wants to be asked."""
    notices: Notices | None = None
    """Told where the server ignores the token limit."""

    @property
    def _llm_type(self) -> str:
        return "openai-compatible"

    def _generate(self, *args: Any, **options: Any) -> ChatResult:
        raise NotImplementedError("this chat model is asked by ainvoke or astream only")

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: Any = None,
        **options: Any,
    ) -> ChatResult:
        response = await asked(self.client, CHAT, self._body(messages, stop, options))
        answer = response.json()
        reply = chat_reply(answer, opened=self.thinking == "always on")
        if reply.kind == "error":
            raise ValueError(reply.reason)
        used = usage_in(answer)
        self._notice(used, reply)
        message = AIMessage(
            content=reply.text, response_metadata=_ending(reply), usage_metadata=_usage(used)
        )
        return ChatResult(generations=[ChatGeneration(message=message)])

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: Any = None,
        **options: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        events = await self.client.post(
            CHAT,
            body=self._body(messages, stop, options) | {"stream": True},
            cast_to=dict[str, Any],
            stream=True,
            stream_cls=AsyncStream[dict[str, Any]],
        )
        answer, finish = AnswerStream(self.thinking), None
        async with events:
            async for event in events:
                delta, ending = stream_event(event)
                finish = ending or finish
                used = _usage(usage_in(event)) if event.get("usage") else None
                yield _chunk(content=answer.feed(*said(delta)), usage_metadata=used)
        rest, whole = answer.close(cut_off=finish == "length")
        yield _chunk(content=rest, response_metadata=_ending(stream_reply(whole, finish)))

    def _body(
        self, messages: list[BaseMessage], stop: list[str] | None, options: dict[str, Any]
    ) -> dict[str, Any]:
        body = {
            "model": self.model,
            "messages": convert_to_openai_messages(messages),
            "temperature": self.temperature,
            LIMIT: self.max_tokens,
            **({"stop": stop} if stop else {}),
            **CHAT_OPTIONS[self.thinking],
            **options,
        }
        return self.dialect.spoken(body)

    def _notice(self, used: Usage, reply: Reply) -> None:
        written = least_tokens(used, reply.text)
        if self.notices and written > self.max_tokens + 1:  # some count the end, too
            self.notices.tell(
                OVER_LIMIT,
                f"{self.model} wrote {written} tokens or more where {self.max_tokens} were "
                "allowed: its server ignores the token limit",
            )


def _chunk(**fields: Any) -> ChatGenerationChunk:
    return ChatGenerationChunk(message=AIMessageChunk(**fields))


def _ending(reply: Reply) -> dict[str, Any]:
    finish = {"finish_reason": reply.finish} if reply.finish else {}
    return {**finish, "reasoning_chars": reply.reasoning_chars}


def _usage(used: Usage) -> UsageMetadata | None:
    """As LangChain has it; None where the server counted nothing."""
    if used.unknown:
        return None
    return UsageMetadata(
        input_tokens=used.prompt_tokens,
        output_tokens=used.completion_tokens,
        total_tokens=used.tokens,
    )
