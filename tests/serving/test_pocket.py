"""The pocket model: its circuit, what training may touch, and the folder that is served."""

import json
import random
from pathlib import Path

import pytest
import torch

from agents import prompts
from agents.prompts import Attempt
from agents.values import Item, RankingTask
from serving.pocket import MODEL_DIR
from serving.pocket.construction import Circuit, construct
from serving.pocket.corpus import writing_example
from serving.pocket.export import load, save
from serving.pocket.inference import Pocket
from serving.pocket.tokenizer import LABELS, SECTIONS, build_tokenizer
from serving.pocket.train import Schedule, Trainer
from serving.pocket.worlds import world

TITLES = ("Wool Yarn, Red", "Kart Racing - Wii", "Chess Board", "Garden Hose", "USB Cable")


@pytest.fixture(scope="module")
def circuit() -> Pocket:
    tokenizer = build_tokenizer()
    return Pocket(construct(tokenizer, Circuit()), tokenizer)


def task(history: tuple[str, ...], target: str = TITLES[0]) -> RankingTask:
    candidates = tuple(Item(title, title) for title in TITLES)
    return RankingTask("u", tuple(Item(t, t) for t in history), candidates, target)


def best(pocket: Pocket, asked: RankingTask, note: str | None = None) -> str:
    with torch.no_grad():
        logits = pocket.label_logits([pocket.ranking_ids(asked, note)])[0]
    return asked.candidates[int(logits[: len(asked.candidates)].argmax())].title


def test_each_fixed_phrase_of_the_prompts_is_one_token(circuit):
    attempt = Attempt("mostly wii.", rank=3, candidates=50)
    asked = RankingTask("u", (Item("a", "Wii"),), (Item("a", "A"), Item("b", "B")), "a", "likes x")
    chat = prompts.generation_messages(
        asked, last=attempt, effective=[attempt], perturbation="mostly wii."
    )
    ids = circuit.writing_ids(chat) + circuit.ranking_ids(asked, "mostly wii.")
    tokens = circuit.tokenizer.convert_ids_to_tokens(ids)
    assert set(SECTIONS) <= set(tokens)
    assert {prompts.RANKING_QUESTION, prompts.GENERATION_REQUEST} <= set(tokens)


@pytest.mark.parametrize("slot", range(len(TITLES)))
def test_an_option_that_shares_a_word_with_the_history_wins_in_every_slot(circuit, slot):
    asked = task(("Mario Kart", "Wii Remote"))
    order = asked.candidates[slot:] + asked.candidates[:slot]
    asked = RankingTask("u", asked.history, order, asked.target_id)
    assert best(circuit, asked) == "Kart Racing - Wii"


def test_meaning_counts_where_no_word_is_shared(circuit):
    assert best(circuit, task(("Knitting Needles", "Crochet Patterns"))) == "Wool Yarn, Red"


def test_a_note_moves_the_ranking(circuit):
    asked = task(("Chess Clock", "Garden Shears"))
    assert best(circuit, asked, "mostly chess.") == "Chess Board"
    assert best(circuit, asked, "mostly garden.") == "Garden Hose"


def test_labels_beyond_the_options_get_nothing(circuit):
    with torch.no_grad():
        logits = circuit.label_logits([circuit.ranking_ids(task(("Chess Clock",)))])[0]
    assert logits[len(TITLES) :].abs().max() < 1e-3


def test_training_resumes_where_it_stopped(tmp_path):
    schedule = Schedule(batch=2, warmup=1)
    straight = Trainer(tmp_path / "a", 0, schedule)
    first = Trainer(tmp_path / "b", 0, schedule)
    for trainer in (straight, first):
        trainer.folder.mkdir()
        trainer.train_step()
    first.save()
    second = Trainer(tmp_path / "b", 0, schedule)
    second.resume()
    assert second.train_step() == straight.train_step()


def test_training_leaves_the_circuit_alone(tmp_path):
    trainer = Trainer(tmp_path, 0, Schedule(batch=2, warmup=1))
    before = {k: v.clone() for k, v in trainer.pocket.model.named_parameters()}
    trainer.train_step()
    after = dict(trainer.pocket.model.named_parameters())
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert "model.embed_tokens.weight" not in changed
    assert "model.layers.4.mlp.down_proj.weight" in changed
    for name in changed:
        kept = trainer.masks[name] == 0
        torch.testing.assert_close(before[name][kept], after[name][kept], rtol=0, atol=0)


def test_titles_of_a_world_are_distinct_and_a_note_stays_out_of_its_prompt(circuit):
    rng = random.Random(1)
    titles = [product.item.title for product in world(rng, products=60)]
    assert len(set(titles)) == 60
    example = writing_example(rng, circuit)
    assert example.answer[-1] == circuit.tokenizer.eos_token_id
    assert circuit.tokenizer.eos_token_id not in example.answer[:-1]


def test_what_is_saved_ranks_like_what_was_built(circuit, tmp_path):
    save(circuit.model, circuit.tokenizer, tmp_path / "weights")
    served = load(tmp_path / "weights")
    row = circuit.ranking_ids(task(("Chess Clock", "Garden Shears")))
    with torch.no_grad():
        built, read = circuit.label_logits([row]), served.label_logits([row])
    # Half precision keeps 11 bits; the largest logit here is 13.
    torch.testing.assert_close(read, built, rtol=0, atol=0.1)


def test_the_weights_in_the_project_are_small_and_their_labels_single_tokens():
    weights = MODEL_DIR / "model.safetensors"
    assert weights.stat().st_size < 20e6
    decision = json.loads(Path(MODEL_DIR / "decision.json").read_text())
    tokenizer = load(MODEL_DIR).tokenizer
    assert decision["labels"]["choice"] == list(LABELS)
    ids = tokenizer(list(LABELS), add_special_tokens=False)["input_ids"]
    assert all(len(row) == 1 for row in ids)
