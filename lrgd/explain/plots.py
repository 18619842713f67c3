"""The plots of `lrgd equivalence`: figure 8, errors against D and depth, S of the heads."""

from collections.abc import Callable
from math import isfinite
from pathlib import Path

import torch
from matplotlib.figure import Figure

from lrgd.evals.report.plots import BLUE, GREY, ORANGE, RED, canvas, with_legend
from lrgd.explain.equivalence import Equivalence
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


def write_plots(found: Equivalence, step: str, folder: Path) -> list[Path]:
    """Write the plots of a step of `equivalence_steps` as PNG and return their paths."""
    paths = []
    for name, draw in PLOTS.get(step, {}).items():
        paths.append(folder / f"{name}.png")
        draw(found).savefig(paths[-1], dpi=110)
    return paths


def figure8(found: Equivalence) -> Figure:
    """Squared distance to the emitting state over demonstration samples and output tokens."""
    figure, axes = canvas("Figure 8: distance to the state that emits the true item")
    for name, colour, curve in (("good", BLUE, found.good), ("bad", RED, found.bad)):
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


def error_by_features(found: Equivalence) -> Figure:
    """Median error of the heads against D, with the spread over seeds."""
    figure, axes = canvas(f"Random features against {found.feature_heads} of the model's heads")
    assert found.feature_errors is not None
    for name, by_size in found.feature_errors.items():
        shown = {d: s for d, s in by_size.items() if isfinite(s.median)}
        medians = [s.median for s in shown.values()]
        axes.plot(list(shown), medians, "o-", color=COLOURS[name], label=name)
        low, high = ([getattr(s, k) for s in shown.values()] for k in ("low", "high"))
        axes.fill_between(list(shown), low, high, color=COLOURS[name], alpha=0.15, linewidth=0)
    axes.axvline(PAPERS_D, color="black", linestyle=":", label=f"the paper's D, about {PAPERS_D}")
    axes.axhline(0.1, color="black", linewidth=0.8, label="error of 10 %")
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="D, number of features",
        ylabel="|h_D - h| / |h|, median over heads",
    )
    return with_legend(figure)


def error_by_depth(found: Equivalence) -> Figure:
    """Error of the residual stream after each layer, all heads approximated."""
    figure, axes = canvas(f"Error against depth, D = {found.depth_size}, one draw")
    assert found.depth_errors is not None
    for name, errors in found.depth_errors.items():
        axes.plot(range(len(errors)), errors, "o-", color=COLOURS[name], label=name)
    axes.set(xlabel="layers passed", ylabel="|x_D - x| / |x| of the residual stream")
    return with_legend(figure)


def heads(found: Equivalence) -> Figure:
    """S of every head and the D that it would need."""
    figure, axes = canvas("The D that each head would need for an error of 10 %")
    for name, colour in COLOURS.items():
        points = [(h.s, h.log10_needed[name]) for h in found.heads]
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
    "figure 8": {"figure8": figure8},
    "S of the heads": {"heads": heads},
    "random features": {"error_by_features": error_by_features},
    "error against depth": {"error_by_depth": error_by_depth},
}
"""Step -> plot -> how it is drawn."""
