import pytest
from openai import APIConnectionError

from agents.generator import Generator, judge
from agents.prompts import REGULARISATION
from agents.values import Item
from memory.errors import EndpointUnavailable
from tests.scripted import ScriptedChat, task


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("wants a Blue  boat!", "names_target"),
        ("wants a blue-boat", "names_target"),
        ("wants blue boats", "usable"),
        ("a skyblue boat", "usable"),
        ("", "empty"),
        ("...", "empty"),
    ],
)
def test_a_text_that_names_the_target_or_says_nothing_is_refused(text: str, verdict: str) -> None:
    assert judge(text, [Item("y", "Old Lamp"), Item("x", "Blue Boat")]) == verdict


def test_without_a_known_target_nothing_can_leak() -> None:
    assert judge("Blue Boat", []) == "usable"


async def test_it_writes_and_counts_one_call() -> None:
    chat = ScriptedChat(replies=["  likes \n boats "])
    draft = await Generator(chat).write(task(), seed=1)
    assert (draft.text, draft.verdict, draft.usage.calls) == ("likes boats", "usable", 1)
    assert REGULARISATION in chat.asked[0]


async def test_an_answer_without_end_is_cut() -> None:
    draft = await Generator(ScriptedChat(replies=["ab " * 9_999]), max_chars=50).write(
        task(), seed=1
    )
    assert len(draft.text) == 50


async def test_a_failing_model_is_reported_as_our_error() -> None:
    chat = ScriptedChat(replies=[APIConnectionError(request=None)])  # type: ignore[arg-type]
    with pytest.raises(EndpointUnavailable, match="no answer from"):
        await Generator(chat).write(task(), seed=1)
