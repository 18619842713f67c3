"""The report's page in a real browser; `make test-browser`."""

from pathlib import Path
from typing import Any

import pytest

from lrgd.agents.values import Usage
from lrgd.evals.data.bundle import Bundle
from lrgd.evals.report.page import write_report
from lrgd.evals.report.report import report_of
from lrgd.evals.runs.evaluation import evaluation, methods_of
from lrgd.evals.runs.folder import RunHeader, Score, UserRecord
from lrgd.graphs import LoopSettings
from lrgd.graphs.state import PathState, Trial
from lrgd.memory import Demonstration

pytestmark = pytest.mark.browser

EVIL = "<img src=http://evil.example/a.png onerror=alert(1)> {{ 7 * 7 }}"


def record(user: str, n: int) -> UserRecord:
    """Two paths of two rounds; the texts are full of markup."""
    trials = [
        [Trial(Demonstration(user, f"{EVIL} {p}{r}", p, r, (r,), worth=0.1 * (n + p + r)), "usable")
         for r in (1, 2)]
        for p in (0, 1)
    ]  # fmt: skip
    paths = tuple(PathState(p, tuple(found)) for p, found in enumerate(trials))
    return UserRecord(user, paths, (), trials[1][1].demonstration, "rounds", Usage(4, 40, 4))


@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_is_whole_without_any_request(
    bundle: Bundle, tmp_path: Path, chromium: Any, width: int
) -> None:
    users, settings = tuple(bundle.users)[:4], LoopSettings(paths=2, rounds=2)
    records = [record(user, n) for n, user in enumerate(users)]
    wanted = evaluation("all")
    methods = list(methods_of(wanted, settings, lambda settings: records))
    scores = [
        Score(seeded.method.name, user, 1 + (3 * m + n) % 9, seed=seeded.seed)
        for m, seeded in enumerate(methods)
        for n, user in enumerate(users)
    ]
    header = RunHeader(bundle="b", bundle_sha256="0" * 64, model=EVIL, ranking="decision",
                       users=users, settings=settings)  # fmt: skip
    found = report_of(bundle, header, wanted, methods, scores)
    files = write_report(tmp_path, found)

    requests, alarms = [], []
    page = chromium.new_context(viewport={"width": width, "height": 800}).new_page()
    page.on("request", lambda request: requests.append(request.url))
    page.on("dialog", lambda dialog: (alarms.append(dialog.message), dialog.accept()))
    page.goto(files.page.as_uri())
    assert found.headline in page.inner_text(".verdict")
    table = page.locator("table.results").first
    assert table.locator("tr").count() == 1 + len(found.rows)
    sizes = page.evaluate("[...document.images].map(i => i.naturalWidth)")
    assert len(sizes) == 4
    assert all(sizes)
    # Wide tables scroll in their boxes, the page itself does not.
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.locator("summary").first.click()
    assert EVIL in page.inner_text("details")
    assert not alarms
    assert [url for url in requests if not url.startswith(("file:", "data:"))] == []
