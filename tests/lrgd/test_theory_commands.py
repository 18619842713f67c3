"""`lrgd equivalence` and `lrgd explain`, on the pocket model and on a folder of another family."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from agents.endpoint import Usage
from evals.bundle import Bundle
from evals.journal import RunFolder, RunHeader, UserRecord
from evals.protocol import freeze
from evals.sample import sample_world
from graphs import LoopSettings
from lrgd.cli import main
from lrgd.equivalence_case import note_of, unlike
from lrgd.local_model import load_local, ranking_prompt
from memory import Demonstration
from memory.errors import InputError
from serving.pocket import MODEL_DIR
from theory import read_prompt

NOTE = "wants merino sock yarn by woolhaven."


@pytest.fixture
def lrgd(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs the command line in this process: (exit code, standard output, standard error)."""

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["lrgd", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        out, err = capsys.readouterr()
        return int(end.value.code or 0), out, err

    return run


@pytest.fixture(scope="module")
def saved(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("theory") / "bundle"
    bundle.save(folder)
    return folder


@pytest.fixture(scope="module")
def user(bundle: Bundle) -> str:
    return next(iter(bundle.users))


def byte_tokenizer(texts: list[str]) -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<|start|>", "<|end|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=900, special_tokens=special, initial_alphabet=alphabet)
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|end|>",
        chat_template="{% for m in messages %}<|start|>{{ m.content }}<|end|>{% endfor %}<|start|>",
    )


