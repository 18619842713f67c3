"""Steps of a session in the terminal: what was written, how it ranks, what the guard decided."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from lrgd.agents.guard import Judgement
from lrgd.core.text import visible
from lrgd.debug.views import Change, GuardView, Score, StepsView, StepView, Writing, node_words
from lrgd.terminal.text import places_table, said, trend

_MARKS = {"same": ("", "", ""), "removed": ("[-", "-]", "red"), "added": ("{+", "+}", "green")}
"""Before, after, and the style: a difference reads without colours, too."""


def render_steps(view: StepsView) -> RenderableType:
    """Several steps, each with its node and its text."""
    return Group(
        *(
            Group(
                Text(node_words(step.node, step.path), "bold"), said(step.text), render_step(step)
            )
            for step in view.steps
        )
    )


def render_step(step: StepView) -> RenderableType:
    """What one node did; its name and its text are for the caller to show."""
    parts: list[RenderableType] = []
    match step.node:
        case "begin":
            parts += [said(f"  memory: {text}") for text in step.recalled]
            if not step.recalled:
                parts.append(Text("  memory knows nothing of this user yet"))
        case "generator" if step.writing:
            parts += _writing(step.writing, step.recalled)
        case "recommender" if step.score:
            parts.append(places_table(step.score.places, 5))
        case "evaluator" if step.score:
            parts.append(_score(step.score))
        case "collapse_guard" if step.guard:
            parts += _guard(step.guard)
        case "choose":
            parts += _choice(step)
    return Group(*parts)


def _writing(writing: Writing, recalled: Sequence[str]) -> list[RenderableType]:
    parts: list[RenderableType] = []
    if any(change.kind == "same" for change in writing.changes):
        parts.append(changed_words("  to the last: ", writing.changes))
    if recalled:
        parts.append(Text("  recalled, since they ranked the true next item high:", "dim"))
        parts += [said(f"    {text}", "dim") for text in recalled]
    if writing.injected:
        parts.append(said(f"  injected (D_per): {writing.injected}", "magenta"))
    if writing.verdict != "usable":
        parts.append(Text(f"  rejected: {writing.verdict}; not ranked", style="red"))
    return parts


def _score(score: Score) -> Text:
    rank = f", true next item ranked {score.rank} of {score.candidates}" if score.rank else ""
    bars = f"  {trend(score.effects)}" if len(score.effects) > 1 else ""
    return Text(f"  Effect_D {score.effect:.4f}{rank}{bars}")


def _guard(guard: GuardView) -> list[RenderableType]:
    pairs = zip(guard.judgements, guard.similarities, strict=True)
    return [_judgement(j, cosines, guard.threshold) for j, cosines in pairs]


def _choice(step: StepView) -> list[RenderableType]:
    text = f"  chosen: {step.text}" if step.text else "  nothing usable was written"
    parts: list[RenderableType] = [_score(step.score)] if step.score else []
    parts += [said(text, "bold"), Text(f"  stopped by: {step.stopped_by}", "dim")]
    if step.score and step.score.when_written is not None:
        was = f"  {step.score.when_written:.4f} when it was written: settings changed"
        parts.append(Text(was))
    return parts


def changed_words(lead: str, changes: Sequence[Change]) -> Text:
    """Two texts as one, what was removed and what was added marked."""
    words = Text(lead, "dim")
    for change in changes:
        before, after, style = _MARKS[change.kind]
        words.append(f"{before}{visible(change.text)}{after}", style).append(" ")
    return words


def _judgement(j: Judgement, cosines: Sequence[float], threshold: float) -> Text:
    if j.similarity is None:
        return Text(f"  path {j.path}: its first demonstration, nothing to compare")
    gain = "not known yet" if j.gain is None else f"{j.gain:+.4f}"
    bars = f" {trend(cosines)}" if len(cosines) > 1 else ""
    words = Text(f"  path {j.path}: similarity {j.similarity:.2f}{bars} ")
    words.append(f"(copies from {threshold}), ")
    return words.append(f"gain {gain}: ").append(_verdict(j))


def judgement_words(j: Judgement) -> Text:
    """A judgement without its path, in a line."""
    if j.similarity is None:
        return Text("first note: nothing to compare", "dim")
    gain = "" if j.gain is None else f", gain {j.gain:+.4f}"
    return Text(f"similarity {j.similarity:.2f}{gain}: ", "dim").append(_verdict(j))


def _verdict(j: Judgement) -> Text:
    if not j.collapsed:
        return Text("goes on")
    injected = f"; path {j.source} is injected next" if j.source is not None else ""
    return Text(f"collapsed{injected}", "red")
