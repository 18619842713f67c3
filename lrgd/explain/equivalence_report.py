"""What `lrgd equivalence` shows of its steps: a table each, and the plots."""

from collections.abc import Callable, Sequence
from math import isfinite
from pathlib import Path

import torch
from matplotlib.figure import Figure
from rich.table import Table

from lrgd.evals.report.plots import BLUE, GREY, ORANGE, RED, canvas, with_legend
from lrgd.explain.equivalence import Equivalence
from lrgd.show import printer
from lrgd.theory.convergence import Curve
from lrgd.theory.feature_maps import MapName

PAPERS_D = 100
COLOURS: dict[MapName, str] = {
    "trigonometric": GREY,
    "FAVOR+": RED,
    "hyperbolic": ORANGE,
    "OPRF": "#3a8f5c",
    "SDERF": BLUE,
}


def about(measured: Equivalence) -> str:
    """What was measured, in a sentence."""
    return (
        f"{measured.model}, user {measured.user}: a prompt of {measured.prompt_tokens} tokens, "
        f"{measured.demonstration_tokens} of them the demonstration D: {measured.demonstration}"
    )


def print_step(measured: Equivalence, step: str, plots: Sequence[Path]) -> None:
    """Print what a step has measured; before the first step, what is looked at."""
    if step == next(iter(TABLES)):
        print(about(measured))
    printer().print(TABLES[step](measured))
    for plot in plots:
        print(f"Plot: {plot}")


def write_plots(measured: Equivalence, step: str, folder: Path) -> list[Path]:
    """Write the plots of a step of `equivalence_steps` as PNG and return their paths."""
    paths = []
    for name, draw in PLOTS.get(step, {}).items():
        paths.append(folder / f"{name}.png")
        draw(measured).savefig(paths[-1], dpi=110)
    return paths


def _exactness_table(measured: Equivalence) -> Table:
    row = measured.exactness[-1]
    table = Table(title=f"Largest difference between the model and its exact dual, {row.precision}")
    for name in ("", "difference", "largest value"):
        table.add_column(name, justify="right" if name else "left")
    table.add_row("head outputs", f"{row.heads:.1e}")
    table.add_row("hidden states", f"{row.states:.1e}", f"{row.largest_state:.0f}")
    table.add_row("logits", f"{row.logits:.1e}", f"{row.largest_logit:.0f}")
    table.add_row(f"logits over {row.tokens} tokens", f"{row.later_logits:.1e}")
    table.add_row("same greedy tokens", f"{row.same_tokens} of {row.tokens}")
    return table


def _advantages_table(measured: Equivalence) -> Table:
    a = measured.advantages
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


def _figure8_table(measured: Equivalence) -> Table:
    table = Table(title="Figure 8: the state that names the true item, and the answer's states")
    table.add_column("demonstration")
    for name in (
        "tokens that name it",
        "nearest |f - h*|^2 / |h*|^2",
        "rank of the token at first",
    ):
        table.add_column(name, justify="right")
    for label, curve in (("good", measured.good), ("bad", measured.bad)):
        assert curve is not None
        nearest = float(curve.distances[:, -1].min()) / curve.target_norm
        matches = f"{sum(curve.matches)} of {len(curve.matches)}"
        table.add_row(label, matches, f"{nearest:.3f}", str(curve.first_rank))
    return table


def _features_table(measured: Equivalence) -> Table:
    assert measured.feature_errors is not None
    table = Table(
        title=f"Random features on {measured.feature_heads} of {len(measured.heads)} heads: "
        "|h_D - h| / |h|, median over heads [least, most of seeds]"
    )
    table.add_column("D", justify="right")
    for name in measured.feature_errors:
        table.add_column(name, justify="right")
    sizes = next(iter(measured.feature_errors.values()))
    for size in sizes:
        cells = (by_size[size] for by_size in measured.feature_errors.values())
        row = (rf"{s.median:.2g} \[{s.low:.2g}, {s.high:.2g}]" for s in cells)
        table.add_row(str(size), *row)
    return table


def _needed_table(measured: Equivalence) -> Table:
    table = Table(
        title=f"log10 of the D that each of {len(measured.heads)} heads needs for an error of 10 % "
        "on exp(x.y)"
    )
    table.add_column("heads")
    table.add_column("S", justify="right")
    names = list(measured.heads[0].log10_needed)
    for name in names:
        table.add_column(name, justify="right")
    by_s, last = sorted(measured.heads, key=lambda h: h.s), len(measured.heads) - 1
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


