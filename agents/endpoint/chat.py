"""Chat completions of an OpenAI-compatible server, as a LangChain chat model.

Messages go out and answers come in as plain JSON. By langchain-openai, which is made for all of
OpenAI's products, a call costs the client half as much again (docs/performance.md).

A message holds the answer only, never the model's reasoning. Its `response_metadata` says how it
ended (`finish_reason`: what the server says, or "refusal") and how much reasoning there was
(`reasoning_chars`).
"""

from collections.abc import AsyncIterator
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, UsageMetadata
from langchain_core.messages.utils import convert_to_openai_messages
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from openai import AsyncOpenAI, AsyncStream

from lrgd.agents.endpoint.reasoning import CHAT_OPTIONS, AnswerStream, Thinking, said, separated

PATH = "/chat/completions"


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
    """How the model thinks, as `lrgd.agents.endpoint.client.thinking` finds out."""

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
        body = self._body(messages, stop, options)
        answer = await self.client.post(PATH, body=body, cast_to=dict[str, Any])
        choice = answer["choices"][0]
        text, beside = said(choice["message"])
        reason = _finish_reason(choice, choice["message"])
        opened = self.thinking == "always on" and reason == "length" and not beside
        found = separated(text, opened=opened)
        message = AIMessage(
            content=found.text,
            response_metadata=_ending(reason, found.reasoning_chars + len(beside)),
            usage_metadata=_usage(answer.get("usage")),
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
            PATH,
            body=self._body(messages, stop, options) | {"stream": True},
            cast_to=dict[str, Any],
            stream=True,
            stream_cls=AsyncStream[dict[str, Any]],
        )
        answer, reason = AnswerStream(self.thinking), None
        async with events:
            async for event in events:
                # The last one may be without a choice: it says what was used.
                choice = event["choices"][0] if event["choices"] else {"delta": {}}
                reason = _finish_reason(choice, choice["delta"]) or reason
                shown = answer.feed(*said(choice["delta"]))
                yield _chunk(content=shown, usage_metadata=_usage(event.get("usage")))
        rest, whole = answer.close(cut_off=reason == "length")
        yield _chunk(content=rest, response_metadata=_ending(reason, whole.reasoning_chars))

    def _body(
        self, messages: list[BaseMessage], stop: list[str] | None, options: dict[str, Any]
    ) -> dict[str, Any]:
        return {
            "model": self.model,
            "messages": convert_to_openai_messages(messages),
            "temperature": self.temperature,
            "max_completion_tokens": self.max_tokens,
            **({"stop": stop} if stop else {}),
            **CHAT_OPTIONS[self.thinking],
            **options,
        }


def _chunk(**fields: Any) -> ChatGenerationChunk:
    return ChatGenerationChunk(message=AIMessageChunk(**fields))


def _finish_reason(choice: dict[str, Any], message: dict[str, Any]) -> str | None:
    """How the answer ended; servers call a refusal a stop."""
    return "refusal" if message.get("refusal") else choice.get("finish_reason")


def _ending(reason: str | None, reasoning_chars: int) -> dict[str, Any]:
    return {**({"finish_reason": reason} if reason else {}), "reasoning_chars": reasoning_chars}


def _usage(counted: dict[str, Any] | None) -> UsageMetadata | None:
    if not counted:
        return None
    asked, written = (counted.get(f"{part}_tokens") or 0 for part in ("prompt", "completion"))
    return UsageMetadata(input_tokens=asked, output_tokens=written, total_tokens=asked + written)
