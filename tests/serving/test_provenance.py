"""What the pocket model is built from holds nothing of the data that it is measured on."""

import html
from pathlib import Path

import pytest

import agents
import evals
from serving.pocket import MODEL_DIR

LONG = 3
"""Words from which a title is more than a name that a vocabulary may have by chance."""


@pytest.mark.shared
def test_no_real_title_is_in_what_the_model_is_built_from(games: Path) -> None:
    rows = (games / "Games.item").read_text(encoding="utf-8").splitlines()[1:]
    titles = {" ".join(html.unescape(row.split("\t")[1]).lower().split()) for row in rows}
    long = {title for title in titles if len(title.split()) >= LONG}
    files = [
        *MODEL_DIR.parent.glob("*.py"),
        *MODEL_DIR.glob("*.json"),
        Path(agents.__path__[0]) / "prompts.py",
        Path(evals.__path__[0]) / "sample.py",
    ]
    text = " ".join(" ".join(f.read_text(encoding="utf-8").lower().split()) for f in files)
    assert len(long) > 10_000
    assert [title for title in long if title in text] == []
