"""The wheel, installed beside folders of a user's own that are called as the rooms are.

The environment sees the packages of the one that runs the tests, and installs lrgd alone: nothing
is fetched.
"""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from tests.loopback import LoopbackModel

pytestmark = pytest.mark.wheel

ROOT = Path(__file__).parents[2]
ROOMS = ("agents", "core", "evals", "graphs", "lrgd", "memory", "serving", "theory")
EXAMPLE_MODEL = 'MODEL = "smollm2-135m"'


def pip(*arguments: object) -> None:
    command = [sys.executable, "-m", "pip", "--quiet", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy: what earlier builds left in `build/` would find its way in."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for room in ROOMS:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / room, source / room, ignore=ignored)
    for file in ("pyproject.toml", "setup.py", "README.md"):
        shutil.copy(ROOT / file, source)
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", out, source)
    [built] = out.glob("lrgd-*.whl")
    return built


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with lrgd in it."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    found = folder / "bin" / "python"
    [packages] = folder.glob("lib/python*/site-packages")
    pip("--python", found, "install", "--no-deps", "--no-index", wheel)
    # A folder named so is searched, but its own .pth files are not read: not the editable lrgd.
    (packages / "tests.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return found


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A user's project with packages of these names, which no import of ours may reach."""
    for name in ("agents", "core", "evals", "graphs", "memory", "serving", "theory"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(f"raise SystemExit('the user\\'s own {name}')")
    return tmp_path


def run(python: Path, project: Path, code: str) -> str:
    script = project / "example.py"
    script.write_text(code)
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [python, script], cwd=project, env=kept, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_public_name_is_the_installed_packages(python: Path, project: Path) -> None:
    code = "import lrgd\nfor name in lrgd.__all__: getattr(lrgd, name)\nprint(lrgd.__file__)\n"
    assert Path(run(python, project, code).strip()).is_relative_to(python.parents[1])


def test_every_file_of_the_rooms_is_in_the_wheel(wheel: Path) -> None:
    inside = set(zipfile.ZipFile(wheel).namelist())
    for room in ROOMS:
        for file in (ROOT / room).rglob("*"):
            if file.is_file() and "__pycache__" not in file.parts:
                within = Path("lrgd", file.relative_to(ROOT)) if room != "lrgd" else file
                assert str(within).removeprefix(f"{ROOT}/") in inside


def test_the_readmes_example_runs(python: Path, project: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
    example = next(block for block in blocks if EXAMPLE_MODEL in block)
    with LoopbackModel() as server:
        told = run(python, project, example.replace(EXAMPLE_MODEL, f'MODEL = "{server.url}"'))
    assert "Super Mario Odyssey" in told.splitlines()[-1]
