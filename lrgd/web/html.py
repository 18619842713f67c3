"""What the terminal shows, as HTML: rich's texts, tables and panels, every character escaped.

Both faces show the same renderables. Knows the few kinds that `lrgd` makes; complains of others.
"""

from html import escape
from urllib.parse import quote

from rich.columns import Columns
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.style import Style
from rich.table import Table
from rich.text import Text

from lrgd.core.text import visible
from lrgd.terminal.text import USER

ATTRIBUTES = ("bold", "dim", "italic", "underline", "strike", "reverse")
# gr.HTML reads its values as templates.
_TEMPLATE_MARKS = str.maketrans({"$": "&#36;", "{": "&#123;", "}": "&#125;"})
_console = Console(color_system="truecolor", width=200)


def as_html(shown: RenderableType) -> str:
    """HTML of a renderable, safe to insert.

    Raises:
        TypeError: a kind that is not known here.
    """
    if isinstance(shown, str):
        return as_html(Text.from_markup(shown))
    if isinstance(shown, Text):
        return f'<div class="text">{inline(shown)}</div>'
    if isinstance(shown, Group):
        return "".join(as_html(part) for part in shown.renderables)
    if isinstance(shown, Columns):
        cells = "".join(f"<li>{_cell(part)}</li>" for part in shown.renderables)
        return f'<ul class="columns">{cells}</ul>'
    if isinstance(shown, Table):
        return _table(shown)
    if isinstance(shown, Panel):
        title = f"<legend>{_title(shown.title)}</legend>" if shown.title else ""
        return f"<fieldset>{title}{as_html(shown.renderable)}</fieldset>"
    raise TypeError(f"the page cannot show a {type(shown).__name__}")


def inline(text: Text) -> str:
    """HTML of a styled text, without a block around it."""
    parts = []
    # assemble: rich leaves out the style of a whole text that has no parts with one of their own.
    for segment in Text.assemble(text).render(_console):
        body = escaped(segment.text)
        parts.append(_styled(body, segment.style) if isinstance(segment.style, Style) else body)
    return "".join(parts)


def _styled(body: str, style: Style) -> str:
    if USER in style.meta:
        return f'<a href="?user={quote(style.meta[USER], safe="")}">{body}</a>'
    names = _classes(style)
    return f'<span class="{names}">{body}</span>' if names else body


def escaped(text: str) -> str:
    """A text from outside, escaped, its control characters made visible; lines stay lines."""
    seen = "\n".join(visible(line) for line in text.split("\n"))
    return escape(seen).translate(_TEMPLATE_MARKS)


def _classes(style: Style) -> str:
    names = [name for name in ATTRIBUTES if getattr(style, name)]
    if style.color and not style.color.is_default:
        names.append(style.color.name.replace("bright_", ""))
    return " ".join(names)


def _table(table: Table) -> str:
    title = f"<caption>{_title(table.title)}</caption>" if table.title else ""
    head = ""
    if table.show_header and any(str(column.header) for column in table.columns):
        cells = "".join(
            f'<th scope="col" class="{c.justify}">{_cell(c.header)}</th>' for c in table.columns
        )
        head = f"<thead><tr>{cells}</tr></thead>"
    columns = [(column.justify, list(column.cells)) for column in table.columns]
    rows = "".join(
        "<tr>"
        + "".join(f'<td class="{j}">{_cell(cells[n])}</td>' for j, cells in columns)
        + "</tr>"
        for n in range(table.row_count)
    )
    return f'<div class="scroll"><table>{title}{head}<tbody>{rows}</tbody></table></div>'


def _cell(shown: RenderableType) -> str:
    if isinstance(shown, str):
        shown = Text.from_markup(shown)
    return inline(shown) if isinstance(shown, Text) else as_html(shown)


def _title(title: str | Text) -> str:
    return inline(title if isinstance(title, Text) else Text.from_markup(title))
