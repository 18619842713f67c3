"""The pocket model: what its circuits do, and the folder that is served."""

import json
from pathlib import Path

import pytest
import torch

from agents import prompts
from agents.listwise import parse_list
from agents.prompts import Attempt
from agents.values import Item, RankingTask
from evals.protocol import freeze
from evals.sample import sample_world
from serving.pocket import MODEL_DIR
from serving.pocket.construction import construct
from serving.pocket.export import load, save
from serving.pocket.inference import Pocket
from serving.pocket.layout import MAX_OPTIONS, Layout, codes
from serving.pocket.tokenizer import LABELS, SECTIONS, build_tokenizer

TITLES = ("Wool Yarn, Red", "Kart Racing - Wii", "Chess Board", "Garden Hose", "USB Cable")


@pytest.fixture(scope="module")
def served() -> Pocket:
    return load(MODEL_DIR)


def task(history: tuple[str, ...], target: str = TITLES[0]) -> RankingTask:
    candidates = tuple(Item(title, title) for title in TITLES)
    return RankingTask("u", tuple(Item(t, t) for t in history), candidates, target)


def best(pocket: Pocket, asked: RankingTask, note: str | None = None) -> str:
    with torch.no_grad():
        logits = pocket.label_logits([pocket.ranking_ids(asked, note)])[0]
    return asked.candidates[int(logits[: len(asked.candidates)].argmax())].title


def test_each_fixed_phrase_of_the_prompts_is_one_token(served: Pocket) -> None:
    attempt = Attempt("mostly wii.", rank=3, candidates=50)
    asked = RankingTask("u", (Item("a", "Wii"),), (Item("a", "A"), Item("b", "B")), "a", "likes x")
    chat = prompts.generation_messages(
        asked, last=attempt, effective=[attempt], perturbation="mostly wii."
    )
    ids = served.writing_ids(chat) + served.ranking_ids(asked, "mostly wii.")
    assert set(SECTIONS) <= set(served.tokenizer.convert_ids_to_tokens(ids))


def test_a_decision_and_a_chat_are_one_prompt(served: Pocket) -> None:
    asked = task(("Mario Kart",))
    text = prompts.choice_prompt(prompts.ranking_state(asked, "wii."), TITLES)
    chat = served.writing_ids([{"role": "user", "content": text}])
    assert served.ranking_ids(asked, "wii.") == chat


@pytest.mark.parametrize("slot", range(len(TITLES)))
def test_an_option_that_shares_a_word_with_the_history_wins_in_every_slot(
    served: Pocket, slot: int
) -> None:
    asked = task(("Mario Kart", "Wii Remote"))
    order = asked.candidates[slot:] + asked.candidates[:slot]
    asked = RankingTask("u", asked.history, order, asked.target_id)
    assert best(served, asked) == "Kart Racing - Wii"


def test_meaning_counts_where_no_word_is_shared(served: Pocket) -> None:
    assert best(served, task(("Knitting Needles", "Crochet Patterns"))) == "Wool Yarn, Red"


def test_a_note_moves_the_ranking(served: Pocket) -> None:
    asked = task(("Chess Clock", "Garden Shears"))
    assert best(served, asked, "Leans to chess.") == "Chess Board"
    assert best(served, asked, "Leans to garden.") == "Garden Hose"


@torch.no_grad()
def test_a_word_of_a_note_lifts_the_option_that_has_it_common_words_do_not(served: Pocket) -> None:
    asked = task(("Chess Clock", "Garden Shears"))
    texts = (None, "It is for them.", "It is chess for them.")
    rows = [served.ranking_ids(asked, text) for text in texts]
    board = TITLES.index("Chess Board")
    none, common, chess = (float(served.label_logits([row])[0, board]) for row in rows)
    assert chess - none > 1
    assert abs(common - none) < 0.05


@torch.no_grad()
def test_the_likeliest_token_of_an_answer_is_a_label_that_was_offered(served: Pocket) -> None:
    ids = served.ranking_ids(task(("Chess Clock",)))
    logits = served.model(input_ids=torch.tensor([ids])).logits[0, -1]
    top = served.tokenizer.convert_ids_to_tokens(logits.topk(len(TITLES)).indices.tolist())
    assert set(top) == set(LABELS[: len(TITLES)])
    assert top[0] == LABELS[TITLES.index("Chess Board")]


def test_a_list_names_each_title_once_the_best_first(served: Pocket) -> None:
    asked = task(("Mario Kart", "Wii Remote"))
    ranking = parse_list(served.list(asked, length=2), asked.candidates)
    assert ranking.order[0] == "Kart Racing - Wii"
    assert (ranking.audit.named, ranking.audit.duplicates, ranking.audit.out_of_set) == (2, 0, 0)


def test_a_list_names_titles_that_match_nothing_too(served: Pocket) -> None:
    asked = task(("Mario Kart", "Wii Remote"))
    audit = parse_list(served.list(asked, length=4), asked.candidates).audit
    assert (audit.named, audit.duplicates, audit.out_of_set) == (4, 0, 0)


