"""Which dimension of the residual stream means what, and how parts of a layer are set by hand.

Two constant dimensions (`ballast`) dwarf all others, so RMSNorm divides by 64 everywhere: what
is written is read back unchanged, and the ballast serves as the bias that Llama's layers lack.
All of it works in bfloat16 and float16 too: flags, codes and counts are numbers that 8 bits hold,
logits that must cancel do so exactly, and no sum of large terms has to be small.
"""

from math import cos, log2, sin, sqrt

import torch
from torch import Tensor
from transformers import LlamaConfig
from transformers.models.llama.modeling_llama import LlamaDecoderLayer

HEAD_DIM = 128
HALF = HEAD_DIM // 2
LAYERS = 8
MAX_OPTIONS = 52
MAX_LINES = 12
BALLAST = (896.0, 384.0)
"""14² + 6² = 232, the width: the root of their mean square is 64."""
ONE = -1
"""Stands for the constant 1 among the entries of a `row`."""
ROPE_THETA = 2.0**64
"""Plane n turns by 2^-n radian a token: exact in half precision, and most planes stand still."""


class Layout:
    """Slices and indices of the residual stream, all constant."""

    match: slice = slice(0, 64)
    """The word, first 64 principal components: what match heads compare."""
    word: slice = slice(0, 80)
    """The word, all components; at a marker that ends a title, the sum of the title's words."""
    option: slice = slice(80, 144)
    """One axis an option, then one a line number. At a marker: the option that it ends; in the
    answer: options listed so far, or scores, and the next number."""
    segment: slice = slice(144, 160)
    """Code of the option, or line, that a token is part of or ends."""
    offset: slice = slice(160, 176)
    """Code of a token's place within it."""
    pointer: slice = slice(176, 192)
    """In an answer: the segment code of the option that is being written."""
    previous: slice = slice(132, 192)
    """Where codes and line numbers are not needed. Before the options: the previous word; in a
    note: the words said."""
    ballast: tuple[int, int] = (192, 213)
    begin: int = 193
    rarity: int = 194
    continuation: int = 195
    """1 for what continues a word: pieces, and numbers."""
    symbol: int = 196
    """1 for whatever is not a word, and for the most common words: no note names them."""
    region: int = 197
    """A region marker's place in the order of regions."""
    marker: int = 198
    """1 for what opens a section, a title, an option or a line."""
    counted: int = 199
    """1 for what opens an option or a line, or ends the last of them."""
    number: int = 230
    """1 for a line's number."""
    line: int = 200
    """Class of line numbers."""
    label: int = 201
    """Class of the options' letters."""
    opener: int = 202
    """Class of phrases that begin a note."""
    link: int = 203
    """Class of what can follow a note's word, and below its two places in a note."""
    first: int = 204
    second: int = 205
    stop: int = 206
    """1 for the full stop."""
    end: int = 207
    banned: int = 208
    """Class of what no answer contains."""
    lettering: int = 229
    """1 after the request for a letter."""
    listing: int = 209
    """1 after the request for a list."""
    noting: int = 210
    """1 after the request for a note."""
    options: int = 211
    """1 from the first option on."""
    matched: int = 212
    """Rarity of the words that a word matched; at the marker that ends an option, its mean."""
    count: int = 214
    """Options of a list so far, see `counting`."""
    place: int = 215
    """Tokens of the segment so far; in a list's answer, one more."""
    square: int = 216
    """Squared norm of the sum of a title's words."""
    assistant: int = 217
    asks: int = 218
    """1 for phrases of a note that a word must follow."""
    recent: int = 219
    """1 for openers that mean the latest purchases; below, those that mean the recurring."""
    steady: int = 220
    note: int = 221
    worked: int = 222
    last: int = 223
    other: int = 224
    noted: int = 225
    """How well a word matched the note's; in the history the same word so far, the higher the
    more often it came."""
    title: int = 226
    index: int = 227
    """The number of an option, or of a line, 16 a whole."""
    limit: int = 231
    """Lines that were asked for, 16 a whole."""
    opened: int = 228
    """1 for what begins the options or follows them."""
    width: int = 232


OPTION_AXES = slice(Layout.option.start, Layout.option.start + MAX_OPTIONS)
NUMBER_AXES = slice(OPTION_AXES.stop, Layout.option.stop)


def config_for(vocabulary: int, pad: int, begin: int, end: int) -> LlamaConfig:
    """A plain Llama with two heads a layer."""
    return LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=Layout.width,
        intermediate_size=160,
        num_hidden_layers=LAYERS,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=HEAD_DIM,
        max_position_embeddings=4096,
        rope_parameters={"rope_type": "default", "rope_theta": ROPE_THETA},
        tie_word_embeddings=True,
        rms_norm_eps=1e-6,
        pad_token_id=pad,
        bos_token_id=begin,
        eos_token_id=end,
        dtype="float32",
    )


SCALE = 1 / 64
"""What RMSNorm makes of a residual, undone wherever one is read."""


