"""`lrgd equivalence` and `lrgd explain`: SmolLM2 end to end, a tiny random model for the rest."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from lrgd.agents.prompts import PromptSettings
from lrgd.agents.values import Item, Ranking, RankingAudit, RankingTask, Usage
from lrgd.cli.main import main
from lrgd.core.errors import InputError
from lrgd.debug.equipment import LocalWeights
from lrgd.debug.state import Ranked
from lrgd.evals.data.bundle import Bundle
from lrgd.evals.data.protocol import freeze
from lrgd.evals.data.sample import sample_world
from lrgd.evals.runs.folder import RunFolder, RunHeader, UserRecord
from lrgd.explain.equivalence import Equivalence, Lab, case_of, note_of, unlike
from lrgd.explain.equivalence_steps import STEPS, in_double, measure
from lrgd.explain.explanation import explain, word_effects
from lrgd.explain.model import LocalModel, RankingPrompt, load_local, ranked, ranking_prompt
from lrgd.graphs import LoopSettings
from lrgd.memory import Demonstration
from lrgd.serving.models import DEFAULT
from lrgd.theory import read_prompt
from tests.families import make

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


@pytest.fixture(scope="module")
def chat_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random Qwen2 with a chat template."""
    return make("qwen2", tmp_path_factory.mktemp("theory") / "qwen")


@pytest.fixture(scope="module")
def smollm() -> LocalModel:
    return load_local(DEFAULT)


def test_equivalence_of_another_family(
    lrgd: Any, saved: Path, user: str, chat_model: Path, tmp_path: Path
) -> None:
    options = ["--bundle", saved, "--user", user, "--model", chat_model, "--out", tmp_path / "eq"]
    code, out, err = lrgd("equivalence", *options, "--tokens", 6, "--seeds", 1)
    assert (code, err) == (0, "")
    assert "6 of 6" in out
    assert "Random features on 8 of 8 heads" in " ".join(out.split())
    numbers = json.loads((tmp_path / "eq" / "equivalence.json").read_text())
    single, double = numbers["exactness"]
    assert (single["precision"], double["precision"]) == ("float32", "float64")
    assert 0 < single["logits"] < 1e-5
    assert double["logits"] < 1e-9
    assert double["same_tokens"] == 6
    assert len(numbers["heads"]) == 2 * 4
    assert list(numbers["feature_errors"]["FAVOR+"]) == ["32", "128", "512", "2048", "8192"]
    assert {len(errors) for errors in numbers["depth_errors"].values()} == {3}
    assert len(numbers["good"]["distances"]) == 8
    plots = {path.name for path in (tmp_path / "eq").glob("*.png")}
    assert plots == {"figure8.png", "error_by_features.png", "error_by_depth.png", "heads.png"}


