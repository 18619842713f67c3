"""An explanation in the terminal and as a page of its own."""

from jinja2 import Environment
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from lrgd.explain import Explanation, WordEffect
from lrgd.show import ranking_view

FOR, AGAINST = (37, 99, 168), (192, 57, 43)
"""RGB of words that helped the item, and of words that helped its rival."""
HEADS_SHOWN = 3


def explanation_view(found: Explanation, top: int) -> RenderableType:
    """Ranking, shaded demonstration, numbers by word, and the heads of the direct path."""
    return Group(
        Text(f"\nTest task of {found.task.user_id}, ranked by {found.model}", style="bold"),
        Text("\n   rank  prob.  item (=> the true next item)", style="bold"),
        ranking_view(found.ranking, found.task, top),
        Text("\nThe demonstration", style="bold"),
        _shaded(found),
        Text(f"  {caption(found)}\n"),
        *(Text(line) for line in summary(found)),
        Text(""),
        _table(found),
        Text(direct_path(found)),
    )


def summary(found: Explanation) -> list[str]:
    """What was explained, and what the whole demonstration did."""
    rank = found.ranking.rank_of(found.item.id)
    return [
        f"item:  {found.item.title} (rank {rank}; {found.rank_without} without demonstration)",
        f"rival: {found.rival.title}",
        f"logit difference {found.difference:+.3f}; of it the demonstration {found.effect:+.3f}",
    ]


def direct_path(found: Explanation) -> str:
    """How much of the effect goes straight from the demonstration to the answer, and where."""
    heads = ", ".join(
        f"layer {h.layer} head {h.head} {h.centred:+.1e} (attention {h.attention:.1e})"
        for h in found.heads[:HEADS_SHOWN]
    )
    return (
        f"Straight from the demonstration to the answer went {found.direct:+.1e}, most of it by "
        f"{heads}. The rest of {found.effect:+.3f} went by way of tokens between, which read the "
        f"demonstration first. Checked: all terms of the answer add up to the model's logit "
        f"difference within {abs(found.incompleteness):.0e}."
    )


def caption(found: Explanation) -> str:
    """What the shades mean."""
    return f"Blue: for the item, red: for its rival; the deepest shade is {_largest(found):.3f}."


def _largest(found: Explanation) -> float:
    return max(abs(w.effect) for w in found.words)


def shades(found: Explanation) -> list[tuple[WordEffect, tuple[int, int, int], float]]:
    """Each word with its colour and how strong that is, 0 to 1."""
    largest = _largest(found) or 1.0
    return [(w, FOR if w.effect > 0 else AGAINST, abs(w.effect) / largest) for w in found.words]


def page(found: Explanation, top: int) -> str:
    """The explanation as one HTML file that needs nothing else."""
    items = {item.id: item for item in found.task.candidates}
    ranked = [
        (rank, found.ranking.probabilities[item_id], items[item_id])
        for rank, item_id in enumerate(found.ranking.order, start=1)
    ]
    shown = [row for row in ranked if row[0] <= top or row[2].id in _marked(found)]
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(_PAGE).render(
        found=found,
        ranked=shown,
        shades=shades(found),
        caption=caption(found),
        summary=summary(found),
        direct=direct_path(found),
    )


def _marked(found: Explanation) -> set[str | None]:
    return {found.item.id, found.rival.id, found.task.target_id}


def _shaded(found: Explanation) -> Text:
    text = Text("  ")
    for word, colour, strength in shades(found):
        # Faded towards white, so that black letters stay readable on any terminal.
        red, green, blue = (round(255 - 0.75 * strength * (255 - c)) for c in colour)
        text.append(word.word, style=f"black on rgb({red},{green},{blue})")
        text.append(" ")
    return text


def _table(found: Explanation) -> Table:
    table = Table()
    table.add_column("word")
    for name in ("effect (masked)", "direct path, centred", "direct path, plain"):
        table.add_column(name, justify="right")
    for w in found.words:
        table.add_row(Text(w.word), f"{w.effect:+.3f}", f"{w.centred:+.2e}", f"{w.plain:+.2e}")
    return table


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<title>Why this ranking: {{ found.task.user_id }}</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 54rem; margin: 2rem auto; padding: 0 1rem;
  color: #1d2733; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
.note { font-size: 1.25rem; line-height: 2; }
.note span { border-radius: .25rem; padding: .15rem .3rem; }
table { border-collapse: collapse; } td, th { padding: .2rem .8rem; text-align: right; }
th { border-bottom: 1px solid #9aa5b1; } td.text, th.text { text-align: left; }
tr.true td { font-weight: 600; } .small { color: #52606d; font-size: .9rem; }
</style></head><body>
<h1>Why this ranking: {{ found.task.user_id }}</h1>
<p class="small">Ranked by {{ found.model }}.</p>
<h2>The demonstration</h2>
<p class="note">
{% for word, colour, strength in shades %}
<span style="background: rgba({{ colour|join(', ') }}, {{ '%.3f'|format(0.75 * strength) }})"
 title="effect {{ '%+.3f'|format(word.effect) }}">{{ word.word }}</span>
{% endfor %}
</p>
<p class="small">{{ caption }}</p>
{% for line in summary %}<div>{{ line }}</div>
{% endfor %}
<h2>Word by word</h2>
<table><tr><th class="text">word</th><th>effect (masked)</th><th>direct path, centred</th>
<th>direct path, plain</th></tr>
{% for word, colour, strength in shades %}
<tr><td class="text">{{ word.word }}</td><td>{{ '%+.3f'|format(word.effect) }}</td>
<td>{{ '%+.2e'|format(word.centred) }}</td><td>{{ '%+.2e'|format(word.plain) }}</td></tr>
{% endfor %}
</table>
<p class="small">{{ direct }}</p>
<h2>The ranking</h2>
<table><tr><th>rank</th><th>probability</th>
<th class="text">item (bold: the true next one)</th></tr>
{% for rank, probability, item in ranked %}
<tr{% if item.id == found.task.target_id %} class="true"{% endif %}><td>{{ rank }}</td>
<td>{{ '%.3f'|format(probability) }}</td><td class="text">{{ item.title }}</td></tr>
{% endfor %}
</table>
</body></html>
"""
