"""The ranking circuit, built by hand: options are ranked by the words that they share.

Layer 1 tells each token its region and section, and in it which lettered option it is part of or
ends: letters carry their codes. Layer 2 has each token look before the options for words like
itself; layer 3 does so once more in the note alone, and in the history counts how often a word
came; in layer 4 the marker after an option averages what its words matched, the more where the
note has them too, which layer 5 puts on the option's axis; layer 6 carries the axes to the answer.
A sink at the first token says "none".
`listing` and `writer` are the circuits of written lists and notes.
"""

from dataclasses import dataclass
from math import log

import torch
from torch import Tensor
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from serving.pocket.counting import SINK, counter, table
from serving.pocket.embedding import embeddings
from serving.pocket.layout import (
    BALLAST,
    EQUAL,
    NUMBER_AXES,
    ONE,
    OPTION_AXES,
    SCALE,
    Head,
    Mlp,
    codes,
    config_for,
    row,
    span,
    turns,
    unit,
)
from serving.pocket.layout import Layout as D
from serving.pocket.listing import add_listing
from serving.pocket.writer import Writer, add_writer

GAIN = 15.0
"""Logits for each unit of an output dimension."""
LOWER = 38.0
"""Taken from all logits: half precision is finest near 0, where the best label's are to be."""
OFF = -8.0
"""Put on the classes that a request does not want."""


@dataclass(frozen=True, slots=True)
class Circuit:
    """The circuit's few numbers, chosen on Games users of the validation half."""

    sharpness: float = 12.0
    """Logit of an equal word; a similar one gets its cosine's part."""
    sink: float = 10.0
    """Logit of "no match"."""
    exact: float = 24.0
    """Logit of an equal word of the note, where likeness counts for less."""
    absent: float = 21.0
    """Logit of "not in the note"."""
    once: float = 26.0
    """The same for a word that recurs in the history, so high that each time counts."""
    rarity: float = 4.0
    """Exponent of the rarity weight (log of the frequency rank, scaled to 1)."""
    brevity: float = 6.0
    """Tokens added to an option's length, so that few words alone are no merit."""
    note: float = 0.5
    """What a note adds at most to an option's score, as a part of that score."""
    enough: float = 0.2
    """Mean match with the note from which all of that is added."""
    loudness: float = 40.0
    """Logit of an option whose words all matched, against one where none did."""


def construct(
    tokenizer: PreTrainedTokenizerFast,
    circuit: Circuit | None = None,
    writer: Writer | None = None,
) -> LlamaForCausalLM:
    """The whole model; nothing in it is random or trained."""
    circuit = circuit or Circuit()
    config = config_for(
        len(tokenizer), tokenizer.pad_token_id, tokenizer.bos_token_id, tokenizer.eos_token_id
    )
    model = LlamaForCausalLM(config)
    for weight in model.parameters():
        if weight.dim() > 1:
            weight.data.zero_()
    model.model.embed_tokens.weight.data = embeddings(tokenizer, circuit.rarity)
    layers = model.model.layers
    heads = [[Head(layer, n) for n in range(2)] for layer in layers]
    mlps = [Mlp(layer) for layer in layers]
    _region(heads[0][0])
    _section(heads[0][1])
    _ends(mlps[0], mlps[2])
    _match(heads[1][1], circuit.sharpness, {D.begin: circuit.sink, D.options: -60.0})
    heads[1][1].move(unit(D.rarity), unit(D.matched).T)
    noted = {D.note: 60.0, D.marker: -120.0, D.symbol: -120.0, D.begin: 180.0 + circuit.absent}
    _recur(heads[2][0], circuit)
    _match(heads[2][0], circuit.exact, noted)
    heads[2][0].move(row({ONE: 1.0, D.begin: -1.0})[None], unit(D.noted).T)
    _place(heads[3][1], mlps[6])
    _average(heads[3][0], circuit)
    _sharpen(mlps[3], circuit)
    _score(mlps[4])
    _classes(mlps[6])
    add_listing(heads, mlps)
    _answer(heads[5][0], mlps[5], circuit)
    add_writer(heads, mlps, writer or Writer())
    model.model.norm.weight.data = _readable()
    _shrink(model)
    model.eval()
    return model


CLASSES = [D.line, D.label, D.opener, D.link, D.first, D.second, D.stop, D.end, D.banned]


def _readable() -> Tensor:
    scales = torch.zeros(D.width)
    scales[D.word] = scales[D.option] = GAIN / SCALE
    scales[CLASSES] = GAIN / SCALE
    scales[D.banned] *= 3.0
    scales[D.ballast[0]] = -LOWER / (SCALE * BALLAST[0] ** 2)
    return scales


def _shrink(model: LlamaForCausalLM, factor: float = 0.25) -> None:
    """Makes the classes' dimensions small beside the ballast, and their readers' weights large:
    the function stays the same, and RMSNorm's divisor almost constant."""
    for name, weight in model.named_parameters():
        if "embed" in name:
            weight.data[:, CLASSES] *= factor
        elif any(part in name for part in ("o_proj", "down_proj")):
            weight.data[CLASSES] *= factor
        elif "proj" in name:
            weight.data[:, CLASSES] /= factor
    model.model.norm.weight.data[CLASSES] /= factor**2


def _region(head: Head) -> None:
    """Each token attends to the last request or, before that, to what opened the options."""
    head.bias(row({D.region: 80.0, D.begin: 40.0}))
    modes = (D.lettering, D.listing, D.noting, D.limit)
    head.move(unit(*modes), unit(*modes).T)
    head.move(unit(D.opened), unit(D.options).T)


