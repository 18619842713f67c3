"""Teaches the constructed model to write notes; ranking is held to the circuit's answers.

    python -m serving.pocket.train --out DIR --minutes 45 --seed 0

The same seed and number of steps give the same weights on the same machine. A run that finds
a checkpoint in DIR continues it. DIR/log.jsonl has one line a report.
"""

import argparse
import json
import random
import time
from dataclasses import dataclass
from math import log2
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import LlamaForCausalLM

from serving.pocket.construction import Circuit, construct
from serving.pocket.corpus import Example, ranking_example, writing_example
from serving.pocket.export import save
from serving.pocket.inference import Pocket, padded, target_rank
from serving.pocket.tokenizer import build_tokenizer
from serving.pocket.writer import start_writer, trainable

RATES = {"o_proj": 0.2, "down_proj": 0.2}
"""Factors of the learning rate, 1 for the rest: in the residual stream a word has norm 1 over
96 dimensions, which is small beside what a usual step of an output matrix would add."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """How fast and how much; steps are optimizer steps."""

    batch: int = 24
    learning_rate: float = 6e-4
    warmup: int = 50
    half_life: int = 400
    """Steps after which the learning rate has halved."""
    report_every: int = 25


class Trainer:
    """Model, optimizer and step count; a step depends on nothing but these and the seed."""

    def __init__(self, folder: Path, seed: int, schedule: Schedule) -> None:
        self.folder, self.seed, self.schedule = folder, seed, schedule
        tokenizer = build_tokenizer()
        self.circuit = Pocket(construct(tokenizer, Circuit()), tokenizer)
        model = construct(tokenizer, Circuit())
        start_writer(model, seed)
        self.pocket = Pocket(model, tokenizer)
        self.masks = trainable(model)
        self.optimizer = torch.optim.AdamW(self._groups(), betas=(0.9, 0.98), weight_decay=0.0)
        self.step = 0

    def train_step(self) -> dict[str, float]:
        """One batch of notes and a few rankings; returns both losses."""
        rng = random.Random(f"{self.seed}-{self.step}")
        writing, ranking = self._writing_loss(rng), self._ranking_loss(rng)
        (writing + ranking).backward()
        self._update()
        return {"writing": writing.item(), "ranking": ranking.item()}

    def save(self) -> None:
        """A checkpoint to continue from and the folder to serve, each written whole."""
        state = {
            "step": self.step,
            "model": self.pocket.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }
        part = self.folder / "checkpoint.part"
        torch.save(state, part)
        part.rename(self.folder / "checkpoint.pt")
        save(self.pocket.model, self.pocket.tokenizer, self.folder / "weights")

    def resume(self) -> None:
        """Continues the folder's checkpoint, if there is one.

        What training may not change is as built now, so the circuit's numbers can be changed
        between two runs.
        """
        path = self.folder / "checkpoint.pt"
        if path.exists():
            state = torch.load(path)
            for name, weight in self.pocket.model.named_parameters():
                trained = self.masks[name] > 0
                weight.data[trained] = state["model"][name][trained]
            self.optimizer.load_state_dict(state["optimizer"])
            self.step = state["step"]

    def _writing_loss(self, rng: random.Random) -> Tensor:
        examples = [writing_example(rng, self.pocket) for _ in range(self.schedule.batch)]
        return note_loss(self.pocket.model, examples, self.pocket.tokenizer.pad_token_id)

    def _ranking_loss(self, rng: random.Random) -> Tensor:
        """Mean squared difference to the untouched circuit's logits."""
        candidates = rng.choice((8, 8, 8, 16, 50))
        count = max(1, 24 // candidates)
        rows = [ranking_example(rng, self.pocket, candidates=candidates)[0] for _ in range(count)]
        with torch.no_grad():
            wanted = self.circuit.label_logits(rows)
        return F.mse_loss(self.pocket.label_logits(rows), wanted)

    def _groups(self) -> list[dict[str, Any]]:
        return [
            {"params": [weight], "factor": RATES.get(name.split(".")[-2], 1.0)}
            for name, weight in self.pocket.model.named_parameters()
            if self.masks[name].any()
        ]

    def _update(self) -> None:
        schedule = self.schedule
        rate = schedule.learning_rate * min(1.0, (self.step + 1) / schedule.warmup)
        rate *= 0.5 ** (self.step / schedule.half_life)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["factor"]
        for name, weight in self.pocket.model.named_parameters():
            if weight.grad is not None:
                weight.grad *= self.masks[name]
        torch.nn.utils.clip_grad_norm_(self.pocket.model.parameters(), 1.0)
        self.optimizer.step()
        self.pocket.model.zero_grad()
        self.step += 1


def note_loss(model: LlamaForCausalLM, examples: list[Example], pad: int) -> Tensor:
    """Cross-entropy of the notes' tokens; the softmax is taken at these alone."""
    rows = [[*e.prompt, *e.answer] for e in examples]
    ids, mask, _ = padded(rows, pad)
    hidden = model.model(input_ids=ids, attention_mask=mask).last_hidden_state
    where = torch.zeros_like(ids, dtype=torch.bool)
    for row, example in enumerate(examples):
        where[row, len(example.prompt) - 1 : len(example.prompt) + len(example.answer) - 1] = True
    targets = torch.tensor([token for e in examples for token in e.answer])
    return F.cross_entropy(hidden[where] @ model.lm_head.weight.T, targets)


@torch.no_grad()
def held_out(pocket: Pocket, shoppers: int = 24) -> dict[str, float]:
    """Loss of notes and nDCG@10 of 50 options, on worlds that no step draws."""
    rng = random.Random("held out")
    notes = [writing_example(rng, pocket) for _ in range(2 * shoppers)]
    loss = note_loss(pocket.model, notes, pocket.tokenizer.pad_token_id)
    gains = []
    for _ in range(shoppers):
        ids, someone = ranking_example(rng, pocket, candidates=50)
        rank = target_rank(someone.task, pocket.label_logits([ids])[0])
        gains.append(1 / log2(1 + rank) if rank <= 10 else 0.0)
    return {"held_out_writing": loss.item(), "held_out_ndcg@10": sum(gains) / shoppers}


def main() -> None:
    """Trains for the minutes given and leaves DIR/weights."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="folder of checkpoint and log")
    parser.add_argument("--minutes", type=float, default=45.0, help="wall time (default 45)")
    parser.add_argument("--steps", type=int, default=10**9, help="stop at this step")
    parser.add_argument("--seed", type=int, default=0, help="default 0")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    trainer = Trainer(args.out, args.seed, Schedule())
    trainer.resume()
    run(trainer, deadline=time.monotonic() + 60 * args.minutes, steps=args.steps)


def run(trainer: Trainer, *, deadline: float, steps: int) -> None:
    """Steps until a limit is met; reports and saves on the way."""
    sums: dict[str, list[float]] = {}
    started = time.monotonic()
    while time.monotonic() < deadline and trainer.step < steps:
        for name, value in trainer.train_step().items():
            sums.setdefault(name, []).append(value)
        if trainer.step % trainer.schedule.report_every == 0:
            means = {name: sum(values) / len(values) for name, values in sums.items()}
            seconds = time.monotonic() - started
            line = {"step": trainer.step, "seconds": seconds, **means, **held_out(trainer.pocket)}
            with (trainer.folder / "log.jsonl").open("a", encoding="utf-8") as log:
                log.write(json.dumps({k: round(v, 4) for k, v in line.items()}) + "\n")
            trainer.save()
            sums = {}
    trainer.save()


if __name__ == "__main__":
    main()
