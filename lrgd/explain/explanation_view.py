"""An explanation in the terminal and as a page of its own."""

from jinja2 import Environment
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from lrgd.agents.ranking.likelihood import ALPHA
from lrgd.explain.explanation import Explanation, WordEffect, WordEffects
from lrgd.show import ranking_view

FOR, AGAINST = (37, 99, 168), (192, 57, 43)
"""RGB of words that helped the item, and of words that helped its rival."""
HEADS_SHOWN = 3
MEANING = "A word effect is that of the title's likelihood, whatever the run's ranking mode."


def explanation_view(explanation: Explanation, top: int) -> RenderableType:
    """Ranking, shaded demonstration, numbers by word, and the heads of the direct path."""
    return Group(
        Text(f"\nTest task of {explanation.task.user_id}", style="bold"),
        Text(ranked_by(explanation)),
        Text("\n   rank  prob.  item (=> the true next item)", style="bold"),
        ranking_view(explanation.ranking, explanation.task, top),
        Text("\nThe demonstration", style="bold"),
        _shaded(explanation),
        Text(f"  {caption(explanation)}\n"),
        *(Text(line) for line in summary(explanation)),
        Text(""),
        _table(explanation),
        Text(direct_path(explanation)),
    )


def ranked_by(explanation: Explanation) -> str:
    """How this ranking came about."""
    return (
        f"Ranked by {explanation.model}: the likelihood of each title as the whole answer, minus "
        f"{ALPHA} times that of the same prompt with nothing about the shopper."
    )


def summary(explanation: Explanation) -> list[str]:
    """What was explained, and what the whole demonstration did."""
    rank, without = explanation.ranking.rank_of(explanation.item.id), explanation.rank_without
    difference = explanation.word_effects.difference
    return [
        f"item:  {explanation.item.title} (rank {rank}; {without} without demonstration)",
        f"rival: {explanation.rival.title}",
        f"log-likelihood of the item's title minus the rival's {difference:+.3f} nats; "
        f"of it the demonstration {explanation.effect:+.3f}",
        MEANING,
    ]


def direct_path(explanation: Explanation) -> str:
    """How much goes straight from the demonstration to the answer, and where."""
    of_words, (item, rival) = explanation.word_effects, explanation.tokens
    heads = ", ".join(
        f"layer {h.layer} head {h.head} {h.centred:+.1e} (attention {h.attention:.1e})"
        for h in of_words.heads[:HEADS_SHOWN]
    )
    where = f"after the {of_words.shared_tokens} tokens that both titles begin with, "
    return (
        f"The direct path is that of one next token, {where if of_words.shared_tokens else ''}"
        f"{item!r} for the item and {rival!r} for its rival: of their logit "
        f"difference {of_words.token_difference:+.3f}, {of_words.direct:+.1e} went straight from "
        f"the demonstration to the answer, most of it by {heads}. What went by way of tokens "
        f"between, which read the demonstration first, is in the effect and not in the path. "
        f"Checked: all terms add up to the logit difference within "
        f"{abs(of_words.incompleteness):.0e}."
    )


def caption(explanation: Explanation) -> str:
    """What the shades mean."""
    return (
        "Blue: for the item, red: for its rival; the deepest shade is "
        f"{_largest(explanation.word_effects):.3f} nats."
    )


def _largest(explanation: WordEffects) -> float:
    return max(abs(w.effect) for w in explanation.words)


def shades(explanation: Explanation) -> list[tuple[WordEffect, tuple[int, int, int], float]]:
    """Each word with its colour and how strong that is, 0 to 1."""
    words, largest = explanation.word_effects.words, _largest(explanation.word_effects) or 1.0
    return [(w, FOR if w.effect > 0 else AGAINST, abs(w.effect) / largest) for w in words]


def page(explanation: Explanation, top: int) -> str:
    """The explanation as one HTML file that loads nothing else."""
    items = {item.id: item for item in explanation.task.candidates}
    ranked = [
        (rank, explanation.ranking.probabilities[item_id], items[item_id])
        for rank, item_id in enumerate(explanation.ranking.order, start=1)
    ]
    rows = [row for row in ranked if row[0] <= top or row[2].id in _marked(explanation)]
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(_PAGE).render(
        explanation=explanation,
        ranked_by=ranked_by(explanation),
        ranked=rows,
        shades=shades(explanation),
        caption=caption(explanation),
        summary=summary(explanation),
        direct=direct_path(explanation),
    )


def _marked(explanation: Explanation) -> set[str | None]:
    return {explanation.item.id, explanation.rival.id, explanation.task.target_id}


def _shaded(explanation: Explanation) -> Text:
    text = Text("  ")
    for word, colour, strength in shades(explanation):
        # Faded towards white, so that black letters stay readable on any terminal.
        red, green, blue = (round(255 - 0.75 * strength * (255 - c)) for c in colour)
        text.append(word.word, style=f"black on rgb({red},{green},{blue})")
        text.append(" ")
    return text


def _table(explanation: Explanation) -> Table:
    table = Table()
    table.add_column("word")
    for name in ("effect (masked), nats", "direct path, centred", "direct path, plain"):
        table.add_column(name, justify="right")
    for w in explanation.word_effects.words:
        table.add_row(Text(w.word), f"{w.effect:+.3f}", f"{w.centred:+.2e}", f"{w.plain:+.2e}")
    return table


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<title>Why this ranking: {{ explanation.task.user_id }}</title>
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
<h1>Why this ranking: {{ explanation.task.user_id }}</h1>
<p class="small">{{ ranked_by }}</p>
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
<table><tr><th class="text">word</th><th>effect (masked), nats</th><th>direct path, centred</th>
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
<tr{% if item.id == explanation.task.target_id %} class="true"{% endif %}><td>{{ rank }}</td>
<td>{{ '%.3f'|format(probability) }}</td><td class="text">{{ item.title }}</td></tr>
{% endfor %}
</table>
</body></html>
"""