def _classes(mlp: Mlp) -> None:
    """What each kind of request wants of an answer; after a letter, the end."""
    off = {D.line: OFF, D.opener: OFF, D.link: OFF, D.label: OFF, D.banned: 4 * OFF}
    for mode, wanted in (
        (D.lettering, {**off, D.label: 2.0}),
        (D.listing, {**off, D.line: -2.0, D.label: -40.0}),
        (D.noting, {**off, D.opener: -2.0, D.link: 0.0}),
    ):
        mlp.unit(row({mode: 16.0}), row(wanted) / 16.0)
    answered = row({D.lettering: 16.0, D.label: 16.0, ONE: -16.0})
    mlp.unit(answered, row({D.end: 0.5}))


def _section(head: Head) -> None:
    """Each token attends to the nearest marker, of labels and numbers to the last one's number,
    and learns which section, option or line it is in, and in an answer the next line's number."""
    head.bias(row({D.marker: 256 * EQUAL, D.index: 64 * EQUAL}))
    head.waves(NEAR, row({ONE: 1.0}), row({D.marker: 1.0}))
    flags = (D.index, D.note, D.worked, D.last, D.other, D.noted, D.title)
    head.move(unit(*flags), unit(*flags).T)
    head.move(codes().T @ span(D.option), span(D.segment).T)
    numbers = range(NUMBER_AXES.start, NUMBER_AXES.stop)
    head.move(unit(*numbers[:-1]), unit(*numbers[1:]).T)


NEAR = dict(enumerate((1.9, 2.3, 7.4, 12.0, 29.2, 146.7, 115.1, 114.6, 117.9, 97.4, 195.2)))
"""Falls by 10 from any distance below 70 to any that is 3 or more longer, up to 4,096: of all sums
of waves that do, the one of the least size (a linear programme's answer)."""


def _ends(first: Mlp, second: Mlp) -> None:
    """Takes a label's own axis away, then adds that of the option that its code is of."""
    for axis, code in zip(range(OPTION_AXES.start, OPTION_AXES.stop), codes(), strict=False):
        first.unit(row({axis: 16.0}), row({axis: -1 / 16}))
        gate = 4.0 * (code @ span(D.segment) + row({D.counted: 16.0, ONE: -28.0}))
        second.unit(gate, row({axis: 1 / 16}))


def _match(head: Head, sharpness: float, where: dict[int, float]) -> None:
    """Each token attends to words like itself."""
    head.bias(row(where))
    head.compare(span(D.match), span(D.match), sharpness)


def _recur(head: Head, circuit: Circuit) -> None:
    """In the history the note's head looks for the same word before, and a single one is little."""
    history = row({D.title: 1.0, D.options: -1.0, D.counted: -2.0})
    head.bias(row({D.begin: circuit.once - 60.0 - circuit.absent}), query=history)


def _place(head: Head, mlp: Mlp) -> None:
    """Counts the tokens of the own segment so far; in a list's answer the assistant's mark too, so
    that a token has the place of the next one. A line's number is before the first."""
    head.same(D.segment, SINK)
    head.bias(row({D.assistant: 16 * EQUAL}), query=row({D.listing: 1.0}))
    head.bias(row({D.begin: 800.0, D.assistant: 800.0}), query=row({D.number: 1.0}))
    counter(head, D.place)
    places = torch.zeros(64, D.width)
    places[1:, D.offset] = turns(64)[1:]
    table(mlp, D.place, places)


def _average(head: Head, circuit: Circuit) -> None:
    """The marker after an option attends to all of its tokens alike."""
    head.same(D.segment, log(circuit.brevity))
    head.bias(row({D.counted: -200.0}))
    head.bias(row({D.begin: 400.0}), query=row({ONE: 1.0, D.counted: -1.0}))
    head.move(unit(D.matched, D.noted), LOUD * unit(D.matched, D.noted).T)
    head.move(span(D.word), span(D.word).T)


def _sharpen(mlp: Mlp, circuit: Circuit) -> None:
    """Multiplies the average of an option by 1 + note · min(match with the note / enough, 1)."""
    steep = 64.0
    full = LOUD * circuit.enough
    more = row({D.matched: circuit.note / full / steep})
    average = row({D.matched: 1.0})
    mlp.unit(row({D.noted: steep}), more, up=average)
    mlp.unit(row({D.noted: steep, ONE: -steep * full}), -more, up=average)


LOUD = 16.0
"""What an average is written with."""
RAISE = 4.0
"""An option's axis is 1/2 + RAISE · its average."""


def _score(mlp: Mlp) -> None:
    """Lengthens an option's axis by its average."""
    for axis in range(OPTION_AXES.start, OPTION_AXES.stop):
        up = row({D.matched: RAISE / LOUD, ONE: -0.5})
        mlp.unit(row({axis: 16.0, D.number: -400.0}), row({axis: 1 / 16}), up=up)


def _answer(head: Head, mlp: Mlp, circuit: Circuit) -> None:
    """After a choice's request: attends to all options alike and copies their axes; the sink, as
    heavy as 200 options, keeps scores from depending on how many there are. The head is that of
    `listing`, which copies axes as well."""
    lettering = row({D.lettering: 1.0})
    ends = {D.counted: 60.0, D.options: 60.0, ONE: -60.0}
    head.bias(row({**ends, D.begin: 60.0 + log(200.0 / 64.0)}), query=lettering)
    amount = circuit.loudness * (200.0 + 50.0) / (GAIN * RAISE)
    for axis in range(OPTION_AXES.start, OPTION_AXES.stop):
        mlp.unit(
            row({D.lettering: 16.0, D.counted: -64.0}),
            row({axis: amount / 16.0}),
            up=row({axis: 1.0}),
        )
