"""What thinking models send, in the forms that servers give it."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrgd.agents.endpoint.reasoning import AnswerStream, said, separated

SECRET = "red kite"

# What is written, what of it is the answer, and whether there was reasoning.
CASES = {
    "no reasoning": ("Likes boats.", "Likes boats.", False),
    "comparison signs": ("< 30, <3 [THE best]", "< 30, <3 [THE best]", False),
    "Qwen3": (f"<think>\n{SECRET}?\n</think>\n\nLikes boats.", "Likes boats.", True),
    "Qwen3, told not to": ("<think>\n\n</think>\n\nLikes boats.", "Likes boats.", False),
    "R1, opened by its template": (f"Hm, {SECRET}\n</think>\n\nLikes boats.", "Likes boats.", True),
    "cut off in mid-thought": (f"<think>\nMaybe {SECRET}", "", True),
    "thought again": (f"<think>a</think>b{SECRET}</think>Likes boats.", "Likes boats.", True),
    "a preamble": (f"{SECRET}: <think>hm</think>Likes boats.", "Likes boats.", True),
    "an afterthought": (f"Likes boats.<think>or {SECRET}", "Likes boats.", True),
    "tags in thoughts": (f"I could <think> {SECRET}</think>Likes boats.", "Likes boats.", True),
    "capitals": (f"<Think>{SECRET}</Think >Likes boats.", "Likes boats.", True),
    "another name": (f"<reasoning>{SECRET}</reasoning>Likes boats.", "Likes boats.", True),
    "Magistral": (f"[THINK]{SECRET}[/THINK]Likes boats.", "Likes boats.", True),
    "Seed-OSS": (f"<seed:think>{SECRET}</seed:think>Likes boats.", "Likes boats.", True),
    "Gemma 4": (f"<|channel>thought\n{SECRET}<channel|>Likes boats.", "Likes boats.", True),
    "Gemma 4, empty": ("<|channel>thought\n<channel|>Likes boats.", "Likes boats.", False),
    "harmony": (
        f"<|channel|>analysis<|message|>{SECRET}<|end|><|start|>assistant<|channel|>final"
        "<|message|>Likes boats.<|return|>",
        "Likes boats.",
        True,
    ),
    "harmony, no thought": (
        "<|start|>assistant<|channel|>final<|message|>Likes boats.<|return|>",
        "Likes boats.",
        False,
    ),
    "harmony, a tool called": (
        f"<|channel|>commentary to=functions.x <|constrain|>json<|message|>{SECRET}<|call|>",
        "",
        True,
    ),
    "harmony, cut off": (f"<|channel|>analysis<|message|>{SECRET}", "", True),
    "harmony, cut off at once": ("<|channel|>anal", "", True),
    "harmony without signs": (
        f"analysisWe have {SECRET}assistantfinalLikes boats.",
        "Likes boats.",
        True,
    ),
    "harmony without signs, cut off": (f"analysisWe have {SECRET}", "", True),
    "an ordinary word": ("analysis of boats", "analysis of boats", False),
}


@pytest.mark.parametrize(("written", "answer", "thought"), CASES.values(), ids=CASES)
def test_the_answer_is_what_follows_the_thoughts(written: str, answer: str, thought: bool) -> None:
    found = separated(written)
    assert found.text == answer
    assert (found.reasoning_chars > 0) == thought


@pytest.mark.parametrize(("written", "answer", "thought"), CASES.values(), ids=CASES)
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_a_stream_says_the_same_in_the_end(
    written: str, answer: str, thought: bool, size: int
) -> None:
    shown, whole = streamed(pieces_of(written, size))
    assert separated(shown).text == whole.text == answer
    assert (whole.reasoning_chars > 0) == thought


def streamed(pieces: list[str], **options: Any) -> tuple[str, Any]:
    """All that a stream shows, and its answer."""
    cut_off = options.pop("cut_off", False)
    stream = AnswerStream(**options)
    shown = [stream.feed(piece) for piece in pieces]
    rest, whole = stream.close(cut_off=cut_off)
    return "".join([*shown, rest]), whole


def pieces_of(text: str, size: int) -> list[str]:
    return [text[n : n + size] for n in range(0, len(text), size)]


TAGS = ("<think>", "</think>", "[THINK]", "[/THINK]", "<|channel|>analysis<|message|>", "<|end|>")
TEXTS = st.lists(st.sampled_from([*TAGS, "<", "boats ", "\n", "hm</", "|>", "a"])).map("".join)


@given(before=TEXTS, thoughts=st.text(), after=st.text(alphabet="ab .<\n"))
def test_nothing_before_the_end_of_thoughts_is_answer(
    before: str, thoughts: str, after: str
) -> None:
    assert separated(f"{before}<think>{thoughts}</think>{after}").text == after.strip()


@given(answer=st.text(alphabet="ab .\n"), thoughts=TEXTS)
def test_nothing_after_a_beginning_without_end_is_answer(answer: str, thoughts: str) -> None:
    open_thoughts = thoughts.replace("/", "")  # no end
    assert separated(f"{answer}<think>{open_thoughts}").text == answer.strip()


@given(TEXTS, st.data())
def test_however_a_stream_is_cut_it_ends_in_the_same_answer(text: str, data: st.DataObject) -> None:
    cuts = data.draw(st.lists(st.integers(0, len(text))).map(sorted))
    pieces = [text[a:b] for a, b in pairwise([0, *cuts, len(text)])]
    shown, whole = streamed(pieces)
    assert separated(shown).text == whole.text == separated(text).text


@given(TEXTS)
def test_the_answer_holds_no_more_reasoning(text: str) -> None:
    answer = separated(text).text
    assert separated(answer).text == answer


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_a_stream_shows_no_thoughts_between_tags(size: int) -> None:
    pieces = pieces_of(f"\n<think>\n{SECRET}, or <b>not</b>?</think>\n\nLikes <i>boats</i>.", size)
    shown, whole = streamed(pieces)
    assert shown == whole.text == "Likes <i>boats</i>."


def test_a_stream_shows_the_answer_as_it_comes() -> None:
    stream = AnswerStream()
    for piece in pieces_of(f"<think>{SECRET}</think>", 3):
        assert stream.feed(piece) == ""
    assert [stream.feed("Likes "), stream.feed("boats.")] == ["Likes ", "boats."]


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_a_stream_of_a_model_that_always_thinks_waits_for_the_end(size: int) -> None:
    pieces = pieces_of(f"Maybe {SECRET}</think>Likes boats.", size)
    assert streamed(pieces, thinking="always on")[0] == "Likes boats."
    cut, whole = streamed(pieces[: 9 // size], thinking="always on", cut_off=True)
    assert (cut, whole.text) == ("", "")
    # Nor is anything lost where it did not think for once.
    assert streamed(pieces_of("Likes boats.", size), thinking="always on")[0] == "Likes boats."


def test_a_stream_shows_the_answer_at_once_where_the_server_tells_reasoning_apart() -> None:
    stream = AnswerStream("always on")
    assert stream.feed("", SECRET) == ""
    assert [stream.feed("Likes "), stream.feed("boats.")] == ["Likes ", "boats."]
    rest, whole = stream.close(cut_off=True)
    assert (rest, whole.text, whole.reasoning_chars) == ("", "Likes boats.", len(SECRET))


def test_known_to_begin_in_thought_a_text_without_end_is_no_answer() -> None:
    assert separated(SECRET, opened=True).text == ""
    assert separated(f"{SECRET}</think>Likes boats.", opened=True).text == "Likes boats."


PARTS = [
    {"type": "thinking", "thinking": [{"type": "text", "text": SECRET}]},
    {"type": "text", "text": "Likes "},
    {"type": "output_text", "text": "boats."},
]


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({"content": "Likes boats."}, ("Likes boats.", "")),
        ({"content": None, "reasoning_content": SECRET}, ("", SECRET)),
        ({"content": "Likes boats.", "reasoning": SECRET}, ("Likes boats.", SECRET)),
        # vLLM has sent both names of the one field.
        ({"content": "a", "reasoning_content": SECRET, "reasoning": SECRET}, ("a", SECRET)),
        ({"content": PARTS}, ("Likes boats.", SECRET)),
        ({"content": ["Likes ", "boats."]}, ("Likes boats.", "")),
        ({"content": [{"type": "refusal", "refusal": SECRET}]}, ("", "")),
        ({}, ("", "")),
    ],
)
def test_text_and_reasoning_that_the_server_tells_apart(
    message: dict[str, Any], expected: tuple[str, str]
) -> None:
    assert said(message) == expected


def test_content_of_another_shape_is_an_error() -> None:
    with pytest.raises(ValueError, match="text or parts"):
        said({"content": 5})
