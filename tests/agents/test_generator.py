from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai import APIConnectionError

from lrgd.agents.endpoint.client import EndpointSettings, connect
from lrgd.agents.generator import Draft, Generator, bare, judge, whole_sentences
from lrgd.agents.prompts import REGULARISATION
from lrgd.agents.values import Item
from lrgd.core.errors import EndpointUnavailable
from tests.loopback import LoopbackModel, completion
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


@pytest.mark.parametrize("title", ["\N{HEAVY BLACK HEART}", "\N{VIDEO GAME}", "...", "", " - "])
def test_a_title_without_words_is_never_named(title: str) -> None:
    signs = Item("x", title)
    assert judge("Likes \N{HEAVY BLACK HEART} \N{VIDEO GAME} ... - games.", [signs]) == "usable"
    assert judge("Likes a blue boat.", [signs, Item("y", "Blue Boat")]) == "names_target"


no_words = st.text(st.characters(categories=["P", "S", "Z", "C", "M"]))


@given(no_words, st.text(max_size=9), st.booleans())
def test_whatever_a_note_says_it_never_names_signs(title: str, around: str, held: bool) -> None:
    note = f"{around}{title if held else ''} boat"
    assert judge(note, [Item("x", title)]) == "usable"


@given(st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=9), st.text(max_size=9))
def test_a_note_that_holds_a_title_of_words_names_it(title: str, around: str) -> None:
    assert judge(f"{around} {title} {around}", [Item("x", title)]) == "names_target"


async def test_it_writes_and_counts_one_call() -> None:
    chat = ScriptedChat(replies=["  likes \n boats "])
    draft = await Generator(chat).write(task(), seed=1)
    assert (draft.text, draft.verdict, draft.usage.calls) == ("likes boats", "usable", 1)
    assert REGULARISATION in chat.asked[0]


async def test_an_answer_without_end_is_cut_at_a_sentence() -> None:
    chat = ScriptedChat(replies=["ab " * 9_999, "Likes boats. " * 9_999])
    generator = Generator(chat, max_chars=50)
    assert (await generator.write(task(), seed=1)).verdict == "cut_off"
    draft = await generator.write(task(), seed=1)
    assert (draft.text, draft.verdict) == ("Likes boats. " * 2 + "Likes boats.", "usable")


@pytest.mark.parametrize(
    ("written", "note"),
    [
        ("Likes boats.", "Likes boats."),
        ('"Likes boats."', "Likes boats."),
        ("“Likes boats.”", "Likes boats."),
        ('"Boats" and "kites"', '"Boats" and "kites"'),
        ("Note: Likes boats.", "Likes boats."),
        ("**Note:** Likes boats.", "Likes boats."),
        ('"Note: Likes boats."', "Likes boats."),
        ('Here is a note:\n\n"Likes boats."', "Likes boats."),
        ("Sure! Here's a new note on the shopper:\nLikes boats.", "Likes boats."),
        ("Here's a sample:\nLikes boats.", "Likes boats."),
        ("Sure, here are two things: boats, kites.", "boats, kites."),
        ("Wants what is here: boats.", "Wants what is here: boats."),
        ("The shopper likes: boats.", "The shopper likes: boats."),
        ("Note that it's for a child: boats.", "Note that it's for a child: boats."),
        ("Keeps notebooks: blue.", "Keeps notebooks: blue."),
    ],
)
def test_a_label_and_quotes_around_a_note_are_taken_off(written: str, note: str) -> None:
    assert bare(written) == note


@pytest.mark.parametrize(
    ("cut", "whole"),
    [
        ("Likes boats. Wants a ki", "Likes boats."),
        ("Likes boats! (And kites?) Wants", "Likes boats! (And kites?)"),
        ("Has Halo 3. Wants", "Has Halo 3."),
        ("- likes boats\n- wants a ki", "- likes boats"),
        ("1. Likes boats\n2. Wants", "1. Likes boats"),
        ("\u559c\u6b22\u8239\u3002\u60f3", "\u559c\u6b22\u8239\u3002"),
        ("Likes boats of 3.5 met", ""),
        ("1. Likes", ""),
        ("Here it is:\nLikes", ""),
        ("", ""),
    ],
)
def test_of_a_text_that_was_cut_off_whole_sentences_stay(cut: str, whole: str) -> None:
    assert whole_sentences(cut) == whole


@pytest.fixture(scope="module")
def server() -> Iterator[LoopbackModel]:
    with LoopbackModel() as server:
        yield server


async def written(
    server: LoopbackModel, text: str | None, reason: str = "stop", **beside: Any
) -> Draft:
    """What the generator makes of a server's answer."""
    answer = completion("")
    choice = answer["choices"][0]
    choice |= {"finish_reason": reason, "message": {"content": text, **beside}}
    server.respond = lambda path, body: (200, answer, {})
    async with connect(EndpointSettings(server.url, "m")) as endpoint:
        model = endpoint.chat_model(temperature=0.8, max_tokens=128)
        return await Generator(model).write(task(), seed=1)


@pytest.mark.parametrize(
    ("text", "reason", "verdict"),
    [
        ("Likes boats. Wants a ki", "length", "usable"),
        ("Likes boats and wants a ki", "length", "cut_off"),
        ("Wants a blue boat. And", "length", "names_target"),
        (None, "length", "cut_off"),
        ("<think>\nLikes boats. Wants", "length", "cut_off"),
        ("<think>\nLikes boats.</think>", "stop", "reasoning"),
        (None, "stop", "empty"),
        (None, "content_filter", "refused"),
        ("Likes boats.", "content_filter", "refused"),
        ("Likes boats.", "stop", "usable"),
        ("Likes boats", "stop", "usable"),
    ],
)
async def test_an_answer_that_is_no_note_is_refused_by_its_reason(
    server: LoopbackModel, text: str | None, reason: str, verdict: str
) -> None:
    assert (await written(server, text, reason)).verdict == verdict


async def test_a_note_is_text_that_every_file_and_server_takes(server: LoopbackModel) -> None:
    draft = await written(server, "Enjoys \ud83c ga\x00mes\u202e.\nAnd \ud83c\udfae.")
    assert (draft.text, draft.verdict) == ("Enjoys \ufffd games. And \U0001f3ae.", "usable")


async def test_a_refusal_is_one_though_the_server_calls_it_a_stop(server: LoopbackModel) -> None:
    assert (await written(server, None, refusal="I can't.")).verdict == "refused"


async def test_whole_sentences_of_a_cut_off_note_are_the_note(server: LoopbackModel) -> None:
    draft = await written(server, 'Note: "Likes boats. Wants a ki', "length")
    assert (draft.text, draft.verdict) == ("Likes boats.", "usable")


@given(thoughts=st.text(), note=st.sampled_from(["Likes boats.", "wants kites"]))
async def test_no_thought_reaches_the_note_whatever_chat_model_wrote_it(
    thoughts: str, note: str
) -> None:
    chat = ScriptedChat(replies=[f"<think>{thoughts}</think>\n{note}"])
    assert (await Generator(chat).write(task(), seed=1)).text == note


async def test_a_failing_model_is_reported_as_our_error() -> None:
    chat = ScriptedChat(replies=[APIConnectionError(request=None)])  # type: ignore[arg-type]
    with pytest.raises(EndpointUnavailable, match="no answer from"):
        await Generator(chat).write(task(), seed=1)
