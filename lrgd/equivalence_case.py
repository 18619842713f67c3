"""The user and the two demonstrations that `lrgd equivalence` looks at when none are named."""

from collections.abc import Sequence

from agents.values import Item, RankingTask
from lrgd.local_model import LocalModel, ranking_prompt
from theory import read_prompt


def note_of(item: Item) -> str:
    """A demonstration that names what an item is: brand and categories, or else its title."""
    return f"wants {' '.join((item.brand, *item.categories)).strip() or item.title}."


def unlike(task: RankingTask, target: Item) -> Item:
    """The first candidate that shares no word of its note with the target's, or the last one."""
    words = set(note_of(target).lower().split()[1:])
    others = [item for item in task.candidates if item.id != target.id]
    apart = (i for i in others if words.isdisjoint(note_of(i).lower().split()[1:]))
    return next(apart, others[-1])


def choose(
    local: LocalModel, tasks: Sequence[RankingTask], demonstration: str | None
) -> tuple[RankingTask, str, str]:
    """A task with its good and its bad demonstration.

    Args:
        local: the model.
        tasks: of which the first is taken whose target the good demonstration puts first, or the
            very first if there is none.
        demonstration: the good one; None writes one that names the target.
    """
    found = [(task, *_notes(task, demonstration)) for task in tasks]
    return next((f for f in found if len(found) > 1 and _first(local, *f[:2])), found[0])


def _notes(task: RankingTask, demonstration: str | None) -> tuple[str, str]:
    assert task.target is not None
    good = note_of(task.target) if demonstration is None else demonstration
    return good, note_of(unlike(task, task.target))


def _first(local: LocalModel, task: RankingTask, demonstration: str) -> bool:
    ranked = ranking_prompt(local, task, demonstration)
    logits = read_prompt(local.decoder, ranked.partition.ids).logits
    return ranked.ranking(logits, task.candidates).order[0] == task.target_id