@pytest.fixture(scope="module")
def chat_model(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random Qwen2 that knows nothing of decisions: labels A to Z, its own chat template."""
    folder = tmp_path_factory.mktemp("theory") / "qwen"
    tokenizer = byte_tokenizer([item.title for item in bundle.items.values()])
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=4096,
    )
    Qwen2ForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def test_equivalence_of_another_family(
    lrgd: Any, saved: Path, user: str, chat_model: Path, tmp_path: Path
) -> None:
    options = ["--bundle", saved, "--user", user, "--model", chat_model, "--out", tmp_path / "eq"]
    code, out, err = lrgd("equivalence", *options, "--tokens", 6, "--seeds", 1)
    assert code == 0, err
    assert "6 of 6" in out
    numbers = json.loads((tmp_path / "eq" / "equivalence.json").read_text())
    single, double = numbers["exactness"]
    assert (single["precision"], double["precision"]) == ("float32", "float64")
    assert 0 < single["logits"] < 1e-5
    assert double["logits"] < 1e-9
    assert double["same_tokens"] == 6
    assert len(numbers["heads"]) == 2 * 4
    assert list(numbers["feature_errors"]["FAVOR+"]) == ["32", "128", "512", "2048", "8192"]
    assert len(numbers["good"]["distances"]) == 4
    plots = {path.name for path in (tmp_path / "eq").glob("*.png")}
    assert plots == {"figure8.png", "error_by_features.png", "error_by_depth.png", "heads.png"}


def test_equivalence_of_the_pocket_model(lrgd: Any, tmp_path: Path) -> None:
    """With no option but --out and the small counts: a sample-world user."""
    options = ["--out", tmp_path, "--tokens", 2, "--seeds", 1, "--json"]
    code, out, err = lrgd("equivalence", *options)
    assert code == 0, err
    numbers = json.loads(out)
    assert numbers["model"] == "pocket"
    # In parts of the largest logit, 44: float32 has seven digits. tests/theory holds models whose
    # logits are about 1 to the same 1e-5.
    single = numbers["exactness"][0]
    assert single["logits"] < 1e-5 * single["largest_logit"]
    assert numbers["exactness"][1]["logits"] < 1e-9
    assert [row["same_tokens"] for row in numbers["exactness"]] == [2, 2]


def test_explain_shades_words_and_adds_up(
    lrgd: Any, saved: Path, user: str, bundle: Bundle, tmp_path: Path
) -> None:
    task = bundle.task(user, "test")
    assert task.target is not None
    note = f"wants {task.target.title} & the like <3."
    page = tmp_path / "pages" / "why.html"
    options = ["--bundle", saved, "--user", user, "--demonstration", note]
    code, out, err = lrgd("explain", *options, "--html", page)
    assert code == 0, err
    assert "=>" in out
    assert f"Page: {page}" in out
    assert "&lt;3." in page.read_text()
    assert "<3" not in page.read_text()
    code, out, _ = lrgd("explain", *options, "--json")
    found = json.loads(out)
    assert code == 0
    assert found["rank"] == 1 < found["rank_without"] + 1
    assert found["effect"] > 0
    assert abs(found["incompleteness"]) < 1e-3
    words = {w["word"]: w["effect"] for w in found["words"]}
    # Each alone is small beside the whole effect: the title's other words still name the item.
    of_title = sum(words.pop(word) for word in task.target.title.split())
    assert of_title > 5 * sum(abs(effect) for effect in words.values())
    assert sum(found["ranking"]["probabilities"].values()) == pytest.approx(1)


def test_explain_another_item_of_another_model(
    lrgd: Any, saved: Path, user: str, bundle: Bundle, chat_model: Path
) -> None:
    item = bundle.task(user, "test").candidates[3].id
    options = ["--bundle", saved, "--user", user, "--demonstration", NOTE, "--item", item]
    code, out, err = lrgd("explain", *options, "--model", chat_model, "--json")
    assert code == 0, err
    found = json.loads(out)
    assert found["item"]["id"] == item
    # Without a decision layer in between the direct path carries part of the effect.
    assert abs(found["direct"]) > 1e-6
    assert len(found["heads"]) == 8


def test_explain_takes_the_demonstration_that_a_run_chose(
    lrgd: Any, saved: Path, user: str, bundle: Bundle, tmp_path: Path
) -> None:
    run = RunFolder(tmp_path / "run")
    settings = LoopSettings(prompt_order="demonstration_first", regularisation="Be brief.")
    header = RunHeader(
        bundle=str(saved),
        bundle_sha256=bundle.sha256,
        model="pocket",
        ranking="decision",
        users=tuple(bundle.users)[:2],
        settings=settings,
    )
    run.begin(header, resume=False)
    chosen = Demonstration(user, NOTE, path=0, round=1, effect=0.5)
    run.records.append(UserRecord(user, (), (), chosen, "rounds", Usage()))
    options = ["--bundle", saved, "--run", tmp_path / "run", "--json"]
    code, out, err = lrgd("explain", "--user", user, *options)
    assert code == 0, err
    found = json.loads(out)
    assert found["demonstration"] == NOTE
    other = load_local(str(MODEL_DIR))
    prompt = ranking_prompt(
        other,
        bundle.task(user, "test"),
        NOTE,
        regularisation="Be brief.",
        order="demonstration_first",
    )
    logits = read_prompt(other.decoder, prompt.partition.ids).logits
    ranking = prompt.ranking(logits, bundle.task(user, "test").candidates)
    assert tuple(found["ranking"]["order"]) == ranking.order
    unknown = tuple(bundle.users)[1]
    refused(lrgd("explain", "--user", unknown, *options), "no demonstration of")
    other_bundle = freeze(sample_world(shoppers=40), users=5, candidates=9, history=9, seed=3)
    other_bundle.save(tmp_path / "other")
    options[1] = tmp_path / "other"
    name = next(iter(other_bundle.users))
    refused(lrgd("explain", "--user", name, *options), "is a run of another bundle")


def test_the_prompt_is_the_servers_and_so_is_the_ranking(bundle: Bundle, user: str) -> None:
    """Ids against transformers' own, probabilities against a plain forward pass."""
    local, task = load_local(str(MODEL_DIR)), bundle.task(user, "test")
    prompt = ranking_prompt(local, task, NOTE)
    of_d = local.tokenizer.decode(prompt.partition.ids[prompt.partition.demonstration])
    assert of_d.replace(" ", "") == NOTE.replace(" ", "")
    logits = read_prompt(local.decoder, prompt.partition.ids).logits
    with torch.no_grad():
        plain = local.model(prompt.partition.ids[None]).logits[0, -1]
    labels = list(prompt.labels.values())
    wanted = (plain[labels] / prompt.temperature).softmax(0)
    ranking = prompt.ranking(logits, task.candidates)
    found = torch.tensor([ranking.probabilities[c.id] for c in task.candidates])
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-6)


