"""How attention counts, and how MLPs read the count, exact in half precision.

A head that spreads evenly over n tokens leaves the first one a weight that tells n. One MLP bends
at each count, so that n of many scratch dimensions are positive; the next MLP cuts these to 0 or 1
and writes what belongs to n, a sum of small whole numbers.
"""

from itertools import pairwise
from math import ceil, exp, log2, sqrt

import torch
from torch import Tensor

from serving.pocket.layout import HEAD_DIM, ONE, Head, Layout, Mlp, row, unit

SINK = 38 / sqrt(HEAD_DIM)
"""Logarithm of the first token's weight where others are counted, near a bfloat16 number."""
BASE = exp(SINK)
HEIGHT = 8.0
"""A head that gives the first token the weight of BASE others and moves HEIGHT from it counts."""


def counter(head: Head, dim: int) -> None:
    """Writes the number n of tokens that the head attends to, beside the first, as
    HEIGHT · BASE / (BASE + n). The head's logits are 0 for these and SINK for the first."""
    head.move(unit(Layout.begin), HEIGHT * unit(dim).T)


def exceed(mlp: Mlp, dim: int, scratch: slice, less: int, never: int) -> None:
    """Where `dim` holds the n of `counter`: makes the first n dimensions of `scratch` positive
    and the rest 0; one less than n where `less` is 1, none where `never` is 1.

    Thresholds lie between two counts, wherever bfloat16 rounds these.
    """
    counts = torch.arange(scratch.stop - scratch.start + 2)
    at = HEIGHT * BASE / (BASE + counts)
    middle = (at[:-1] + at[1:]) / 2
    for n, (here, after) in enumerate(pairwise(middle.tolist())):
        # Read in units of SCALE, 1020 is 65,280: the steepest that float16 holds.
        steep = min(2.0 ** ceil(log2(20 / (here - after))), 1020.0)
        gate = row({dim: -steep, less: steep * (after - here), never: -1020.0})
        mlp.unit(gate + _constant(steep * here), row({scratch.start + n: 1 / 256}))


def decide(mlp: Mlp, scratch: slice, write: Tensor) -> None:
    """Adds write[n] where `exceed` left n dimensions positive, and makes them 0 again."""
    mlp.unit(row({ONE: 16.0}), write[-1] / 16)
    for n, dim in enumerate(range(scratch.start, scratch.stop)):
        mlp.unit(row({ONE: 16.0, dim: -3.0 * 256}), (write[n] - write[n + 1]) / 16)
        mlp.unit(row({dim: 512.0}), row({dim: -1 / 512}))


def table(mlp: Mlp, dim: int, write: Tensor) -> None:
    """Adds write[n], roughly in half precision, where dimension `dim` holds the n of
    `counter`; write[0] is zeros. A broken line with a bend at each n."""
    at = HEIGHT * BASE / (BASE + torch.arange(len(write) + 1))
    gap = (at[:-1] - at[1:])[:, None]
    flat = torch.zeros(1, write.shape[1])
    slopes = torch.cat([flat, (write[1:] - write[:-1]) / gap[:-1], flat])
    for i in range(len(write)):
        steep = 16.0 / float(gap[i])
        gate = row({dim: -steep, ONE: steep * float(at[i])})
        mlp.unit(gate, (slopes[i + 1] - slopes[i]) / steep)


def _constant(value: float) -> Tensor:
    """`row({ONE: value})` to 16 bits even of bfloat16 weights: the second one has the rest."""
    first = float(torch.tensor(value / 896).bfloat16())
    return row(dict(zip(Layout.ballast, (first, (value - 896 * first) / 384), strict=True)))
