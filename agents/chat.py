"""Chat completions of an OpenAI-compatible server, as a LangChain chat model.

Messages go out and answers come in as plain JSON. By langchain-openai, which is made for all of
OpenAI's products, a call costs the client half as much again (docs/performance.md).
"""

from collections.abc import AsyncIterator
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, UsageMetadata
from langchain_core.messages.utils import convert_to_openai_messages
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from openai import AsyncOpenAI, AsyncStream

PATH = "/chat/completions"


class EndpointChatModel(BaseChatModel):
    """One model of one server. Asked asynchronously only: `ainvoke` and `astream`.

    Further arguments of a call (`seed`, `response_format`) go into the request as they are.
    """

    client: AsyncOpenAI
    model: str
    temperature: float
    max_tokens: int
    """Bounds one answer."""

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
        message = AIMessage(**_fields(choice["message"], choice, answer))
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
        async with events:
            async for event in events:
                # The last one may be without a choice: it says what was used.
                choice = event["choices"][0] if event["choices"] else {"delta": {}}
                message = AIMessageChunk(**_fields(choice["delta"], choice, event))
                yield ChatGenerationChunk(message=message)

    def _body(
        self, messages: list[BaseMessage], stop: list[str] | None, options: dict[str, Any]
    ) -> dict[str, Any]:
        return {
            "model": self.model,
            "messages": convert_to_openai_messages(messages),
            "temperature": self.temperature,
            "max_completion_tokens": self.max_tokens,
            **({"stop": stop} if stop else {}),
            **options,
        }


def _fields(said: dict[str, Any], choice: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    """The fields of LangChain's message."""
    reason = choice.get("finish_reason")
    return {
        "content": said.get("content") or "",
        "response_metadata": {"finish_reason": reason} if reason else {},
        "usage_metadata": _usage(answer.get("usage")),
    }


def _usage(counted: dict[str, Any] | None) -> UsageMetadata | None:
    if not counted:
        return None
    asked, written = (counted.get(f"{part}_tokens") or 0 for part in ("prompt", "completion"))
    return UsageMetadata(input_tokens=asked, output_tokens=written, total_tokens=asked + written)
