"""Which dimension of the residual stream means what, and how parts of a layer are set by hand.

One constant dimension (`ballast`) dwarfs all others, so RMSNorm divides by the same number
everywhere: what is written is read back unchanged, and the ballast serves as the bias that
Llama's layers lack.
"""

from math import exp, log, sqrt

import torch
from torch import Tensor
from transformers import LlamaConfig
from transformers.models.llama.modeling_llama import LlamaDecoderLayer

HEAD_DIM = 128
HALF = HEAD_DIM // 2
LAYERS = 8
MAX_OPTIONS = 52
MAX_LINES = 12
BALLAST = 1024.0
ROPE_THETA = 1e8
"""Half of the rotation planes turn by less than 0.13 radian over 1,000 tokens."""


class Layout:
    """Slices and indices of the residual stream, all constant."""

    match: slice = slice(0, 64)
    """The word, first 64 principal components: what match heads compare."""
    word: slice = slice(0, 80)
    """The word, all components; at a marker that ends a title, the sum of the title's words."""
    option: slice = slice(80, 144)
    """One axis an option, then one a line number. At a marker: the option that it ends; in the
    answer: options listed so far, or scores, and the next number; in a note the words said."""
    segment: slice = slice(144, 160)
    """Code of the option, or line, that a token is part of or ends."""
    offset: slice = slice(160, 176)
    """Code of a token's place within it."""
    pointer: slice = slice(176, 192)
    """In an answer: the segment code of the option that is being written."""
    previous: slice = slice(132, 192)
    """Before the options: the previous word, where codes and line numbers are not needed."""
    ballast: int = 192
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
    """Rarity of the words that a word matched."""
    average: int = 213
    """`matched` over an option, at the marker that ends it."""
    count: int = 214
    """Options and lines so far, see `Mlp.table`."""
    place: int = 215
    """Tokens of the segment so far, see `Mlp.table`."""
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
    """The option's place among the options, `MAX_OPTIONS` a whole."""
    limit: int = 231
    """Lines that were asked for, `MAX_LINES` a whole."""
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


SCALE = sqrt(Layout.width) / BALLAST
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
        free = _slow_dims()[self._compared : self._compared + len(query)]
        self._compared += len(query)
        product = abs(strength) * sqrt(HEAD_DIM) / SCALE**2
        factor = 2.0 ** round(torch.tensor(product).log2().item() / 2)
        self.query[free] = factor * query
        self.key[free] = strength / abs(strength) * product / factor * key

    def bias(self, key: Tensor, query: Tensor | None = None) -> None:
        """Logit += (query x)·(key y), for rows of shape (width,); a query of 1 if none.

        Two in one plane mix where it turns: large ones come first, on planes that hardly do.
        """
        one = row({Layout.ballast: 1 / BALLAST}) if query is None else query
        self.compare(one[None], key[None] / key.abs().max(), float(key.abs().max()))

    def by_distance(self, wanted: Tensor, query: Tensor, key: Tensor, planes: int = 30) -> None:
        """Logit += about wanted[distance] · (query x)·(key y): a fit by the fast planes, best at
        short distances."""
        distances = torch.arange(len(wanted), dtype=torch.float64)
        turns = distances[:, None] * ROPE_THETA ** (-torch.arange(planes) / HALF).double()
        waves = torch.cat([turns.cos(), turns.sin()], dim=1)
        weighed = (waves / (distances[:, None] + 3)).T
        ridge = 1e-5 * len(wanted) * torch.eye(2 * planes, dtype=torch.float64)
        fit = torch.linalg.solve(weighed @ waves + ridge, weighed @ wanted.double()).float()
        for plane, (even, odd) in enumerate(fit.view(2, planes).T.tolist()):
            size = sqrt(sqrt(HEAD_DIM) * max(abs(even), abs(odd), 1e-9)) / SCALE
            self.key[plane] = size * key
            self.query[plane] = sqrt(HEAD_DIM) * even / SCALE**2 / size * query
            self.query[plane + HALF] = -sqrt(HEAD_DIM) * odd / SCALE**2 / size * query

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
        one = row({Layout.ballast: 1 / BALLAST}) if up is None else up
        self.gate[self._used] = gate / SCALE
        self.up[self._used] = one / SCALE
        self.down[:, self._used] = write
        self._used += 1

    def table(self, dim: int, write: Tensor, only: dict[int, float]) -> None:
        """Adds write[n] where dimension `dim` holds the n of `counter`, write[0] being zeros.
        Nothing where the sum of `only` is -1 or less.

        A broken line with a bend at each n, the steeper the closer they lie.
        """
        n = torch.arange(len(write) + 1)
        read = float(torch.tensor(1 / SCALE).half()) * SCALE
        at = HEIGHT * read * BASE / (BASE + n)
        gap = (at[:-1] - at[1:])[:, None]
        flat = torch.zeros(1, write.shape[1])
        slopes = torch.cat([flat, (write[1:] - write[:-1]) / gap[:-1], flat])
        for i in range(len(write)):
            steep = 16.0 / float(gap[i])
            gate = row({dim: -steep, Layout.ballast: steep * float(at[i]) / BALLAST})
            gate += row({k: v * 512.0 for k, v in only.items()})
            self.unit(gate, (slopes[i + 1] - slopes[i]) / steep)


def _stored(strength: float) -> float:
    """What half-precision weights make of a strength."""
    product = strength * sqrt(HEAD_DIM) / SCALE**2
    factor = 2.0 ** round(torch.tensor(product).log2().item() / 2)
    return float(torch.tensor(product / factor).half()) * factor * SCALE**2 / sqrt(HEAD_DIM)


BASE = exp(_stored(log(16.0)))
HEIGHT = 8.0
"""A head that gives the first token the weight of 16 others and moves HEIGHT from it counts."""


def counter(head: Head, dim: int) -> None:
    """Writes the number n of tokens that the head attends to, beside the first, as
    HEIGHT · BASE / (BASE + n). The head's logits are 0 for these and log BASE for the first."""
    head.move(unit(Layout.begin), HEIGHT * unit(dim).T)


def codes(count: int) -> Tensor:
    """Rows of norm 1, shape (count, 16): row n turns by n steps in eight planes, so that the
    next row is a rotation of it (`turned`) and no two rows are close."""
    turns = torch.arange(count)[:, None] * _speeds()
    return torch.cat([turns.cos(), turns.sin()], dim=1) / sqrt(8)


def turned() -> Tensor:
    """The map from each row of `codes` to the next, shape (16, 16)."""
    cos, sin = _speeds().cos().diag(), _speeds().sin().diag()
    return torch.cat([torch.cat([cos, -sin], 1), torch.cat([sin, cos], 1)])


def _speeds() -> Tensor:
    golden = (1 + sqrt(5)) / 2
    return 0.1 + (torch.arange(1, 9) * golden).frac()


def _slow_dims() -> list[int]:
    """The head dimensions that rotate least, slowest first."""
    return [dim for plane in range(HALF - 1, 29, -1) for dim in (plane, plane + HALF)]


def row(entries: dict[int, float]) -> Tensor:
    """A row of shape (width,) with these entries."""
    result = torch.zeros(Layout.width)
    for dim, value in entries.items():
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
