"""Attribution: complete, and the same number by other routes (test 12)."""

from math import log2

import numpy as np
import pytest
import torch
from torch import Tensor

from lrgd.agents.evaluator import effect
from lrgd.core.errors import InputError
from lrgd.theory.adapters import adapt
from lrgd.theory.attention import softmax_attention
from lrgd.theory.attribution import attribute, masking_change
from lrgd.theory.counterfactual import masked_at_answer, masked_everywhere
from lrgd.theory.decoder import DualDecoder
from lrgd.theory.greedy import greedy
from lrgd.theory.last_row import last_row
from lrgd.theory.norms import exact_norms, norm_factor
from lrgd.theory.prompt_state import PromptState, read_prompt
from tests.theory.test_dual import assert_close, normal
from tests.theory.tiny import CASES, FAMILIES, middle, random_prompt, tiny

TARGET, RIVAL = 40, 41
LAST = torch.arange(48) == 47
TOLERANCE = 1e-10


def read(case: str, dtype: torch.dtype = torch.float64) -> PromptState:
    return read_prompt(adapt(tiny(case, dtype)), random_prompt())


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("rival", [RIVAL, None])
def test_the_terms_add_up_to_the_models_logit(case: str, rival: int | None) -> None:
    with exact_norms(adapt(tiny(case))):
        prompt = read(case)
        found = attribute(prompt, middle(), TARGET, rival)
    assert abs(found.total - found.difference) < TOLERANCE
    wanted = prompt.logits[TARGET] - (prompt.logits[rival] if rival is not None else 0)
    assert found.difference == float(wanted)


@pytest.mark.parametrize("case", CASES)
def test_all_tokens_together_are_the_heads(case: str) -> None:
    prompt = read(case)
    found = attribute(prompt, ~LAST, TARGET, RIVAL)
    rows = list(last_row(prompt))
    own = torch.stack([row.weights[..., -1].flatten() for row in rows])
    assert_close(found.mass, 1 - own, TOLERANCE)
    weight = prompt.decoder.head.weight
    direction = (weight[TARGET] - weight[RIVAL]) * prompt.decoder.final_norm.weight
    factor = norm_factor(prompt.decoder.final_norm, rows[-1].state)
    for layer, row in enumerate(rows):
        along = (direction @ row.layer.output_weight()).view(2, 4, 1, -1)
        last = (along * row.values[:, None, -1:]).sum((-1, -2)).flatten() * factor
        assert_close(found.plain[layer].sum(-1) + own[layer] * last, found.heads[layer], TOLERANCE)
        centred_last = own[layer] * (last - found.heads[layer])
        assert_close(found.centred[layer].sum(-1), -centred_last, TOLERANCE)


@pytest.mark.parametrize("case", FAMILIES)
def test_the_plain_score_is_the_dual_split_by_sample(case: str) -> None:
    """Each token's p_i v_i . z is what its own training sample adds in the last layer's dual."""
    with exact_norms(adapt(tiny(case))):
        prompt = read(case)
        found = attribute(prompt, middle(), TARGET, RIVAL)
        decoder = DualDecoder(prompt, middle())
        row = decoder.step(int(prompt.ids[-1]))
    step = decoder.last_layer
    samples = step.problem.normaliser[:, None, None] * step.problem.targets
    samples = samples * (step.problem.features @ step.feature[..., None])
    head = prompt.decoder.head.weight
    direction = (head[TARGET] - head[RIVAL]) * prompt.decoder.final_norm.weight
    factor = norm_factor(prompt.decoder.final_norm, row.states[-1])
    z = direction @ step.frozen.layer.output_weight()
    wanted = (samples * z[:, None]).sum(-1) * factor
    assert_close(found.plain[-1], wanted, TOLERANCE)


@pytest.mark.parametrize("case", [*FAMILIES, "mistral windowed"])
def test_the_centred_score_is_a_derivative(case: str) -> None:
    """Of h . z by the token's attention logit: by autograd, everything after the head held fast."""
    prompt = read(case)
    found = attribute(prompt, middle(), TARGET, RIVAL)
    for layer, row in enumerate(last_row(prompt)):
        logits = row.weights.log().detach().requires_grad_()
        head = (logits.softmax(-1) @ row.values).reshape(row.heads.shape)
        weight = prompt.decoder.head.weight
        direction = (weight[TARGET] - weight[RIVAL]) * prompt.decoder.final_norm.weight
        (direction @ row.layer.mix_heads(head)).backward()
        assert logits.grad is not None
        scores = torch.zeros(8, 48, dtype=torch.float64)
        scores[:, row.positions] = logits.grad.flatten(0, 1)
        mine = found.centred[layer]
        theirs = scores[:, middle()]
        scale = mine.norm() / theirs.norm()  # r_f, the final norm's factor
        assert_close(mine, theirs * scale, TOLERANCE)


def gradients(prompt: PromptState) -> tuple[list[Tensor], Tensor]:
    """Derivatives of the logit difference by every attention logit of the last row, all paths."""
    shape = (2, 4, len(prompt))
    biases = [torch.zeros(shape, dtype=torch.float64, requires_grad=True) for _ in prompt.keys]
    for row in last_row(prompt, biases):
        state = row.state
    logits = prompt.decoder.logits(state)
    found = torch.autograd.grad(logits[TARGET] - logits[RIVAL], biases)
    return [g.flatten(0, 1) for g in found], logits


def test_the_last_row_is_the_models_own() -> None:
    prompt = read("llama")
    _, logits = gradients(prompt)
    assert_close(logits, prompt.logits, 1e-6)


