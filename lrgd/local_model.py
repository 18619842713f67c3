"""A model in this process, and the ranking prompt that `transformers serve` would give it.

Limits: safetensors only, no remote code, no downloads; rankings are read from label logits, as
/v1/systemone does for models without a decision head.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
from transformers.decision.configuration_utils import DecisionConfig
from transformers.decision.template_utils import DECISION_PROMPT, Question, label_token_ids
from transformers.utils import logging

from agents.prompts import (
    RANKING_QUESTION,
    REGULARISATION,
    PromptOrder,
    option_names,
    ranking_state,
)
from agents.values import Item, Ranking, RankingTask, ranking_from
from memory.errors import InputError
from theory import Decoder, Partition, adapt, locate, partition
from theory.adapters import layer_kind

SMALL = 100_000_000
"""Parameters below which one thread is enough."""


@dataclass(frozen=True, slots=True)
class LocalModel:
    """Weights in float32, tokenizer, and how the model answers typed decisions."""

    name: str
    model: Any
    tokenizer: Any
    decision: DecisionConfig

    @property
    def decoder(self) -> Decoder:
        return adapt(self.model)


@dataclass(frozen=True, slots=True)
class RankingPrompt:
    """One ranking prompt with a demonstration, tokenized."""

    partition: Partition
    labels: dict[str, int]
    """Item id -> the token that stands for it in the answer."""
    temperature: float
    """Divides the labels' logits before the softmax."""

    def ranking(self, logits: Tensor, candidates: Sequence[Item]) -> Ranking:
        """The ranking that these next-token logits (vocabulary,) mean."""
        scores = logits[list(self.labels.values())].float() / self.temperature
        probabilities = dict(zip(self.labels, scores.softmax(0).tolist(), strict=True))
        return ranking_from(probabilities, candidates)


def load_local(path_or_id: str, name: str | None = None) -> LocalModel:
    """Load a model folder, or a hub model that is in the local cache; `name` is what people see.

    Raises:
        InputError: there is none, it is of an unsupported family, or it cannot be loaded safely.
    """
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    offline = {"local_files_only": True, "trust_remote_code": False}
    try:
        config = AutoConfig.from_pretrained(path_or_id, **offline)
        layer_kind(config)
        tokenizer = AutoTokenizer.from_pretrained(path_or_id, **offline)
        model = AutoModelForCausalLM.from_pretrained(
            path_or_id, dtype=torch.float32, use_safetensors=True, **offline
        )
        decision = DecisionConfig.from_pretrained(path_or_id, local_files_only=True)
    except (OSError, ValueError, ImportError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"no usable model at {path_or_id!r}: {reason}") from error
    if "OMP_NUM_THREADS" not in os.environ and model.num_parameters() < SMALL:
        # Two threads gain little on small matrices, and lose everything when another process wants
        # a core: five minutes instead of half a one.
        torch.set_num_threads(1)
    return LocalModel(name or path_or_id, model.eval(), tokenizer, decision)


def ranking_prompt(
    local: LocalModel,
    task: RankingTask,
    demonstration: str,
    *,
    regularisation: str = REGULARISATION,
    order: PromptOrder = "instruction_first",
) -> RankingPrompt:
    """The prompt of /v1/systemone for a task with a demonstration, and where that stands.

    Raises:
        InputError: the demonstration is empty, the model's template or labels do not fit, or the
            text holds what the tokenizer takes for a control token.
    """

    def state(text: str) -> str:
        return ranking_state(task, text, regularisation=regularisation, order=order)

    if not demonstration.strip():
        raise InputError("the demonstration is empty: nothing to explain")
    question = _question(local, task)
    text, span = locate(lambda text: _render(local, state(text), question), demonstration)
    found = partition(local.tokenizer, text, span)
    _compare_with_server(local, state(demonstration), question, found)
    try:
        tokens = label_token_ids(local.tokenizer, tuple(question.labels))
    except ValueError as error:
        raise InputError(f"{local.name}: {error}") from error
    labels = dict(zip(option_names(task.candidates).values(), tokens, strict=True))
    return RankingPrompt(found, labels, float(local.decision.temperature.get("choice", 1.0)))


def _question(local: LocalModel, task: RankingTask) -> Question:
    body = {
        "type": "choice",
        "instructions": RANKING_QUESTION,
        "criteria": dict.fromkeys(option_names(task.candidates)),
    }
    try:
        return Question.from_request("next", body, local.decision)
    except ValueError as error:
        raise InputError(f"{local.name}: {error}") from error


def _render(local: LocalModel, state: str, question: Question) -> str:
    template = local.decision.chat_template or DECISION_PROMPT
    text = _apply(local, "", chat_template=template, state=state, question=question)
    if local.decision.chat_template is None:
        text = _apply(local, text)
    return text


def _apply(local: LocalModel, content: str, **options: Any) -> str:
    try:
        text: str = local.tokenizer.apply_chat_template(
            [{"role": "user", "content": content}],
            add_generation_prompt=True,
            enable_thinking=False,
            tokenize=False,
            **options,
        )
    except ValueError as error:
        raise InputError(f"{local.name} has no chat template: use an instruct model") from error
    return text


def _compare_with_server(
    local: LocalModel, state: str, question: Question, found: Partition
) -> None:
    request = {
        "state": state,
        "questions": {
            "next": {
                "type": "choice",
                "instructions": RANKING_QUESTION,
                "criteria": dict.fromkeys(question.options),
            }
        },
    }
    inputs, _ = local.decision.prepare_inputs(request, local.tokenizer)[0]
    if inputs["marks"].tolist() != [len(inputs["input_ids"][0])]:
        raise InputError(f"{local.name} reads decisions with a head of its own: not supported")
    if inputs["input_ids"][0].tolist() != found.ids.tolist():
        raise InputError(
            "the prompt's text holds a control token of the model: the server would escape it, "
            "so this explanation would be of another prompt"
        )
