"""What explaining one output token costs, against the forward pass of its prompt.

    OMP_NUM_THREADS=1 python -m benchmarks.explain_cost

Prints, for SmolLM2-135M and a random 4-layer, 1024-wide Llama: seconds of the forward pass
(which leaves the keys and values), seconds of the explanation (all layers, heads and demonstration
tokens, completeness checked), their ratio, wanted <= 10 %; and the bytes that all operations of an
explanation allocate, with their growth when n doubles, wanted <= 2.2. Exit code 1 if either fails.
Not in it: masking words everywhere, each of which reads the prompt's end and both titles again.
"""

import sys
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from transformers import LlamaConfig, LlamaForCausalLM

from lrgd.explain.model import load_local
from lrgd.serving.models import DEFAULT
from lrgd.theory import Decoder, PromptState, adapt, attribute, read_prompt

LENGTHS = (512, 1024, 2048)
RUNS = 5
MOST_TIME, MOST_GROWTH = 0.10, 2.2


class Allocated(TorchDispatchMode):
    """Counts the bytes of every tensor that an operation allocates, and the largest of them."""

    def __init__(self) -> None:
        super().__init__()
        self.total = self.largest = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        given = {storage_of(x) for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)}
        for tensor in tree_leaves(out):
            if isinstance(tensor, Tensor) and storage_of(tensor) not in given:
                size = tensor.untyped_storage().nbytes()
                self.total, self.largest = self.total + size, max(self.largest, size)
        return out


def storage_of(tensor: Tensor) -> int:
    """Two tensors with the same are views of one another."""
    return tensor.untyped_storage().data_ptr()


def smollm() -> Any:
    """The default model in float32."""
    return load_local(DEFAULT).model


def wide() -> Any:
    """A random Llama of 4 layers, 1024 wide."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=32_000,
        hidden_size=1024,
        intermediate_size=2816,
        num_hidden_layers=4,
        num_attention_heads=16,
        num_key_value_heads=4,
        max_position_embeddings=4096,
    )
    return LlamaForCausalLM(config)


def seconds(job: Callable[[], object]) -> float:
    """Median of some runs after one to warm up."""
    job()
    return median(_timed(job) for _ in range(RUNS))


def _timed(job: Callable[[], object]) -> float:
    start = time.perf_counter()
    job()
    return time.perf_counter() - start


def explained(prompt: PromptState) -> object:
    """All that `lrgd explain` reads off the last row, for a demonstration of 40 tokens."""
    demonstration = torch.zeros(len(prompt), dtype=torch.bool)
    demonstration[20:60] = True
    return attribute(prompt, demonstration, target=100, rival=200)


def measure(name: str, decoder: Decoder) -> bool:
    """Print the figures of one model; True if they hold."""
    good, before = True, 0
    for n in LENGTHS:
        ids = torch.randint(1000, 20_000, (n,), generator=torch.Generator().manual_seed(n))
        prompt = read_prompt(decoder, ids)
        forward = seconds(lambda ids=ids: read_prompt(decoder, ids))
        explain = seconds(lambda prompt=prompt: explained(prompt))
        with Allocated() as count:
            explained(prompt)
        growth = count.total / (before or count.total)
        good = good and explain / forward <= MOST_TIME and growth <= MOST_GROWTH
        print(
            f"{name:>6} n={n:5d}  forward {forward:7.4f} s  explain {explain:7.4f} s  "
            f"ratio {explain / forward:6.2%}  allocated {count.total / 2**20:7.2f} MiB"
            f" (x{growth:.2f}), largest tensor {count.largest / 2**20:6.2f} MiB"
        )
        before = count.total
    return good


def main() -> None:
    """Measure both models."""
    torch.set_num_threads(1)
    held = [
        measure(name, adapt(build().eval())) for name, build in (("smollm", smollm), ("wide", wide))
    ]
    print("held" if all(held) else "NOT held")
    sys.exit(0 if all(held) else 1)


if __name__ == "__main__":
    main()