def test_what_is_measured_is_kept_when_a_later_step_fails(
    lrgd: Any,
    saved: Path,
    user: str,
    chat_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full_disk(lab: Lab, found: Equivalence, tick: object) -> Equivalence:
        raise InputError("no space left")

    monkeypatch.setitem(STEPS, "figure 8", (1.0, full_disk))
    options = ["--bundle", saved, "--user", user, "--model", chat_model, "--out", tmp_path]
    code, out, err = lrgd("equivalence", *options, "--tokens", 2, "--seeds", 1)
    assert (code, err) == (2, "lrgd: no space left\n")
    assert "2 of 2" in out
    numbers = json.loads((tmp_path / "equivalence.json").read_text())
    assert len(numbers["exactness"]) == 1
    assert numbers["advantages"]["rank"] >= 1
    assert numbers["good"] is None


def test_the_model_is_float32_again_after_float64(chat_model: Path) -> None:
    model = load_local(str(chat_model)).model
    before = {name: weight.clone() for name, weight in model.named_parameters()}
    with in_double(model) as decoder:
        assert decoder.model.dtype == torch.float64
    for name, weight in model.named_parameters():
        assert torch.equal(weight, before[name]), name


def test_equivalence_of_smollm(smollm: LocalModel, bundle: Bundle) -> None:
    """Its first step, 30 layers of 9 heads; the other steps are the tiny model's above."""
    task = bundle.task(next(iter(bundle.users)), "test")
    _, found = next(measure(Lab(case_of(smollm, task, None), 4, 1), lambda name, done: None))
    (row,) = found.exactness
    # In parts of the largest value: float32 has seven digits.
    assert row.logits < 1e-5 * row.largest_logit
    assert row.states < 1e-5 * row.largest_state
    assert row.same_tokens == 4


def test_explain_shades_words_and_adds_up(
    lrgd: Any, saved: Path, user: str, bundle: Bundle, tmp_path: Path
) -> None:
    """The default model, from the command line."""
    task = bundle.task(user, "test")
    assert task.target is not None
    note = f"wants {task.target.title} & the like <3."
    page = tmp_path / "pages" / "why.html"
    options = ["--bundle", saved, "--user", user, "--demonstration", note]
    code, out, err = lrgd("explain", *options, "--html", page, "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert found["model"] == DEFAULT
    assert found["rank"] <= found["rank_without"]
    assert found["effect"] > 10
    assert abs(found["incompleteness"]) < 1e-3
    words = {w["word"]: w["effect"] for w in found["words"]}
    of_title = sum(words.pop(word) for word in task.target.title.split())
    assert of_title > 5 * sum(abs(effect) for effect in words.values())
    assert sum(found["ranking"]["probabilities"].values()) == pytest.approx(1)
    assert "&lt;3." in page.read_text()
    assert "<3" not in page.read_text()
    assert "whatever the run&#39;s ranking mode" in page.read_text()


def test_explain_another_item_of_another_model(
    lrgd: Any, saved: Path, user: str, bundle: Bundle, chat_model: Path
) -> None:
    item = bundle.task(user, "test").candidates[3].id
    options = ["--bundle", saved, "--user", user, "--demonstration", NOTE, "--item", item]
    options += ["--model", chat_model]
    code, out, _ = lrgd("explain", *options, "--json")
    assert code == 0
    found = json.loads(out)
    assert found["item"]["id"] == item
    assert abs(found["direct"]) > 1e-6
    assert len(found["heads"]) == 8
    code, out, _ = lrgd("explain", *options)
    assert code == 0
    assert "=>" in out
    assert "whatever the run's ranking mode" in out


def test_explain_takes_the_demonstration_that_a_run_chose(
    lrgd: Any, saved: Path, user: str, bundle: Bundle, chat_model: Path, tmp_path: Path
) -> None:
    """With the run's own prompt settings, and whatever its ranking mode."""
    run = RunFolder(tmp_path / "run")
    settings = LoopSettings(prompt_order="demonstration_first", regularisation="Be brief.")
    header = RunHeader(
        bundle=str(saved),
        bundle_sha256=bundle.sha256,
        model="another",
        ranking="listwise",
        users=tuple(bundle.users)[:2],
        settings=settings,
    )
    run.begin(header, resume=False)
    chosen = Demonstration(user, NOTE, path=0, round=1, ranks=(3,))
    run.records.append(UserRecord(user, (), (), chosen, "rounds", Usage()))
    options = ["--bundle", saved, "--run", tmp_path / "run", "--model", chat_model, "--json"]
    code, out, err = lrgd("explain", "--user", user, *options)
    assert code == 0, err
    found = json.loads(out)
    assert found["demonstration"] == NOTE
    task = bundle.task(user, "test")
    prompt = ranking_prompt(
        load_local(str(chat_model)),
        task,
        NOTE,
        PromptSettings("Be brief.", "demonstration_first"),
    )
    assert tuple(found["ranking"]["order"]) == ranking_of(chat_model, prompt, task).order
    unknown = tuple(bundle.users)[1]
    refused(lrgd("explain", "--user", unknown, *options), "no demonstration of")
    other_bundle = freeze(sample_world(shoppers=40), users=5, candidates=9, history=9, seed=3)
    other_bundle.save(tmp_path / "other")
    options[1] = tmp_path / "other"
    name = next(iter(other_bundle.users))
    refused(lrgd("explain", "--user", name, *options), "is a run of another bundle")


def ranking_of(model: Path, prompt: RankingPrompt, task: RankingTask) -> Ranking:
    decoder = load_local(str(model)).decoder
    here, anybody = (
        prompt.likelihoods(read_prompt(decoder, ids))
        for ids in (prompt.partition.ids, prompt.content_free)
    )
    return ranked(here, anybody, task.candidates)


def test_the_direct_path_is_read_where_two_titles_first_differ(chat_model: Path) -> None:
    """After the tokens that they share; items of one title cannot be told apart."""
    local = load_local(str(chat_model))
    titles = ["red wool, small", "red wool, large", "boats", "boats"]
    items = tuple(Item(str(n), title) for n, title in enumerate(titles))
    task = RankingTask("u", (), items, target_id="0")
    prompt = ranking_prompt(local, task, NOTE)
    state = read_prompt(local.decoder, prompt.partition.ids)
    near, far = word_effects(state, prompt, "0", "1"), word_effects(state, prompt, "0", "2")
    assert far.shared_tokens == 0 < near.shared_tokens
    shared = prompt.titles["0"][: near.shared_tokens]
    assert prompt.titles["1"][: near.shared_tokens] == shared
    with torch.no_grad():
        ids = torch.cat([prompt.partition.ids, torch.tensor(shared)])
        logits = local.model(ids[None]).logits[0, -1]
    item, rival = near.tokens
    assert near.token_difference == pytest.approx(float(logits[item] - logits[rival]), abs=1e-5)
    with pytest.raises(InputError, match="same title"):
        word_effects(state, prompt, "2", "3")
    assert explain(local, task, NOTE, prompt, items[2]).rival.title != "boats"


def test_word_effects_are_those_of_the_whole_titles(chat_model: Path) -> None:
    """Against a forward pass of prompt and title together, the word masked."""
    local, items = load_local(str(chat_model)), (Item("a", "red wool"), Item("b", "two boats"))
    task = RankingTask("u", (), items, target_id="a")
    weights = LocalWeights(str(chat_model))
    hand = Ranked(NOTE, "person", None, 0, Ranking(("a", "b"), RankingAudit(2)), 1.0, 1)
    found = weights.attribution(task, hand, "a", "b", LoopSettings())
    prompt = ranking_prompt(local, task, NOTE)

    def likelihood(item: str, hidden: tuple[int, ...]) -> float:
        ids = torch.cat([prompt.partition.ids, torch.tensor(prompt.titles[item])])
        mask = torch.ones_like(ids)
        mask[list(hidden)] = 0
        with torch.no_grad():
            places = torch.arange(len(ids))[None]
            logits = local.model(ids[None], attention_mask=mask[None], position_ids=places).logits
        table = logits[0, len(prompt.partition.ids) - 1 : -1].log_softmax(-1)
        return sum(float(row[t]) for row, t in zip(table, prompt.titles[item], strict=True))

    def difference(hidden: tuple[int, ...] = ()) -> float:
        return likelihood("a", hidden) - likelihood("b", hidden)

    assert [shift.word for shift in found] == NOTE.split()
    for shift, tokens in zip(found, prompt.partition.word_tokens, strict=True):
        assert shift.effect == pytest.approx(difference() - difference(tokens), abs=1e-4)
    assert weights.count_tokens("red wool") == len(local.tokens("red wool"))


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
    tiny = ["--model", chat_model]
    refused(lrgd(*asked, *tiny, "--demonstration", " "), "demonstration is empty")
    refused(lrgd(*asked, *tiny, *note, "--item", "x"), "no candidate 'x'")
    refused(lrgd(*asked, "--run", tmp_path / "no"), "no run at")
    refused(lrgd(*asked, *note, "--model", tmp_path / "no"), "no model", "a folder")
    refused(lrgd("explain", "--bundle", tmp_path, "--user", "u", *note), "no bundle at")
    refused(lrgd("explain", "--bundle", saved, "--user", "u", *note), "no user 'u'")
    GPT2LMHeadModel(GPT2Config(n_layer=1, n_embd=8, n_head=2, vocab_size=9)).save_pretrained(
        tmp_path / "gpt"
    )
    refused(lrgd(*asked, *note, "--model", tmp_path / "gpt"), "'gpt2'; supported: llama")
    out = ["equivalence", "--out", tmp_path / "eq", "--bundle", saved]
    refused(lrgd(*out, "--user", "u"), "no user 'u'")
    refused(lrgd(*out, "--user", user, "--model", chat_model, "--tokens", 5000), "has room for")
    refused(lrgd(*out, "--user", user, "--model", tmp_path / "no"), "no model", "a folder")
    assert not (tmp_path / "eq").exists()
    (tmp_path / "file").touch()
    refused(lrgd("equivalence", "--out", tmp_path / "file" / "eq"), "cannot write to")
    refused(lrgd(*asked, *note, "--html", tmp_path / "file" / "x.html"), "cannot write to")
    refused(lrgd(*asked, *note, "--html", tmp_path), "is a folder")
    refused(
        lrgd(*asked, *note, "--html", tmp_path / "w" / "x.html", "--item", "x"), "candidate 'x'"
    )
    assert not (tmp_path / "w").exists()


def test_a_folder_without_safetensors_is_refused(
    lrgd: Any, saved: Path, user: str, chat_model: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "pickled"
    shutil.copytree(chat_model, folder)
    weights = folder / "model.safetensors"
    weights.unlink()
    torch.save({}, folder / "pytorch_model.bin")
    options = ["--bundle", saved, "--user", user, "--demonstration", NOTE, "--model", folder]
    refused(lrgd("explain", *options), "no weights", "safetensors")
