"""What `lrgd equivalence` prints, a table a step."""

from collections.abc import Callable, Sequence
from pathlib import Path

from rich.table import Table

from lrgd.explain.equivalence import Equivalence
from lrgd.show import printer


def about(found: Equivalence) -> str:
    """What was measured, in a sentence."""
    return (
        f"{found.model}, user {found.user}: a prompt of {found.prompt_tokens} tokens, "
        f"{found.demonstration_tokens} of them the demonstration D: {found.demonstration}"
    )


def show(found: Equivalence, step: str, plots: Sequence[Path]) -> None:
    """Print what a step has found, and before the first what was looked at."""
    if step == next(iter(TABLES)):
        print(about(found))
    printer().print(TABLES[step](found))
    for plot in plots:
        print(f"Plot: {plot}")


def _exactness(found: Equivalence) -> Table:
    row = found.exactness[-1]
    table = Table(title=f"Largest difference between the model and its exact dual, {row.precision}")
    for name in ("", "difference", "largest value"):
        table.add_column(name, justify="right" if name else "left")
    table.add_row("head outputs", f"{row.heads:.1e}")
    table.add_row("hidden states", f"{row.states:.1e}", f"{row.largest_state:.0f}")
    table.add_row("logits", f"{row.logits:.1e}", f"{row.largest_logit:.0f}")
    table.add_row(f"logits over {row.tokens} tokens", f"{row.later_logits:.1e}")
    table.add_row("same greedy tokens", f"{row.same_tokens} of {row.tokens}")
    return table


def _advantages(found: Equivalence) -> Table:
    a = found.advantages
    assert a is not None
    table = Table(
        title=f"The true item (rank {a.rank} by likelihood) against its best rival, {a.rival}"
    )
    table.add_column("what is seen of the demonstration")
    for name in ("next token, logit difference", "whole title, nats"):
        table.add_column(name, justify="right")
    table.add_row("all: W0 and the gradient step", f"{a.whole_prompt:+.3f}", f"{a.titles:+.3f}")
    table.add_row("W0 alone, without the gradient step", f"{a.without_step:+.3f}")
    table.add_row("masked for the last token only", f"{a.masked_at_answer:+.3f}")
    masked = f"{a.masked_everywhere:+.3f}", f"{a.titles_masked:+.3f}"
    table.add_row("masked for every token", *masked)
    return table


def _figure8(found: Equivalence) -> Table:
    table = Table(title="Figure 8: the state that names the true item, and the answer's states")
    table.add_column("demonstration")
    for name in (
        "tokens that name it",
        "nearest |f - h*|^2 / |h*|^2",
        "rank of the token at first",
    ):
        table.add_column(name, justify="right")
    for label, curve in (("good", found.good), ("bad", found.bad)):
        assert curve is not None
        nearest = float(curve.distances[:, -1].min()) / curve.target_norm
        matches = f"{sum(curve.matches)} of {len(curve.matches)}"
        table.add_row(label, matches, f"{nearest:.3f}", str(curve.first_rank))
    return table


def _features(found: Equivalence) -> Table:
    assert found.feature_errors is not None
    table = Table(
        title=f"Random features on {found.feature_heads} of {len(found.heads)} heads: "
        "|h_D - h| / |h|, median over heads [least, most of seeds]"
    )
    table.add_column("D", justify="right")
    for name in found.feature_errors:
        table.add_column(name, justify="right")
    sizes = next(iter(found.feature_errors.values()))
    for size in sizes:
        cells = (by_size[size] for by_size in found.feature_errors.values())
        row = (rf"{s.median:.2g} \[{s.low:.2g}, {s.high:.2g}]" for s in cells)
        table.add_row(str(size), *row)
    return table


def _needed(found: Equivalence) -> Table:
    table = Table(
        title=f"log10 of the D that each of {len(found.heads)} heads needs for an error of 10 % on "
        "exp(x.y)"
    )
    table.add_column("heads")
    table.add_column("S", justify="right")
    names = list(found.heads[0].log10_needed)
    for name in names:
        table.add_column(name, justify="right")
    by_s, last = sorted(found.heads, key=lambda h: h.s), len(found.heads) - 1
    for label, part in (
        ("least S", 0.0),
        ("25 %", 0.25),
        ("median", 0.5),
        ("75 %", 0.75),
        ("most", 1.0),
    ):
        head = by_s[round(part * last)]
        needed = (f"{head.log10_needed[name]:.1f}" for name in names)
        table.add_row(f"{label}: layer {head.layer}, head {head.head}", f"{head.s:.1f}", *needed)
    return table


def _depth(found: Equivalence) -> Table:
    assert found.depth_errors is not None
    by_map = found.depth_errors
    layers = len(next(iter(by_map.values()))) - 1
    table = Table(
        title=f"All heads approximated, D = {found.depth_size}, one draw: |x_D - x| / |x| of the "
        "residual stream"
    )
    table.add_column("layers passed", justify="right")
    for name in by_map:
        table.add_column(name, justify="right")
    for passed in sorted({1, layers // 4, layers // 2, layers} - {0}):
        table.add_row(str(passed), *(f"{errors[passed]:.2g}" for errors in by_map.values()))
    return table


TABLES: dict[str, Callable[[Equivalence], Table]] = {
    "exact dual, float32": _exactness,
    "advantages": _advantages,
    "figure 8": _figure8,
    "S of the heads": _needed,
    "random features": _features,
    "exact dual, float64": _exactness,
    "error against depth": _depth,
}
"""By the steps of `lrgd.explain.equivalence_steps`."""