def correlations(case: str, weights: float) -> tuple[list[float], list[float]]:
    """By layer, of the centred and of the plain score with the derivative by all paths."""
    prompt = read_prompt(adapt(tiny(case, weights=weights)), random_prompt())
    found, (true, _) = attribute(prompt, ~LAST, TARGET, RIVAL), gradients(prompt)

    def with_true(scores: Tensor) -> list[float]:
        pairs = (
            torch.stack([a.flatten(), b.flatten()])
            for a, b in zip(scores, [t[:, ~LAST] for t in true], strict=True)
        )
        return [float(torch.corrcoef(pair)[0, 1]) for pair in pairs]

    return with_true(found.centred), with_true(found.plain)


@pytest.mark.parametrize("case", FAMILIES)
def test_the_direct_path_is_the_derivative_of_a_nearly_linear_model_only(case: str) -> None:
    """It holds the feed-forward parts and the later layers fast. docs/theory.md, section 3."""
    centred, plain = correlations(case, weights=0.02)
    assert min(centred) > 0.9
    assert all(c > p for c, p in zip(centred, plain, strict=True))
    centred, _ = correlations(case, weights=0.15)
    assert centred[2] > 0.4
    assert centred[0] < 0.5


def test_masking_is_what_recomputing_without_the_token_gives() -> None:
    keys, values, query = normal(12, 4, seed=1), normal(12, 3, seed=2), normal(4, seed=3)
    weights = (keys @ query).softmax(0)
    h = weights @ values
    for masked in (torch.arange(12) == 5, torch.arange(12) % 3 == 0):
        again = softmax_attention(query, keys[~masked], values[~masked])
        assert_close(h + masking_change(weights, values, masked), again, TOLERANCE)
        of_dual = -(weights[masked] @ values[masked])
        assert (h + of_dual - again).abs().max() > 1e-3


@pytest.mark.parametrize("case", [*FAMILIES, "mistral windowed"])
def test_masked_at_the_answer_equals_the_identity_in_the_first_layer(case: str) -> None:
    prompt, hidden = read(case), middle()
    bias = torch.zeros(48, dtype=torch.float64).masked_fill(hidden, -torch.inf)
    plain, masked = next(last_row(prompt)), next(last_row(prompt, [bias] * 3))
    values = plain.values[:, None].expand(-1, 4, -1, -1)
    change = masking_change(plain.weights, values, hidden[plain.positions])
    assert_close(plain.heads + change.flatten(0, 1), masked.heads, TOLERANCE)
    assert (masked_at_answer(prompt, hidden) - prompt.logits).abs().max() > 1e-2


def test_masked_everywhere_is_the_models_masked_forward_pass() -> None:
    prompt = read("llama")
    groups = [[20], [21, 22], list(range(20, 35))]
    found = masked_everywhere(prompt, groups)
    for group, logits in zip(groups, found, strict=True):
        mask = torch.ones(1, 48, dtype=torch.long)
        mask[0, group] = 0
        positions = torch.arange(48)[None]
        wanted = prompt.decoder.model(
            prompt.ids[None], attention_mask=mask, position_ids=positions
        ).logits[0, -1]
        assert_close(logits, wanted.detach(), 1e-6)
    # Masked for the last token only is something else: the others have read the text.
    assert (found[2] - masked_at_answer(prompt, middle())).abs().max() > 1e-2


def test_masking_the_first_token_is_right_or_refused() -> None:
    """The first token then sees nothing: its row is void, but must not spoil the others."""
    prompt = read("llama")
    logits = masked_everywhere(prompt, [[0]])[0]
    shorter = tiny("llama")(prompt.ids[None, 1:], position_ids=torch.arange(1, 48)[None])
    assert_close(logits, shorter.logits[0, -1].detach(), 1e-6)
    with pytest.raises(InputError, match="last token"):
        masked_everywhere(prompt, [[47]])


def test_a_window_leaves_hidden_tokens_without_effect() -> None:
    prompt = read("mistral windowed")
    found = attribute(prompt, middle(48, 25, 40), TARGET, RIVAL)
    assert (found.plain[..., :7] == 0).all()
    assert (found.plain[..., 7:] != 0).all()


def test_a_model_that_does_something_else_is_noticed() -> None:
    """Soft caps, say, that an adapter does not know: the terms must not add up in silence."""
    prompt = read("llama")
    changed = PromptState(
        prompt.decoder, prompt.ids, 0, prompt.keys, prompt.values, prompt.logits.tanh()
    )
    with pytest.raises(InputError, match="add up to"):
        attribute(changed, middle(), TARGET, RIVAL)
    with pytest.raises(InputError, match="empty"):
        attribute(prompt, torch.zeros(48, dtype=torch.bool), TARGET, RIVAL)


def test_effect_is_ndcg_without_a_cut_off() -> None:
    """Against DCG / ideal DCG of a one-hot relevance vector."""
    for rank in (1, 2, 7, 50):
        relevance = np.eye(50)[rank - 1]
        discounts = np.array([1 / log2(i + 1) for i in range(1, 51)])
        ideal = (np.sort(relevance)[::-1] * discounts).sum()
        assert abs(effect(rank) - (relevance * discounts).sum() / ideal) < TOLERANCE


def test_greedy_rows_are_those_of_the_prompt() -> None:
    prompt = read("llama")
    assert_close(greedy(prompt, 1)[1][0].logits, prompt.logits, 1e-12)
