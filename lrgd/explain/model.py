"""A model in this process, and the prompt that `--ranking likelihood` would give it.

A candidate's title is read as the assistant's whole answer to the ranking prompt, in the model's
own chat template, or in a plain frame where it has none. That takes neither letters nor chosen
heads, so it works on any supported model, whatever a run's ranking mode.
Limits: safetensors only, no remote code, no downloads; float32.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jinja2 import TemplateError
from safetensors import SafetensorError
from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging

from lrgd.agents.prompts import LRGD_PROMPTS, PromptSettings, sanitized, title_prompt
from lrgd.agents.ranking.frame import MARKED, ChatFrame, frame_in
from lrgd.agents.ranking.likelihood import ALPHA, softmax
from lrgd.agents.values import Item, Ranking, RankingTask, ranking_by
from lrgd.core.errors import InputError
from lrgd.serving.models import Report, folder_of, name_of
from lrgd.serving.models.fetch import silent
from lrgd.theory import Decoder, Partition, PromptState, adapt, locate, log_likelihoods, partition
from lrgd.theory.adapters import layer_kind

SMALL = 50_000_000
"""Parameters below which one thread is enough."""


@dataclass(frozen=True, slots=True)
class LocalModel:
    """Weights in float32, with their tokenizer."""

    name: str
    model: Any
    tokenizer: Any

    @property
    def decoder(self) -> Decoder:
        return adapt(self.model)

    def tokens(self, text: str) -> list[int]:
        """Ids of a text whose special tokens are in it."""
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False)
        return ids


@dataclass(frozen=True, slots=True)
class RankingPrompt:
    """One ranking prompt with a demonstration, tokenized."""

    partition: Partition
    content_free: Tensor
    """Ids (m,) of the same prompt with nothing about the shopper."""
    titles: dict[str, tuple[int, ...]]
    """Item id -> tokens of its title as the whole answer, the end of turn included."""

    def likelihoods(self, state: PromptState, hidden: Sequence[int] = ()) -> dict[str, float]:
        """Item id -> log p of its title after a prompt, with some of its tokens hidden from all."""
        # Items with one title are asked for once, as the ranking mode does.
        distinct = sorted(set(self.titles.values()), key=len)
        values = log_likelihoods(state, distinct, hidden).tolist()
        of_title = dict(zip(distinct, values, strict=True))
        return {item: of_title[tokens] for item, tokens in self.titles.items()}


def ranked(
    likelihoods: dict[str, float], anybody: dict[str, float], candidates: Sequence[Item]
) -> Ranking:
    """The ranking of `--ranking likelihood`: log p - alpha * log p under the content-free prompt.

    Args:
        likelihoods: of each item's title under the prompt, in nats.
        anybody: under the content-free prompt.
        candidates: in their order.
    """
    scores = {item: here - ALPHA * anybody[item] for item, here in likelihoods.items()}
    return ranking_by(scores, candidates, softmax(scores, temperature=1.0))


def load_local(model: str, report: Report = silent) -> LocalModel:
    """Load a model of the catalogue, a folder, or a model of the hub, in float32.

    Args:
        model: which.
        report: hears how fetching goes on, where that is necessary.

    Raises:
        InputError: there is none, it is of an unsupported family, or it cannot be loaded safely.
        WeightsError: a model of the catalogue is not here, and cannot be fetched.
    """
    name, folder = name_of(model), folder_of(model, report=report)
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    offline = {"local_files_only": True, "trust_remote_code": False}
    try:
        config = AutoConfig.from_pretrained(folder, **offline)
        layer_kind(config)
        tokenizer = AutoTokenizer.from_pretrained(folder, **offline)
        loaded = AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, use_safetensors=True, **offline
        )
    except (OSError, ValueError, ImportError, SafetensorError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"no usable model in {str(folder)!r}: {reason}") from error
    if "OMP_NUM_THREADS" not in os.environ and loaded.num_parameters() < SMALL:
        # Two threads gain little on small matrices, and lose everything when another process wants
        # a core: five minutes instead of half a one.
        torch.set_num_threads(1)
    return LocalModel(name, loaded.eval(), tokenizer)


def ranking_prompt(
    local: LocalModel,
    task: RankingTask,
    demonstration: str,
    prompts: PromptSettings = LRGD_PROMPTS,
) -> RankingPrompt:
    """The prompt of `--ranking likelihood` for a task, and where the demonstration stands in it.

    Raises:
        InputError: the demonstration is empty, or the tokenizer reports no offsets.
    """
    if not demonstration.strip():
        raise InputError("the demonstration is empty: nothing to explain")
    frame = chat_frame(local.tokenizer)

    def render(text: str) -> str:
        return frame.prompt(title_prompt(prompts.ranking_context(task, text).text))

    anybody = frame.prompt(title_prompt(prompts.ranking_context(task).content_free))
    titles = {c.id: tuple(local.tokens(frame.answer(sanitized(c.title)))) for c in task.candidates}
    parts = partition(local.tokenizer, *locate(render, demonstration))
    return RankingPrompt(parts, torch.tensor(local.tokens(anybody)), titles)


def chat_frame(tokenizer: Any) -> ChatFrame:
    """What the tokenizer's chat template puts around a question and its answer.

    Without a template, or with one that does not show both as they are, a plain frame.
    `lrgd.agents.ranking.frame.chat_frame` asks a server for the same.
    """
    try:
        rendered = tokenizer.apply_chat_template(list(MARKED), tokenize=False)
    except (ValueError, TemplateError):
        rendered = ""
    return frame_in(rendered, _beginning(tokenizer))


def _beginning(tokenizer: Any) -> str:
    """The token that every text begins with, as text; empty where there is none."""
    bare, whole = tokenizer.encode("a", add_special_tokens=False), tokenizer.encode("a")
    extra = len(whole) - len(bare)
    return str(tokenizer.decode(whole[:extra])) if extra and whole[extra:] == bare else ""
