"""What an evaluation is made of: arms, each a method under one sampling seed."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from lrgd.core.errors import InputError
from lrgd.evals.methods import FLOORS, MAIN, METHODS, Method
from lrgd.evals.runs.folder import UserRecord
from lrgd.graphs.settings import LoopSettings

REFERENCE = "zero-shot"


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Which methods are compared, with which one, over how many sampling seeds."""

    methods: tuple[str, ...] = MAIN
    """In the order in which they are shown."""
    seeds: int = 1
    """Optimisations that differ only in the seed: the run's own, and the ones after it."""
    reference: str = REFERENCE
    """The method that all others are paired with."""


@dataclass(frozen=True, slots=True)
class Arm:
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
    chosen = {known[name.strip().casefold()] for name in asked}
    chosen |= {*FLOORS, "LRGD", *(MAIN if names == "main" else METHODS if names == "all" else ())}
    methods = tuple(name for name in METHODS if name in chosen)
    return Evaluation(methods, seeds, known[reference.strip().casefold()])


def settings_of(method: Method, base: LoopSettings, seed: int | None) -> LoopSettings:
    """The optimisation that a method reads, as the settings it has."""
    changes = {**(method.changes or {}), **({} if seed is None else {"seed": seed})}
    return base.model_copy(update=changes)


def arms_of(
    wanted: Evaluation,
    base: LoopSettings,
    records: Callable[[LoopSettings], Sequence[UserRecord]],
    before: LoopSettings | None = None,
) -> Iterator[Arm]:
    """Every arm of an evaluation, in the order of its methods.

    Args:
        base: settings of the run.
        records: the records of the optimisation with these settings.
        before: the run's settings before its shared texts were searched; None where they were not.
            What reads neither optimisation nor search ranks with them.
    """
    for name in wanted.methods:
        method = METHODS[name]
        if method.shared and before is None:
            continue
        optimised = method.pick is not None
        for seed in range(base.seed, base.seed + wanted.seeds) if optimised else (None,):
            settings = settings_of(method, base, seed)
            ranks_with = settings if optimised or method.shared else before or settings
            yield Arm(method, seed, ranks_with, records(settings))


def optimisations(wanted: Evaluation, base: LoopSettings) -> list[LoopSettings]:
    """The optimisations that an evaluation reads, each once, the run's own first."""
    arms = arms_of(wanted, base, lambda settings: ())
    read = [base, *(arm.settings for arm in arms if arm.method.pick is not None)]
    return list({settings.model_dump_json(): settings for settings in read}.values())