def test_a_control_token_in_the_text_is_refused(bundle: Bundle, user: str) -> None:
    local, task = load_local(str(MODEL_DIR)), bundle.task(user, "test")
    with pytest.raises(InputError, match="control token"):
        ranking_prompt(local, task, "wants [PAD] yarn")


def test_notes_of_items_are_good_and_bad(bundle: Bundle, user: str) -> None:
    task = bundle.task(user, "test")
    assert task.target is not None
    good, other = note_of(task.target).lower(), unlike(task, task.target)
    assert task.target.brand.lower() in good
    assert set(good.split()[1:]).isdisjoint(note_of(other).lower().split()[1:])


def refused(result: tuple[int, str, str], *words: str) -> None:
    """Exit code 2 and one line on standard error."""
    code, out, err = result
    assert (code, out, err.count("\n")) == (2, "", 1), err
    for word in words:
        assert word in err


def test_bad_input_is_one_line(
    lrgd: Any, saved: Path, user: str, chat_model: Path, tmp_path: Path
) -> None:
    asked = ["explain", "--bundle", saved, "--user", user]
    note = ["--demonstration", NOTE]
    refused(lrgd(*asked), "--run", "--demonstration")
    refused(lrgd(*asked, *note, "--run", tmp_path), "one of the two")
    refused(lrgd(*asked, "--demonstration", " "), "demonstration is empty")
    refused(lrgd(*asked, *note, "--item", "x"), "no candidate 'x'")
    refused(lrgd(*asked, "--run", tmp_path / "no"), "no run at")
    refused(lrgd(*asked, *note, "--model", tmp_path / "no"), "no usable model")
    refused(lrgd("explain", "--bundle", tmp_path, "--user", "u", *note), "no bundle at")
    refused(lrgd("explain", "--bundle", saved, "--user", "u", *note), "no user 'u'")
    GPT2LMHeadModel(GPT2Config(n_layer=1, n_embd=8, n_head=2, vocab_size=9)).save_pretrained(
        tmp_path / "gpt"
    )
    refused(lrgd(*asked, *note, "--model", tmp_path / "gpt"), "'gpt2'; supported: llama")
    out = ["equivalence", "--out", tmp_path / "eq", "--bundle", saved]
    refused(lrgd(*out, "--user", "u"), "no user 'u'")
    refused(lrgd(*out, "--user", user, "--model", chat_model, "--tokens", 5000), "has room for")
    assert not list((tmp_path / "eq").iterdir())
    (tmp_path / "file").touch()
    refused(lrgd("equivalence", "--out", tmp_path / "file" / "eq"), "cannot write to")
    refused(lrgd(*asked, *note, "--html", tmp_path / "file" / "x.html"), "cannot write to")
    refused(lrgd(*asked, *note, "--html", tmp_path), "is a folder")


def test_a_folder_without_safetensors_is_refused(
    lrgd: Any, saved: Path, user: str, chat_model: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "pickled"
    shutil.copytree(chat_model, folder)
    weights = folder / "model.safetensors"
    weights.unlink()
    torch.save({}, folder / "pytorch_model.bin")
    options = ["--bundle", saved, "--user", user, "--demonstration", NOTE, "--model", folder]
    refused(lrgd("explain", *options), "no usable model")
