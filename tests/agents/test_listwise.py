from hypothesis import given
from hypothesis import strategies as st

from agents.listwise import parse_list
from agents.values import Item

ITEMS = [Item("h", "Halo"), Item("h2", "Halo 2"), Item("b", "007: Blood Stone"), Item("k", "Kirby")]


def test_a_numbered_list_is_read_in_its_order() -> None:
    ranking = parse_list('1. Kirby\n2) **Halo 2**\n3: "Halo"\n- 007: Blood Stone', ITEMS)
    assert ranking.order == ("k", "h2", "h", "b")
    assert ranking.audit.named == 4
    assert (ranking.audit.out_of_set, ranking.audit.missing) == (0, 0)


def test_a_title_is_never_matched_inside_another_text() -> None:
    ranking = parse_list("Sure! I think Halo is best.\nHalo 22", ITEMS)
    assert ranking.audit.named == 0
    assert ranking.audit.out_of_set == 2


def test_a_title_that_begins_with_a_number_is_itself() -> None:
    assert parse_list("007: Blood Stone", ITEMS).order[0] == "b"
    assert parse_list("1. 007: Blood Stone", ITEMS).order[0] == "b"


def test_what_is_not_named_follows_in_candidate_order_and_is_counted() -> None:
    ranking = parse_list("Kirby\nKirby\nZelda", ITEMS, truncated=True)
    assert ranking.order == ("k", "h", "h2", "b")
    audit = ranking.audit
    assert (audit.named, audit.duplicates, audit.out_of_set, audit.missing) == (1, 1, 1, 3)
    assert audit.truncated


@given(st.text() | st.lists(st.sampled_from([i.title for i in ITEMS])).map("\n".join))
def test_whatever_was_written_the_ranking_is_a_permutation(text: str) -> None:
    ranking = parse_list(text, ITEMS)
    assert sorted(ranking.order) == sorted(item.id for item in ITEMS)
    assert ranking.audit.named + ranking.audit.missing == len(ITEMS)