def notes(pocket: Pocket) -> list[str]:
    torch.manual_seed(0)
    asked = task(("Chess Clock", "Garden Shears", "Chess Pieces"))
    return pocket.write([prompts.generation_messages(asked)] * 8)


def test_a_note_says_something_and_ends(served: Pocket) -> None:
    for note in notes(served):
        assert note.endswith(".")
        assert any(word in note for word in ("chess", "clock", "garden", "shear", "pieces"))


def test_a_note_names_whole_words_of_the_history(served: Pocket) -> None:
    for note in notes(served):
        assert any(word in note for word in ("chess", "clock", "garden", "shears", "pieces"))


def test_a_note_names_first_what_recurs(served: Pocket) -> None:
    first = [note.removesuffix(".").split(",")[0] for note in notes(served)]
    assert sum(text.endswith("chess") for text in first) > len(first) / 2


@pytest.fixture(scope="module", params=[torch.bfloat16, torch.float16], ids=str)
def halved(request: pytest.FixtureRequest) -> Pocket:
    pocket = load(MODEL_DIR)
    pocket.model.to(request.param)
    return pocket


@pytest.fixture(scope="module")
def sample() -> list[RankingTask]:
    bundle = freeze(sample_world(), users=6, candidates=50, history=20, seed=3)
    return [bundle.task(user, "test") for user in bundle.users]


@torch.no_grad()
def test_half_precision_ranks_nearly_like_float32(
    served: Pocket, halved: Pocket, sample: list[RankingTask]
) -> None:
    rows = [served.ranking_ids(asked) for asked in sample]
    exact, rough = (pocket.label_logits(rows).float()[:, :50] for pocket in (served, halved))
    for scores, others in zip(exact, rough, strict=True):
        assert float(torch.corrcoef(torch.stack([scores, others]))[0, 1]) > 0.999
        assert scores[others.argmax()] > scores.max() - 0.3


def test_half_precision_lists_titles_and_ends(halved: Pocket, sample: list[RankingTask]) -> None:
    audits = [parse_list(halved.list(asked), asked.candidates).audit for asked in sample[:2]]
    assert sum(audit.named for audit in audits) >= 19
    assert sum(audit.out_of_set + audit.duplicates for audit in audits) <= 1


def test_half_precision_writes_notes_of_the_history(halved: Pocket) -> None:
    for note in notes(halved):
        assert note.endswith(".")
        assert any(word in note for word in ("chess", "clock", "garden", "shears", "pieces"))


@torch.no_grad()
def test_options_of_a_list_are_counted_exactly_in_half_precision(halved: Pocket) -> None:
    titles = [f"Item {n}" for n in range(MAX_OPTIONS)]
    text = prompts.listwise_prompt("", titles, 10)
    ids = halved.writing_ids([{"role": "user", "content": text}])
    states = halved.model.model(input_ids=torch.tensor([ids]), output_hidden_states=True)
    segments = states.hidden_states[3][0, :, Layout.segment].float()
    word = halved.tokenizer.convert_tokens_to_ids("item")
    found = segments[[n for n, token in enumerate(ids) if token == word]]
    torch.testing.assert_close(found, codes()[:MAX_OPTIONS], rtol=0, atol=2e-3)


def test_a_note_names_a_word_with_the_number_that_followed_it_last(served: Pocket) -> None:
    torch.manual_seed(0)
    asked = task(("Chess Clock 4", "Kart Racing 2", "Kart Racing 3"))
    named = [n for n in served.write([prompts.generation_messages(asked)] * 8) if "racing" in n]
    assert named
    assert all("racing 3" in note for note in named)


def test_a_number_of_a_note_lifts_the_option_that_has_it(served: Pocket) -> None:
    titles = ("Racing 2", "Racing 3", "Garden Hose")
    options = tuple(Item(t, t) for t in titles)
    asked = RankingTask("u", (Item("h", "Racing 2"), Item("i", "Racing 3")), options, titles[0])
    assert best(served, asked, "Looks for racing 2.") == "Racing 2"
    assert best(served, asked, "Looks for racing 3.") == "Racing 3"


def test_the_weights_in_the_project_are_small_and_their_labels_single_tokens() -> None:
    assert sum(file.stat().st_size for file in Path(MODEL_DIR).iterdir()) < 20e6
    decision = json.loads((MODEL_DIR / "decision.json").read_text())
    tokenizer = load(MODEL_DIR).tokenizer
    assert decision["labels"]["choice"] == list(LABELS)
    ids = tokenizer(list(LABELS), add_special_tokens=False)["input_ids"]
    assert all(len(row) == 1 for row in ids)


@torch.no_grad()
def test_the_weights_in_the_project_rank_like_what_the_code_builds(
    served: Pocket, tmp_path: Path
) -> None:
    tokenizer = build_tokenizer()
    save(construct(tokenizer), tokenizer, tmp_path / "weights")
    row = served.ranking_ids(task(("Chess Clock", "Garden Shears")))
    built = load(tmp_path / "weights")
    # Half precision keeps 11 bits; the largest logit here is 44.
    torch.testing.assert_close(
        built.label_logits([row]), served.label_logits([row]), rtol=0, atol=0.1
    )
