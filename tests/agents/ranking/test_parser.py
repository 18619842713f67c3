import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrgd.agents.ranking.parser import parse_list
from lrgd.agents.values import Item, Ranking

TITLES = {
    "h": "Halo",
    "h2": "Halo 2",
    "b": "007: Blood Stone",
    "k": "Kirby",
    "x": "X-Men, The Official Game",
    "p": "Pokémon & Friends",
}
ITEMS = [Item(item_id, title) for item_id, title in TITLES.items()]


def named(text: str, items: list[Item] = ITEMS) -> str:
    """The ids that a text names, in its order."""
    ranking = parse_list(text, items)
    return " ".join(ranking.order[: ranking.audit.named])


@pytest.mark.parametrize(
    ("text", "order"),
    [
        ('1. Kirby\n2) **Halo 2**\n3: "Halo"\n- 007: Blood Stone', "k h2 h b"),
        ("(1) Kirby\n[2] Halo\n#3. Halo 2\n4th: Pokémon & Friends", "k h h2 p"),
        ("**1.** Kirby\n**2. Halo**\n3.Halo 2", "k h h2"),
        ("Rank 1: Kirby\nRank 2: Halo", "k h"),
        ("A: Kirby\nB: Halo", "k h"),
        ("* Kirby\n• `Halo`\n+ “Halo 2”", "k h h2"),
        ("Sure! Here is my ranking:\nKirby\nHalo", "k h"),
        ("I thought of Halo, of course.\n1. Kirby\n2. Halo 2\nI hope this helps!", "k h2"),
        ("Kirby, Halo 2, X-Men, The Official Game, Halo", "k h2 x h"),
        ("1. Kirby 2. Halo 3. Halo 2", "k h h2"),
        ("Kirby > Halo 2 > Halo", "k h2 h"),
        ("| 1 | Kirby |\n| 2 | Halo |", "k h"),
        ("**Kirby** - because of the pink hero\n**Halo 2:** a shooter", "k h2"),
        ("KIRBY\npoke\u0301mon &amp; friends\n\uff28alo", "k p h"),
        ("pokémon and friends", ""),
        ("Halo 22\nHalo: Reach\nX-Men", ""),
        ('["Kirby", "Halo 2"]', "k h2"),
        ('{"ranking": ["Kirby", "Halo 2", "Ha', "k h2"),
        ('```json\n{"ranking": [{"title": "Kirby", "score": 1}, {"title": "Halo"}]}\n```', "k h"),
        ('Here you are:\n{"1": "Kirby", "2": "Halo"}\nEnjoy!', "k h"),
        ("I'm sorry, I can't recommend Halo.", ""),
        ("<html><h1>502 Bad Gateway</h1></html>", ""),
        ("", ""),
        ("[1, 2, 3]", ""),
    ],
)
def test_what_an_answer_names(text: str, order: str) -> None:
    assert named(text) == order


def test_a_title_that_begins_with_a_number_is_itself() -> None:
    assert named("007: Blood Stone") == "b"
    assert named("1. 007: Blood Stone") == "b"


def test_titles_that_differ_in_signs_only_are_told_apart() -> None:
    signs = [Item("1", "C"), Item("2", "C++"), Item("3", "C#"), Item("4", "!!!"), Item("5", "???")]
    assert named("1. C#\n2. **c++**\n3. C\n4. ???", signs) == "3 2 1 5"


def test_items_that_share_a_title_are_told_apart_by_their_numbers() -> None:
    twins = [Item("a", "Halo"), Item("b", "Halo"), Item("c", "Kirby")]
    assert named("1. Halo (2)\n2. Kirby\n3. Halo", twins) == "b c a"


def test_what_is_not_named_follows_in_candidate_order_and_is_counted() -> None:
    ranking = parse_list("1. Kirby\n2. Kirby\n3. Zelda", ITEMS, asked=3)
    assert ranking.order == ("k", "h", "h2", "b", "x", "p")
    audit = ranking.audit
    assert (audit.named, audit.duplicates, audit.out_of_set, audit.missing) == (1, 1, 1, 2)


def test_an_entry_that_the_token_budget_cut_off_is_not_judged() -> None:
    audit = parse_list("1. Kirby\n2. Halo\n3. 007: Blo", ITEMS, truncated=True).audit
    assert (audit.named, audit.out_of_set, audit.truncated) == (2, 0, True)


def test_the_strict_reading_stands_beside_the_lenient_one() -> None:
    ranking = parse_list("1. Zelda\n2. kirby\n3. Halo 2", ITEMS)
    assert ranking.strict == ("", "", "h2")
    assert (ranking.rank_of("k"), ranking.strict_rank_of("k")) == (1, None)
    assert (ranking.rank_of("h2"), ranking.strict_rank_of("h2")) == (2, 3)


def test_of_an_endless_answer_only_the_beginning_is_read() -> None:
    audit = parse_list("Halo\n" * 100_000, ITEMS).audit
    assert audit.duplicates < 4 * len(ITEMS)


title = st.sampled_from(list(TITLES.values()))
decorated = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["", "1. ", "2) ", "- ", "**", '"', "[", "{", "| 3 | "]),
    title | st.text(max_size=30),
    st.sampled_from(["", "**", '"', "]", "}", " |", ", "]),
    title | st.just(""),
)
hostile = (
    st.text()
    | st.lists(decorated, max_size=30).map("\n".join)
    | st.lists(title | st.text() | st.none() | st.integers()).map(json.dumps)
    | st.recursive(title, lambda inner: st.lists(inner) | st.dictionaries(title, inner)).map(
        json.dumps
    )
)


def is_permutation(ranking: Ranking) -> bool:
    return sorted(ranking.order) == sorted(TITLES)


@given(hostile, st.integers(0, 40), st.booleans())
def test_whatever_was_written_the_ranking_is_a_permutation(
    text: str, cut: int, truncated: bool
) -> None:
    ranking = parse_list(text[: len(text) - cut], ITEMS, truncated=truncated)
    assert is_permutation(ranking)
    assert ranking.audit.named + ranking.audit.missing == len(ITEMS)
    assert ranking.strict is not None
    assert {item for item in ranking.strict if item} <= set(ranking.order[: ranking.audit.named])


SIGNS = ["\u2665", "\u2764\ufe0f", "\U0001f3ae", "\U0001f468\u200d\U0001f469", "...", "\u2026", "?",
         "!!!", "*", "**", "-", "#", "_", ">", "|", ":", "()", "[]", "{}", '"', "1.",
         "+", ":-)"]  # fmt: skip


@given(st.permutations(SIGNS).map(lambda s: s[:12]), st.sampled_from(["{1}", "{0}. {1}", "- {1}"]))
def test_titles_of_signs_only_are_told_apart(titles: list[str], line: str) -> None:
    items = [Item(str(n), title) for n, title in enumerate(sorted(titles))]
    names = {item.title: item.id for item in items}
    wanted = tuple(names[title] for title in titles)
    text = "\n".join(line.format(n, title) for n, title in enumerate(titles, start=1))
    assert parse_list(text, items).order == wanted
    in_json = json.dumps({"ranking": titles})
    assert parse_list(in_json, items).strict == wanted


@pytest.mark.parametrize(
    "text",
    ['1. **\u2764**\n2. "..."', "\u2764 | ...", '["\u2764", "\u2026"]', "- '\u2764'\n- `...`"],
)
def test_signs_in_markup_or_another_form_are_found(text: str) -> None:
    items = [Item("a", "..."), Item("b", "\u2764\ufe0f"), Item("c", "Halo")]
    assert parse_list(text, items).order == ("b", "a", "c")
