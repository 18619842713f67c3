"""Likelihoods of continuations against a plain forward pass for each."""

import pytest
import torch
from torch import Tensor

from lrgd.core.errors import InputError
from lrgd.theory.adapters import adapt
from lrgd.theory.continuations import ROW, log_likelihoods
from lrgd.theory.prompt_state import read_prompt
from tests.theory.test_dual import assert_close
from tests.theory.tiny import CASES, random_prompt, tiny

CONTINUATIONS = [[5], [5, 6, 7], [8, 9], [5, 6, 90, 3, 2]]
HIDDEN = [20, 21, 24]


def alone(case: str, ids: Tensor, tokens: list[int], hidden: list[int]) -> Tensor:
    """log p by the model's own masked forward pass over prompt and continuation."""
    whole = torch.cat([ids, torch.tensor(tokens)])
    mask = torch.ones(1, len(whole), dtype=torch.long)
    mask[0, hidden] = 0
    places = torch.arange(len(whole))[None]
    with torch.no_grad():
        logits = tiny(case)(whole[None], attention_mask=mask, position_ids=places).logits[0]
    predicted = logits[len(ids) - 1 : -1].log_softmax(-1)
    return torch.stack([row[token] for row, token in zip(predicted, tokens, strict=True)]).sum()


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("hidden", [[], HIDDEN])
def test_each_is_what_the_model_says_of_it_alone(case: str, hidden: list[int]) -> None:
    """Windows and biases included; "mistral windowed" cannot see the first hidden tokens anyway."""
    ids = random_prompt()
    found = log_likelihoods(read_prompt(adapt(tiny(case)), ids), CONTINUATIONS, hidden)
    wanted = torch.stack([alone(case, ids, tokens, hidden) for tokens in CONTINUATIONS])
    assert_close(found, wanted, 1e-6)  # RMSNorm is float32


def test_more_than_a_row_of_them_and_left_padding() -> None:
    """A padded prompt says the same, and so does a row by itself."""
    model, ids = adapt(tiny("llama")), random_prompt()
    many = [[3 + i % 50, 4 + i % 60, 5] for i in range(ROW // 2)]
    found = log_likelihoods(read_prompt(model, ids), many)
    assert found.shape == (len(many),)
    padded = torch.cat([torch.zeros(6, dtype=torch.long), ids])
    mask = (torch.arange(len(padded)) >= 6).long()
    again = log_likelihoods(read_prompt(model, padded, mask), many[::-1])
    assert_close(found, again.flip(0), 1e-6)


def test_what_cannot_be_asked() -> None:
    prompt = read_prompt(adapt(tiny("llama")), random_prompt())
    with pytest.raises(InputError, match="last token"):
        log_likelihoods(prompt, [[5]], [47])
    with pytest.raises(InputError, match="room for 80 tokens"):
        log_likelihoods(prompt, [[5] * 81])
