"""Rich's renderables as HTML."""

import pytest
from rich.columns import Columns
from rich.console import Group
from rich.panel import Panel
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from lrgd.web.html import as_html, escaped


def test_a_text_keeps_its_styles_and_nothing_else() -> None:
    text = Text("was ").append("<b>", style="red strike").append(" & now")
    assert as_html(text) == (
        '<div class="text">was <span class="strike red">&lt;b&gt;</span> &amp; now</div>'
    )


def test_the_style_of_a_whole_text_is_kept() -> None:
    assert as_html(Text("a", "bold")) == '<div class="text"><span class="bold">a</span></div>'


def test_a_table_is_a_table() -> None:
    table = Table(title="Ranks")
    table.add_column("rank", justify="right")
    table.add_column("item")
    table.add_row("1", Text("<i>kite</i>"))
    html = as_html(table)
    assert "<caption>Ranks</caption>" in html
    assert '<th scope="col" class="right">rank</th>' in html
    assert '<td class="right">1</td><td class="left">&lt;i&gt;kite&lt;/i&gt;</td>' in html


def test_a_table_without_headings_has_none() -> None:
    table = Table(show_header=False)
    table.add_row("a")
    assert "<th" not in as_html(table)


def test_groups_and_panels_hold_others() -> None:
    html = as_html(Group(Text("a"), Panel(Text("b"), title="c")))
    assert html == (
        '<div class="text">a</div><fieldset><legend>c</legend><div class="text">b</div></fieldset>'
    )


def test_columns_are_a_list() -> None:
    assert as_html(Columns([Text("a"), Text("b")])) == (
        '<ul class="columns"><li>a</li><li>b</li></ul>'
    )


def test_a_kind_that_is_not_known_is_an_error() -> None:
    with pytest.raises(TypeError, match="Rule"):
        as_html(Rule())


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<script>", "&lt;script&gt;"),
        ('"', "&quot;"),
        ("\x1b[31m", "\u241b[31m"),
        ("a\u202eb", "a&lt;U+202E&gt;b"),
        ("a\nb", "a\nb"),
        ("${x} {{y}}", "&#36;&#123;x&#125; &#123;&#123;y&#125;&#125;"),
        ("caf\u00e9\u00a0\u2013 \U0001f9e9", "caf\u00e9\u00a0\u2013 \U0001f9e9"),
    ],
)
def test_a_text_from_outside_shows_as_text(text: str, shown: str) -> None:
    assert escaped(text) == shown
