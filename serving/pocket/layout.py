"""Which dimension of the residual stream means what, and how a head is set by hand.

All rows of the embedding have nearly the same norm, because one large constant dimension
(`ballast`) dominates it: RMSNorm then divides by nearly the same number everywhere, and the
ballast serves as the bias that Llama's layers lack.
"""

from math import sqrt

import torch
from torch import Tensor
from transformers import LlamaConfig
from transformers.models.llama.modeling_llama import LlamaDecoderLayer

HEAD_DIM = 128
HALF = HEAD_DIM // 2
MAX_OPTIONS = 64


class Layout:
    """Slices and indices of the residual stream, all constant."""

    match: slice = slice(0, 64)
    """The word, first 64 principal components: what the match head compares."""
    word: slice = slice(0, 96)
    """The word, all components. Labels are orthonormal here."""
    after: slice = slice(96, 128)
    """The label last seen, written by layer 1."""
    previous: slice = slice(128, 160)
    """The previous token, written by layer 1."""
    sections: slice = slice(160, 167)
    """One flag a section (see tokenizer.SECTIONS) and the assistant's turn; by layer 1."""
    ballast: int = 167
    begin: int = 168
    order: int = 169
    """A marker's place in the order of markers, scaled to 1."""
    marker: int = 170
    label: int = 171
    answer: int = 172
    rarity: int = 173
    option_region: int = 174
    """1 from the first option on, written by layer 1."""
    matched: int = 175
    """Rarity of the words that a word matched, written by layer 2."""
    average: int = 176
    """`matched` averaged over an option, written by layer 3 at its label."""
    said: slice = slice(177, 209)
    """A sketch of the note's words so far, written by layer 3."""
    seen: slice = slice(209, 217)
    """Rarity and sections of this word's earlier copies, written by layer 2."""
    free: slice = slice(177, 222)
    """For training; `said` and `seen` are its starting point."""
    continuation: int = 222
    """1 for pieces that continue a word, 1 for symbols in the next dimension."""
    symbol: int = 223
    width: int = 224


BALLAST = 5.0


def config_for(vocabulary: int, pad: int, begin: int, end: int) -> LlamaConfig:
    """A plain Llama: two heads a layer, the first by hand and the second free."""
    return LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=Layout.width,
        intermediate_size=384,
        num_hidden_layers=5,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=HEAD_DIM,
        max_position_embeddings=4096,
        # Half of the rotation planes turn by less than 0.1 radian over 1,000 tokens.
        rope_parameters={"rope_type": "default", "rope_theta": 1e8},
        tie_word_embeddings=True,
        rms_norm_eps=1e-6,
        pad_token_id=pad,
        bos_token_id=begin,
        eos_token_id=end,
        dtype="float32",
    )


def slow_dims(count: int) -> list[int]:
    """The head dimensions that rotate least, slowest first; the slowest plane is the bias's."""
    planes = range(HALF - 2, HALF - 2 - (count + 1) // 2, -1)
    return [dim for plane in planes for dim in (plane, plane + HALF)][:count]


class Head:
    """One attention head of a layer, addressed by residual and head dimensions."""

    bias = HALF - 1

    def __init__(self, layer: LlamaDecoderLayer, index: int) -> None:
        rows = slice(index * HEAD_DIM, (index + 1) * HEAD_DIM)
        attention = layer.self_attn
        self.query = attention.q_proj.weight.data[rows]
        self.key = attention.k_proj.weight.data[rows]
        self.value = attention.v_proj.weight.data[rows]
        self.output = attention.o_proj.weight.data[:, rows]
        for weight in (self.query, self.key, self.value, self.output):
            weight.zero_()
        # What RMSNorm makes of a residual of norm |(ballast, 1)|: a factor, undone here.
        self.scale = sqrt(Layout.width / (BALLAST**2 + 1))

    def compare(self, query: Tensor, key: Tensor, strength: float) -> None:
        """Logit += strength · (query x)·(key y), for maps of shape (n, width)."""
        dims = slow_dims(len(query))
        factor = sqrt(strength) * HEAD_DIM**0.25 / self.scale
        self.query[dims] += factor * query
        self.key[dims] += factor * key

    def bias_keys(self, amounts: dict[int, float]) -> None:
        """Logit += amount · (residual dimension of the key), whatever the query."""
        self.query[self.bias, Layout.ballast] = sqrt(HEAD_DIM) / (self.scale * BALLAST)
        for dim, amount in amounts.items():
            self.key[self.bias, dim] += amount / self.scale

    def bias_pairs(self, query_dim: int, amounts: dict[int, float]) -> None:
        """Logit += (query's dimension) · amount · (key's dimension)."""
        plane = self.bias + HALF
        self.query[plane, query_dim] = sqrt(HEAD_DIM) / self.scale
        for dim, amount in amounts.items():
            self.key[plane, dim] += amount / self.scale

    def move(self, read: Tensor, write: Tensor) -> None:
        """Adds write·(read y), weighted by attention; read is (n, width), write (width, n)."""
        free = int((self.value.abs().sum(1) > 0).sum())
        rows = slice(free, free + len(read))
        self.value[rows] += read / self.scale
        self.output[:, rows] += write


def unit(*dims: int) -> Tensor:
    """One row a dimension: the map that reads (or, transposed, writes) these dimensions."""
    rows = torch.zeros(len(dims), Layout.width)
    rows[range(len(dims)), list(dims)] = 1.0
    return rows


def span(dims: slice) -> Tensor:
    """`unit` of all dimensions of a slice."""
    return unit(*range(dims.start, dims.stop))


def embed(columns: Tensor, dims: slice) -> Tensor:
    """Maps of shape (n, len(dims)) as maps of shape (n, width)."""
    rows = torch.zeros(len(columns), Layout.width)
    rows[:, dims] = columns
    return rows
