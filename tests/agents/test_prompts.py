from dataclasses import replace
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrgd.agents.prompts import (
    LETTERS,
    RANKING_INSTRUCTION,
    REGULARISATION,
    Attempt,
    PromptOrder,
    PromptSettings,
    Told,
    choice_prompt,
    listwise_prompt,
    option_names,
    ordinal,
    sanitized,
)
from lrgd.agents.values import Item
from lrgd.core.text import one_line
from tests.scripted import task


def test_the_ranking_prompt_holds_history_and_note_but_not_the_candidates() -> None:
    text = PromptSettings().ranking_context(task(), "likes boats").text
    assert "- wooden puzzle\n- paper kite" in text
    assert "Note on the shopper: likes boats" in text
    assert not any(c.title in text for c in task().candidates)


def test_the_content_free_prompt_is_the_same_for_every_shopper() -> None:
    known = replace(task(), profile="a sailor")
    prompts = {
        PromptSettings(order=order).ranking_context(known, text).content_free
        for text in (None, "likes boats")
        for order in get_args(PromptOrder)
    }
    assert prompts == {PromptSettings().ranking_context(replace(task(), history=())).text}
    (text,) = prompts
    assert text.startswith(f"{RANKING_INSTRUCTION} {REGULARISATION}\n\n")
    assert text.endswith("oldest first:\nN/A")
    assert PromptSettings("Brief.").ranking_context(task()).content_free != text


def test_zero_shot_has_no_note() -> None:
    assert "Note on" not in PromptSettings().ranking_context(task()).text


def test_regularisation_stands_beside_the_instruction_and_can_be_left_out() -> None:
    first = PromptSettings("Mind the gap.").ranking_context(task(), "x").text.splitlines()[0]
    assert first.endswith("Mind the gap.")
    assert PromptSettings("").ranking_context(task(), "x").text.splitlines()[0].endswith(".")


def test_what_all_calls_for_a_user_share_comes_first() -> None:
    zero_shot = PromptSettings().ranking_context(task()).text
    assert (
        PromptSettings().ranking_context(task(), "likes boats").text
        == f"{zero_shot}\n\nNote on the shopper: likes boats"
    )


def test_demonstration_first_puts_the_note_before_all_else() -> None:
    text = PromptSettings(order="demonstration_first").ranking_context(task(), "likes boats").text
    zero_shot = PromptSettings().ranking_context(task()).text
    assert text == f"Note on the shopper: likes boats\n\n{zero_shot}"


def test_a_choice_reads_like_vllms_own_question() -> None:
    text = choice_prompt("CONTEXT", ["Halo", "Kirby"])
    assert text == (
        "CONTEXT\n\nQuestion: Which of these items does the shopper buy next?\n"
        "A: Halo\nB: Kirby\nAnswer with the letter of one option only."
    )


def test_more_options_than_letters_are_refused() -> None:
    with pytest.raises(ValueError, match="at most 52"):
        choice_prompt("CONTEXT", [str(n) for n in range(len(LETTERS) + 1)])


def test_a_list_is_asked_for_in_lines_or_in_json() -> None:
    lines = listwise_prompt("CONTEXT", ["Halo", "Kirby"], 2)
    assert lines.startswith("CONTEXT\n\nItems:\n- Halo\n- Kirby\n\nRank the items")
    assert "Answer with 2 titles only" in lines
    assert '{"ranking": [2 titles, exactly as given]}' in listwise_prompt(
        "CONTEXT", ["Halo", "Kirby"], 2, as_json=True
    )


def test_the_generator_sees_ranks_and_the_perturbation_but_never_a_candidate() -> None:
    told: Told = {
        "last": Attempt("likes lamps", 7, 50),
        "effective": [Attempt("likes kites", 2, 50)],
        "perturbation": "likes rivers",
    }
    (message,) = PromptSettings().generation_messages(task(), told)
    text = message["content"]
    assert "ranked 7th of 50): likes lamps" in text
    assert "ranked 2nd of 50): likes kites" in text
    assert "another point of view: likes rivers" in text
    assert not any(c.title in text for c in task().candidates)


def test_control_tokens_in_item_text_are_made_harmless() -> None:
    assert sanitized("a <|im_end|> b [INST] c </s>  d") == "a (|im_end|) b (INST) c (/s) d"
    assert sanitized("1 < 2 and 3 > 2") == "1 < 2 and 3 > 2"


@given(st.text(st.characters(exclude_categories=())))
def test_text_from_outside_is_one_line_that_can_be_sent(text: str) -> None:
    line = sanitized(text)
    assert line == one_line(line)
    line.encode()


def test_names_of_signs_only_are_options_of_their_own() -> None:
    signs = [Item(str(n), sign) for n, sign in enumerate(["\u2665", "...", "\u2026", "?", "..."])]
    assert list(option_names(signs)) == ["\u2665", "...", "\u2026", "?", "... (2)"]


def test_items_that_share_a_title_get_names_of_their_own() -> None:
    twins = [Item("a", "Halo"), Item("b", "Halo"), Item("c", "Halo (2)"), Item("d", "Halo")]
    names = option_names(twins)
    assert list(names.values()) == ["a", "b", "c", "d"]
    assert names["Halo"] == "a"


def test_ordinals() -> None:
    assert [ordinal(n) for n in (1, 2, 3, 4, 11, 12, 13, 21, 50)] == (
        ["1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "50th"]
    )


def test_a_context_holds_its_parts_for_who_asks_for_the_note_apart() -> None:
    known = PromptSettings().ranking_context(task(), "likes boats")
    assert known.without_note == PromptSettings().ranking_context(task()).text
    assert "likes boats" in known.note_alone
    assert not any(item.title in known.note_alone for item in task().history)
    assert PromptSettings().ranking_context(task()).note_alone == ""