class Head:
    """One attention head of a layer, addressed by residual dimensions."""

    def __init__(self, layer: LlamaDecoderLayer, index: int) -> None:
        rows = slice(index * HEAD_DIM, (index + 1) * HEAD_DIM)
        attention = layer.self_attn
        self.query = attention.q_proj.weight.data[rows]
        self.key = attention.k_proj.weight.data[rows]
        self.value = attention.v_proj.weight.data[rows]
        self.output = attention.o_proj.weight.data[:, rows]
        self._compared = 0
        self._moved = 0

    def compare(self, query: Tensor, key: Tensor, strength: float) -> None:
        """Logit += strength · (query x)·(key y), for maps of shape (n, width).

        Equal strengths cancel exactly, also in half precision: the query's factor is a power of 2.
        """
        free = _still_dims()[self._compared : self._compared + len(query)]
        self._compared += len(query)
        product = abs(strength) * sqrt(HEAD_DIM) / SCALE**2
        factor = 2.0 ** round(torch.tensor(product).log2().item() / 2)
        self.query[free] = factor * query
        self.key[free] = strength / abs(strength) * product / factor * key

    def bias(self, key: Tensor, query: Tensor | None = None) -> None:
        """Logit += (query x)·(key y), for rows of shape (width,); a query of 1 if none."""
        one = row({ONE: 1.0}) if query is None else query
        self.compare(one[None], key[None] / key.abs().max(), float(key.abs().max()))

    def same(self, dims: slice, sink: float) -> None:
        """Logit += 0 for tokens of equal `codes`, -22 or less for others, `sink` for the first."""
        self.compare(span(dims), span(dims), EQUAL)
        self.bias(row({ONE: -16 * EQUAL, Layout.begin: 16 * EQUAL}))
        self.bias(row({Layout.begin: sink}))

    def waves(self, sizes: dict[int, float], query: Tensor, key: Tensor, lag: float = 0) -> None:
        """Logit += sum of size · cos(2^-plane · (distance - lag)) · (query x)·(key y), for sizes
        by plane."""
        for plane, size in sizes.items():
            turn = lag * 2.0**-plane
            factor = 2.0 ** round(log2(size * sqrt(HEAD_DIM) / SCALE**2) / 2)
            self.key[plane] = size * sqrt(HEAD_DIM) / SCALE**2 / factor * key
            self.query[plane] = cos(turn) * factor * query
            self.query[plane + HALF] = -sin(turn) * factor * query

    def move(self, read: Tensor, write: Tensor) -> None:
        """Adds write·(read y), weighted by attention; read is (n, width), write (width, n)."""
        rows = slice(self._moved, self._moved + len(read))
        self._moved += len(read)
        self.value[rows] = read / SCALE
        self.output[:, rows] = write


class Mlp:
    """The MLP of a layer, one hidden unit after the other."""

    def __init__(self, layer: LlamaDecoderLayer) -> None:
        self.gate = layer.mlp.gate_proj.weight.data
        self.up = layer.mlp.up_proj.weight.data
        self.down = layer.mlp.down_proj.weight.data
        self._used = 0

    def unit(self, gate: Tensor, write: Tensor, up: Tensor | None = None) -> None:
        """Adds write · silu(gate x) · (up x), for rows of shape (width,); up is 1 if none."""
        one = row({ONE: 1.0}) if up is None else up
        self.gate[self._used] = gate / SCALE
        self.up[self._used] = one / SCALE
        self.down[:, self._used] = write
        self._used += 1


EQUAL = 32 / sqrt(HEAD_DIM)
"""A power of 2 before attention's scaling: 16 products of codes cancel against -16 exactly."""


def codes() -> Tensor:
    """64 rows of 16 signs, two of which agree in 12 places at most: pairs of rows of a Hadamard
    matrix. The options' codes, then the lines'."""
    signs = torch.tensor([[1.0, 1.0], [1.0, -1.0]])
    eight = torch.kron(torch.kron(signs, signs), signs)
    return torch.stack([torch.cat([first, second]) for first in eight for second in eight])


def turns(count: int) -> Tensor:
    """Rows of norm 1, shape (count, 16): row n turns by n steps in eight planes, so that rows
    change little by little and no two are close."""
    golden = (1 + sqrt(5)) / 2
    angles = torch.arange(count)[:, None] * (0.1 + (torch.arange(1, 9) * golden).frac())
    return torch.cat([angles.cos(), angles.sin()], dim=1) / sqrt(8)


def _still_dims() -> list[int]:
    """The head dimensions that do not rotate, the stillest first."""
    return [dim for plane in range(HALF - 1, 23, -1) for dim in (plane, plane + HALF)]


def row(entries: dict[int, float]) -> Tensor:
    """A row of shape (width,) with these entries, `ONE` among them."""
    result = torch.zeros(Layout.width)
    for dim, value in entries.items():
        if dim == ONE:
            # 896 / 128 - 384 / 64 is 1, by powers of 2.
            result[list(Layout.ballast)] = torch.tensor([value / 128, -value / 64])
        else:
            result[dim] = value
    return result


def unit(*dims: int) -> Tensor:
    """One row a dimension: the map that reads (or, transposed, writes) these dimensions."""
    return torch.stack([row({dim: 1.0}) for dim in dims])


def span(dims: slice) -> Tensor:
    """`unit` of all dimensions of a slice."""
    return unit(*range(dims.start, dims.stop))


def embed(columns: Tensor, dims: slice) -> Tensor:
    """Maps of shape (n, len(dims)) as maps of shape (n, width)."""
    rows = torch.zeros(len(columns), Layout.width)
    rows[:, dims] = columns
    return rows
