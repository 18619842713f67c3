"""Where training starts for writing notes: three heads set to copy words, the rest noise.

* Layer 1, head 2 writes each token's predecessor beside it; layer 5, head 2 looks for where
  the current word stood before and proposes what followed (an induction pair).
* Layer 2, head 2 tells each word in which sections it stood before; layer 3, head 2 keeps what
  the note has said so far; layer 5, head 1 proposes words of the history that recur and
  were not said yet.

Layers 1 to 4 may write only where the ranking circuit does not read, and all MLPs are
switched off among the options: see `trainable`.
"""

from math import copysign, cos, sin

import torch
from torch import Tensor
from transformers import LlamaForCausalLM

from serving.pocket.layout import BALLAST, HALF, HEAD_DIM, Head, embed, span, unit
from serving.pocket.layout import Layout as D
from serving.pocket.tokenizer import SECTIONS

ASSISTANT_FLAG = D.sections.start + len(SECTIONS)
HISTORY_FLAG = D.sections.start + list(SECTIONS.values()).index("history")
WORKED, LAST, OTHER = (D.seen.start + 1 + n for n in range(3))
RECURS = D.seen.start
SILENT = 40.0
"""Logit of the sink outside of the assistant's turn: the answer of a ranking stays clean."""


def start_writer(model: LlamaForCausalLM, seed: int) -> None:
    """Sets the free heads and MLPs of a constructed model."""
    torch.manual_seed(seed)
    layers = model.model.layers
    sketch = torch.linalg.qr(torch.randn(96, 96)).Q[:32]
    for layer in layers:
        _noise(layer)
    _previous(Head(layers[0], 1), sketch)
    _seen(Head(layers[1], 1))
    _said(Head(layers[2], 1), sketch)
    _recall(Head(layers[4], 0), sketch)
    _induce(Head(layers[4], 1), sketch)


def trainable(model: LlamaForCausalLM) -> dict[str, Tensor]:
    """Parameter name -> mask of the entries that training may change.

    The four heads of the ranking circuit and the embeddings stay; what layers 1 to 4 add to
    the residual stays out of the dimensions that the circuit reads. Only the last MLPs may
    write words.
    """
    masks = {}
    for name, weight in model.named_parameters():
        mask = torch.ones_like(weight)
        layer = int(name.split(".")[2]) if ".layers." in name else None
        if ("norm" in name and layer is not None) or "embed" in name:
            mask.zero_()
        elif layer is not None and layer < 4:
            _protect(name, mask, words=layer == 3 and "down_proj" in name)
        _keep_switches(name, mask)
        masks[name] = mask
    return masks


def _protect(name: str, mask: Tensor, *, words: bool) -> None:
    if "o_proj" in name or "down_proj" in name:
        kept = torch.ones(D.width, dtype=torch.bool)
        kept[D.free] = kept[D.previous] = False
        if words:
            kept[D.word] = False
        mask[kept] = 0.0
    if "o_proj" in name:
        mask[:, :HEAD_DIM] = 0.0
    elif "self_attn" in name:
        mask[:HEAD_DIM] = 0.0


def _keep_switches(name: str, mask: Tensor) -> None:
    """The sink stays empty, the MLPs stay off among the options, and biases stay as they are:
    the ballast is 15 times any other input, so a step in its column is 15 times as long."""
    if "gate_proj" in name:
        mask[:, [D.option_region, D.begin]] = 0.0
    elif "v_proj" in name:
        mask[:, D.begin] = 0.0
    if any(reader in name for reader in ("gate", "up", "q_proj", "k_proj", "v_proj")):
        mask[:, D.ballast] = 0.0


def _noise(layer: torch.nn.Module) -> None:
    """Random free head and MLP whose outputs start at zero."""
    for name, weight in layer.named_parameters():
        if "mlp" in name:
            weight.data.normal_(0.0, 0.0 if "down" in name else 0.25)
        elif "self_attn" in name and "o_proj" not in name:
            weight.data[HEAD_DIM:].normal_(0.0, 0.1)
        if "mlp" in name and "down" not in name:
            weight.data[:, D.ballast] *= 0.1
        if "gate_proj" in name:
            weight.data[:, [D.option_region, D.begin]] = -SILENT
        elif "v_proj" in name:
            weight.data[HEAD_DIM:, [D.ballast, D.begin]] = 0.0


def _previous(head: Head, sketch: Tensor) -> None:
    """Attends one token back: every fast rotation plane peaks at distance 1."""
    _by_distance(head, peak=1, planes=24, amount=14.0)
    head.move(embed(sketch, D.word), span(D.previous).T)


def _seen(head: Head) -> None:
    """Attends to earlier copies of the word, hardly to the word itself."""
    _by_distance(head, peak=0, planes=12, amount=-0.6)
    head.bias_keys({D.begin: 10.0})
    head.compare(span(D.match), span(D.match), 12.0)
    flags = span(slice(D.sections.start, ASSISTANT_FLAG + 1))
    head.move(torch.cat([unit(D.rarity), flags]), span(D.seen).T)


def _by_distance(head: Head, *, peak: int, planes: int, amount: float) -> None:
    """Logit += amount · the sum over planes of cos(angle · (distance - peak))."""
    size = HEAD_DIM**0.25 / (head.scale * BALLAST) * abs(amount) ** 0.5
    for plane in range(planes):
        angle = 10.0 ** (-8.0 * plane / HALF) * peak
        head.query[plane, D.ballast] = copysign(size, amount) * cos(angle)
        head.query[plane + HALF, D.ballast] = -copysign(size, amount) * sin(angle)
        head.key[plane, D.ballast] = size


def _said(head: Head, sketch: Tensor) -> None:
    """In the assistant's turn: the mean of its words so far."""
    head.bias_keys({D.begin: SILENT})
    head.bias_pairs(ASSISTANT_FLAG, {D.begin: -SILENT, ASSISTANT_FLAG: 20.0})
    head.move(embed(sketch, D.word), span(D.said).T)


def _recall(head: Head, sketch: Tensor) -> None:
    """In the assistant's turn: rare words of the history that recur, not those said."""
    head.bias_keys({D.begin: SILENT})
    head.bias_pairs(
        ASSISTANT_FLAG,
        {
            D.begin: 6.0 - SILENT,
            D.rarity: 6.0,
            RECURS: 6.0,
            WORKED: 3.0,
            OTHER: 2.0,
            LAST: -2.0,
            HISTORY_FLAG: 3.0,
            ASSISTANT_FLAG: -20.0,
        },
    )
    head.compare(-3.0 * span(D.said), embed(sketch, D.word), 30.0)
    head.move(span(D.word), span(D.word).T)


def _induce(head: Head, sketch: Tensor) -> None:
    """Words that followed an earlier copy of the current word."""
    head.bias_keys({D.begin: SILENT})
    head.bias_pairs(ASSISTANT_FLAG, {D.begin: 12.0 - SILENT})
    head.compare(3.0 * embed(sketch, D.word), span(D.previous), 14.0)
    head.move(span(D.word), 2.0 * span(D.word).T)
