import asyncio
from dataclasses import replace
from math import log2
from pathlib import Path

import pytest

from lrgd.memory import Demonstration, DemonstrationMemory
from tests.scripted import hashed_words

KITES = Demonstration("u1", "likes red kites", path=0, round=1, ranks=(3,), dataset="d")
LAMPS = Demonstration("u1", "wants old lamps", path=1, round=2, ranks=(1, 2), dataset="d")


async def test_what_was_remembered_is_recalled_whole_and_best_first(
    memory: DemonstrationMemory,
) -> None:
    full = replace(LAMPS, parents=("a", "b"), perturbed_by="c", model="m")
    await memory.remember(KITES)
    await memory.remember(full)
    assert await memory.recall("u1", dataset="d") == [full, KITES]


async def test_remembering_twice_is_remembering_once(memory: DemonstrationMemory) -> None:
    for _ in range(3):
        await memory.remember(KITES)
    assert await memory.recall("u1", dataset="d") == [KITES]


async def test_the_verdict_chosen_replaces_the_entry_and_comes_first(
    memory: DemonstrationMemory,
) -> None:
    for d in (KITES, LAMPS, replace(KITES, chosen=True)):
        await memory.remember(d)
    assert await memory.recall("u1", dataset="d") == [replace(KITES, chosen=True), LAMPS]


async def test_recall_keeps_users_and_data_sets_apart(memory: DemonstrationMemory) -> None:
    for d in (KITES, LAMPS, replace(KITES, user_id="u2"), replace(KITES, dataset="e")):
        await memory.remember(d)
    assert await memory.recall("u1", dataset="d") == [LAMPS, KITES]
    assert await memory.recall("u3", dataset="d") == []


async def test_many_writers_at_once_lose_nothing(memory: DemonstrationMemory) -> None:
    written = [replace(KITES, round=n) for n in range(1, 41)]
    await asyncio.gather(*(memory.remember(d) for d in written))
    found = await memory.recall("u1", dataset="d", limit=100)
    assert sorted(d.round for d in found) == list(range(1, 41))


async def test_a_failed_write_is_reported_and_tried_again_with_the_next(tmp_path: Path) -> None:
    broken = [True]

    def embed(texts):  # type: ignore[no-untyped-def]
        if broken:
            broken.pop()
            raise RuntimeError("disk full")
        return hashed_words(texts)

    memory = DemonstrationMemory.at(tmp_path / "m", embed)
    with pytest.raises(RuntimeError, match="disk full"):
        await memory.remember(KITES)
    await memory.remember(LAMPS)
    assert len(await memory.recall("u1", dataset="d")) == 2


async def test_nearest_finds_chosen_demonstrations_by_meaning(memory: DemonstrationMemory) -> None:
    for d in (KITES, LAMPS):
        await memory.remember(replace(d, chosen=True))
    await memory.remember(replace(KITES, round=2))
    (first, cosine), (second, _) = await memory.nearest("red kites", dataset="d")
    assert (first.text, second.text) == (KITES.text, LAMPS.text)
    # Two of three words shared: 2 / (sqrt(2) sqrt(3)).
    assert cosine == pytest.approx(2 / (2**0.5 * 3**0.5), abs=1e-3)


async def test_it_outlives_the_process(tmp_path: Path) -> None:
    await DemonstrationMemory.at(tmp_path / "m", hashed_words).remember(KITES)
    again = DemonstrationMemory.at(tmp_path / "m", hashed_words)
    assert await again.recall("u1", dataset="d") == [KITES]


async def test_a_store_of_an_earlier_version_kept_effects_and_no_ranks(tmp_path: Path) -> None:
    memory = DemonstrationMemory.at(tmp_path / "m", hashed_words)
    await memory.remember(KITES)
    (old,) = memory._collection.opened.get()["metadatas"] or []
    row = {key: value for key, value in old.items() if key != "ranks"}
    memory._collection.opened.delete(ids=[KITES.id])
    memory._collection.opened.add(
        ids=[KITES.id],
        documents=[KITES.text],
        metadatas=[row],
        embeddings=hashed_words([KITES.text]),
    )
    for _ in range(2):  # as it was written, and once it was written again
        (read,) = await memory.recall("u1", dataset="d")
        assert (read.effect, read.rank, read.ranks) == (KITES.effect, 3, ())
        await memory.remember(read)


async def test_the_value_of_a_metric_of_ones_own_is_kept(memory: DemonstrationMemory) -> None:
    own = replace(KITES, worth=0.1)
    await memory.remember(own)
    assert await memory.recall("u1", dataset="d") == [own]
    assert (own.effect, own.rank) == (0.1, 3)


@pytest.mark.parametrize("rank", [1, 2, 7, 255])
def test_effect_and_rank_follow_from_the_ranks(rank: int) -> None:
    one = replace(KITES, ranks=(rank,))
    assert (one.rank, one.effect) == (rank, 1 / log2(rank + 1))
    assert replace(one, ranks=(), worth=one.effect).rank == rank
    assert replace(one, ranks=(1, 3)).effect == (1 + 1 / 2) / 2
    assert (replace(one, ranks=()).rank, replace(one, ranks=()).effect) == (None, 0.0)


def test_the_id_depends_on_what_made_it_and_not_on_how_it_fared() -> None:
    assert KITES.id == replace(KITES, ranks=(9,), chosen=True).id
    assert KITES.id != replace(KITES, path=1).id
    assert KITES.id != replace(KITES, parents=("x",)).id
