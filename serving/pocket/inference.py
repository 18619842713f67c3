"""Ranks and writes with a model in this process, as `transformers serve` would."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from agents import prompts
from agents.values import RankingTask
from serving.pocket.tokenizer import DECISION_TEMPLATE, LABELS


@dataclass(frozen=True, slots=True)
class Pocket:
    """A model and its tokenizer."""

    model: LlamaForCausalLM
    tokenizer: PreTrainedTokenizerFast

    def ranking_ids(self, task: RankingTask, note: str | None = None) -> list[int]:
        """The prompt of /v1/systemone, as token ids."""
        question = {
            "instructions": prompts.RANKING_QUESTION,
            "options": list(prompts.option_names(task.candidates)),
        }
        text: str = self.tokenizer.apply_chat_template(  # type: ignore[assignment]
            [{"role": "user", "content": ""}],
            chat_template=DECISION_TEMPLATE,
            state=prompts.ranking_state(task, note),
            question=question,
            tokenize=False,
        )
        return self.encode(text)

    def writing_ids(self, messages: Sequence[dict[str, str]]) -> list[int]:
        """The prompt of /v1/chat/completions, as token ids."""
        text: str = self.tokenizer.apply_chat_template(  # type: ignore[assignment]
            list(messages), add_generation_prompt=True, tokenize=False
        )
        return self.encode(text)

    def encode(self, text: str) -> list[int]:
        """Token ids of text that may hold special tokens."""
        ids: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    def label_logits(self, rows: Sequence[Sequence[int]]) -> Tensor:
        """Logits of all labels at the last token of each row, shape (rows, 64)."""
        ids, mask, last = padded(rows, self.tokenizer.pad_token_id)
        hidden = self.model.model(input_ids=ids, attention_mask=mask).last_hidden_state
        labels = self.tokenizer.convert_tokens_to_ids(list(LABELS))
        logits: Tensor = hidden[range(len(rows)), last] @ self.model.lm_head.weight[labels].T
        return logits

    @torch.no_grad()
    def ranks(
        self, tasks: Sequence[RankingTask], notes: Sequence[str | None], batch: int = 8
    ) -> list[float]:
        """Each target's rank, best 1; half a rank a tie."""
        rows = [self.ranking_ids(t, n) for t, n in zip(tasks, notes, strict=True)]
        ranks = [0.0] * len(rows)
        for group in by_length(rows, batch):
            for n, logits in zip(group, self.label_logits([rows[n] for n in group]), strict=True):
                ranks[n] = target_rank(tasks[n], logits)
        return ranks

    @torch.no_grad()
    def write(
        self,
        chats: Sequence[Sequence[dict[str, str]]],
        *,
        temperature: float = 0.8,
        min_p: float = 0.15,
        batch: int = 16,
    ) -> list[str]:
        """One sampled note a chat; seed torch for the same ones again."""
        rows = [self.writing_ids(chat) for chat in chats]
        texts = [""] * len(rows)
        for group in by_length(rows, batch):
            ids, mask, _ = padded([rows[n] for n in group], self.tokenizer.pad_token_id, left=True)
            out = self.model.generate(  # type: ignore[misc]
                input_ids=ids,
                attention_mask=mask,
                do_sample=True,
                temperature=temperature,
                top_k=0,
                min_p=min_p,
                max_new_tokens=48,
                eos_token_id=self.tokenizer.eos_token_id,
                pad_token_id=self.tokenizer.pad_token_id,
            )
            for n, tokens in zip(group, out[:, ids.shape[1] :], strict=True):
                texts[n] = str(self.tokenizer.decode(tokens, skip_special_tokens=True))
        return texts

    def list(self, task: RankingTask, length: int = 10) -> str:
        """A written list of the best candidates."""
        names = [*prompts.option_names(task.candidates)]
        text = prompts.listwise_prompt(prompts.ranking_state(task, None), names, length)
        row = self.writing_ids([{"role": "user", "content": text}])
        out = self.model.generate(  # type: ignore[misc]
            input_ids=torch.tensor([row]),
            attention_mask=torch.ones(1, len(row), dtype=torch.long),
            do_sample=False,
            max_new_tokens=400,
            eos_token_id=self.tokenizer.eos_token_id,
            pad_token_id=self.tokenizer.pad_token_id,
        )
        return str(self.tokenizer.decode(out[0, len(row) :], skip_special_tokens=True))


def by_length(rows: Sequence[Sequence[int]], batch: int) -> Iterator[list[int]]:
    """Indices of the rows in batches of similar length, shortest first."""
    order = sorted(range(len(rows)), key=lambda n: len(rows[n]))
    for start in range(0, len(order), batch):
        yield order[start : start + batch]


def padded(
    rows: Sequence[Sequence[int]], pad: int, *, left: bool = False
) -> tuple[Tensor, Tensor, list[int]]:
    """Token ids and mask, shape (rows, longest), and each row's last position."""
    longest = max(len(row) for row in rows)
    ids = torch.full((len(rows), longest), pad)
    mask = torch.zeros_like(ids)
    for n, row in enumerate(rows):
        place = slice(longest - len(row), None) if left else slice(len(row))
        ids[n, place] = torch.tensor(row)
        mask[n, place] = 1
    return ids, mask, [longest - 1 if left else len(row) - 1 for row in rows]


def target_rank(task: RankingTask, logits: Tensor) -> float:
    """1 + options above the target + half of the other options that equal it."""
    place = next(n for n, item in enumerate(task.candidates) if item.id == task.target_id)
    scores = logits[: len(task.candidates)]
    above = int((scores > scores[place]).sum())
    return 1 + above + (int((scores == scores[place]).sum()) - 1) / 2
