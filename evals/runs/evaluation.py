"""What an evaluation is made of: methods, each under one or several sampling seeds."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

from lrgd.core.errors import InputError
from lrgd.evals.methods import FLOORS, MAIN, METHODS, Method, Need
from lrgd.evals.runs.folder import UserRecord
from lrgd.graphs.settings import LoopSettings

REFERENCE = "zero-shot"

EVERY_BUNDLE: tuple[Need, ...] = ("training part",)
"""What bundles have, but for those of format 2."""
MISSING: dict[Need, str] = {
    "training part": "learns from a bundle's training part, and this bundle (format 2) has none: "
    "make it anew with `lrgd data prepare`",
    "shared texts": "ranks with texts that all users share, and this run has none: "
    "`lrgd optimize --shared`",
    "prior": "leaves a part of the prior out, and this run has none: `lrgd optimize --prior fused`",
}
"""What is told of a method that was asked for and cannot be there."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Which methods are compared, with which one, over how many sampling seeds."""

    methods: tuple[str, ...] = MAIN
    """In the order in which they are shown."""
    seeds: int = 1
    """Optimisations that differ only in the seed: the run's own, and the ones after it."""
    reference: str = REFERENCE
    """The method that all others are paired with."""
    named: tuple[str, ...] = ()
    """Of the methods, those that were asked for by name: not to be left out without a word."""


@dataclass(frozen=True, slots=True)
class SeededMethod:
    """One method under one seed: what ranks, and the optimisation that it reads."""

    method: Method
    seed: int | None
    """None for a method that reads no optimisation: it is scored once."""
    settings: LoopSettings
    records: Sequence[UserRecord]


def evaluation(names: str, seeds: int = 1, reference: str = REFERENCE) -> Evaluation:
    """An evaluation by the names of its methods.

    Args:
        names: "main" (no ablations), "all", or names with commas between them, in any case. The
            floors, the reference and LRGD are always there.

    Raises:
        InputError: no such method.
    """
    known = {name.casefold(): name for name in METHODS}
    asked = [reference, *([] if names in ("main", "all") else names.split(","))]
    # A name may itself hold a comma: "LRGD, m = 2" is asked for as "m = 2".
    known |= {name.casefold().removeprefix("lrgd, "): name for name in METHODS}
    for name in asked:
        if name.strip().casefold() not in known:
            some = ", ".join(n.removeprefix("LRGD, ") for n in METHODS)
            raise InputError(f"no method {name.strip()!r}; there are: main, all, {some}")
    by_name = {known[name.strip().casefold()] for name in asked}
    chosen = by_name | {
        *FLOORS,
        "LRGD",
        *(MAIN if names == "main" else METHODS if names == "all" else ()),
    }
    methods = tuple(name for name in METHODS if name in chosen)
    named = tuple(name for name in methods if name in by_name - {REFERENCE})
    return Evaluation(methods, seeds, known[reference.strip().casefold()], named)


def settings_of(method: Method, base: LoopSettings, seed: int | None) -> LoopSettings:
    """The optimisation that a method reads, as the settings it has."""
    changes = {**(method.changes or {}), **({} if seed is None else {"seed": seed})}
    return base.model_copy(update=changes)


def methods_of(
    wanted: Evaluation,
    base: LoopSettings,
    records: Callable[[LoopSettings], Sequence[UserRecord]],
    before: LoopSettings | None = None,
    *,
    has: Collection[Need] = EVERY_BUNDLE,
) -> Iterator[SeededMethod]:
    """Every method of an evaluation under each of its seeds, in the order of the methods.

    Args:
        base: settings of the run.
        records: the records of the optimisation with these settings.
        before: the run's settings before its shared texts were searched; None where they were not.
            What reads neither optimisation nor search ranks with them.
        has: what there is for methods that need it, beside the shared texts. The others are left
            out.

    Raises:
        InputError: such a method was asked for by name.
    """
    there = {*has, *(["shared texts"] if before is not None else [])}
    for name in wanted.methods:
        method = METHODS[name]
        if method.needs and method.needs not in there:
            if name in wanted.named:
                raise InputError(f"{name} {MISSING[method.needs]}")
            continue
        optimised = method.pick is not None
        for seed in range(base.seed, base.seed + wanted.seeds) if optimised else (None,):
            settings = settings_of(method, base, seed)
            ranks_with = (
                settings if optimised or method.needs == "shared texts" else before or settings
            )
            yield SeededMethod(method, seed, ranks_with, records(settings))


def optimisations(wanted: Evaluation, base: LoopSettings) -> list[LoopSettings]:
    """The optimisations that an evaluation reads, each once, the run's own first."""
    methods = methods_of(wanted, base, lambda settings: ())
    read = [base, *(seeded.settings for seeded in methods if seeded.method.pick is not None)]
    return list({settings.model_dump_json(): settings for settings in read}.values())