def _depth_table(measured: Equivalence) -> Table:
    assert measured.depth_errors is not None
    by_map = measured.depth_errors
    layers = len(next(iter(by_map.values()))) - 1
    table = Table(
        title=f"All heads approximated, D = {measured.depth_size}, one draw: |x_D - x| / |x| of "
        "the residual stream"
    )
    table.add_column("layers passed", justify="right")
    for name in by_map:
        table.add_column(name, justify="right")
    for passed in sorted({1, layers // 4, layers // 2, layers} - {0}):
        table.add_row(str(passed), *(f"{errors[passed]:.2g}" for errors in by_map.values()))
    return table


TABLES: dict[str, Callable[[Equivalence], Table]] = {
    "exact dual, float32": _exactness_table,
    "advantages": _advantages_table,
    "figure 8": _figure8_table,
    "S of the heads": _needed_table,
    "random features": _features_table,
    "exact dual, float64": _exactness_table,
    "error against depth": _depth_table,
}
"""Step of `equivalence_steps` -> its table."""


def _figure8_plot(measured: Equivalence) -> Figure:
    """Squared distance to the emitting state over demonstration samples and output tokens."""
    figure, axes = canvas("Figure 8: distance to the state that emits the true item")
    for name, colour, curve in (("good", BLUE, measured.good), ("bad", RED, measured.bad)):
        assert curve is not None
        samples = curve.distances.shape[1] - 1
        relative = curve.distances[:, 1:].flatten() / curve.target_norm
        x = torch.arange(1, len(relative) + 1)
        label = f"{name} demonstration: the true item's token {_matches(curve)} times"
        axes.plot(x, relative, ".-", color=colour, label=label)
        for step in range(1, len(curve.tokens) + 1):
            axes.axvline(step * samples, color=colour, linewidth=1, alpha=0.35)
    axes.set(
        xlabel="(k - 1) N_D + j: output token k, demonstration sample j (bars: whole steps)",
        ylabel="|f - h*|^2 / |h*|^2",
    )
    return with_legend(figure)


def _features_plot(measured: Equivalence) -> Figure:
    """Median error of the heads against D, with the spread over seeds."""
    figure, axes = canvas(f"Random features against {measured.feature_heads} of the model's heads")
    assert measured.feature_errors is not None
    for name, by_size in measured.feature_errors.items():
        finite = {d: s for d, s in by_size.items() if isfinite(s.median)}
        medians = [s.median for s in finite.values()]
        axes.plot(list(finite), medians, "o-", color=COLOURS[name], label=name)
        low, high = ([getattr(s, k) for s in finite.values()] for k in ("low", "high"))
        axes.fill_between(list(finite), low, high, color=COLOURS[name], alpha=0.15, linewidth=0)
    axes.axvline(PAPERS_D, color="black", linestyle=":", label=f"the paper's D, about {PAPERS_D}")
    axes.axhline(0.1, color="black", linewidth=0.8, label="error of 10 %")
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="D, number of features",
        ylabel="|h_D - h| / |h|, median over heads",
    )
    return with_legend(figure)


def _depth_plot(measured: Equivalence) -> Figure:
    """Error of the residual stream after each layer, all heads approximated."""
    figure, axes = canvas(f"Error against depth, D = {measured.depth_size}, one draw")
    assert measured.depth_errors is not None
    for name, errors in measured.depth_errors.items():
        axes.plot(range(len(errors)), errors, "o-", color=COLOURS[name], label=name)
    axes.set(xlabel="layers passed", ylabel="|x_D - x| / |x| of the residual stream")
    return with_legend(figure)


def _heads_plot(measured: Equivalence) -> Figure:
    """S of every head and the D that it would need."""
    figure, axes = canvas("The D that each head would need for an error of 10 %")
    for name, colour in COLOURS.items():
        points = [(h.s, h.log10_needed[name]) for h in measured.heads]
        x, y = zip(*points, strict=True)
        # Where FAVOR+ and the hyperbolic map agree, the cross lets the disc be seen.
        marker = "x" if name == "hyperbolic" else "o"
        axes.scatter(x, y, s=26, marker=marker, color=colour, alpha=0.8, label=name)
    axes.axhline(2, color="black", linestyle=":", label=f"the paper's D, about {PAPERS_D}")
    axes.set(xlabel="S = |x + y|^2 of the head", ylabel="log10 of the D needed")
    axes.set_ylim(bottom=0)
    return with_legend(figure)


def _matches(curve: Curve) -> str:
    return f"{sum(curve.matches)} of {len(curve.matches)}"


PLOTS: dict[str, dict[str, Callable[[Equivalence], Figure]]] = {
    "figure 8": {"figure8": _figure8_plot},
    "S of the heads": {"heads": _heads_plot},
    "random features": {"error_by_features": _features_plot},
    "error against depth": {"error_by_depth": _depth_plot},
}
"""Step -> plot -> how it is drawn."""
