"""What stands behind a command's name, read: each reader raises ValueError where it cannot."""

import re
from collections.abc import Callable


def _matched(pattern: str) -> Callable[[str], tuple[str, ...]]:
    def arguments(rest: str) -> tuple[str, ...]:
        match = re.fullmatch(pattern, rest, re.IGNORECASE)
        if match is None:
            raise ValueError(rest)
        return tuple(group for group in match.groups() if group is not None)

    return arguments


def _place(rest: str) -> tuple[str, ...]:
    """A checkpoint's number, or "", a path (or "") and a round."""
    match = re.fullmatch(r"(\d+)|(?:path\s+(\d+)\s+)?round\s+(\d+)", rest, re.IGNORECASE)
    if match is None:
        raise ValueError(rest)
    n, path, round_ = match.groups(default="")
    return (n,) if n else ("", path, round_)


def _edited(rest: str) -> tuple[str, ...]:
    """The call, its path, or "" for each; the words, and what replaces them."""
    call = r"(?:(recommender)|(generator)(?:\s+(?:path\s+)?(\d+))?)?"
    match = re.fullmatch(rf'{call}\s*"(.+)"\s*=>\s*"(.*)"', rest, re.IGNORECASE)
    if match is None:
        raise ValueError(rest)
    recommender, generator, path, old, new = match.groups(default="")
    return (recommender or generator).lower(), path, old, new


def none(rest: str) -> tuple[str, ...]:
    if rest:
        raise ValueError(rest)
    return ()


def _text(rest: str) -> tuple[str, ...]:
    """The rest of the line, with or without quotes around it; an empty one needs them."""
    if not rest:
        raise ValueError(rest)
    quoted = len(rest) > 1 and rest[0] == rest[-1] and rest[0] in "\"'"
    return (rest[1:-1] if quoted else rest,)


def _optional(rest: str) -> tuple[str, ...]:
    return _text(rest) if rest else ()


def _why(rest: str) -> tuple[str, ...]:
    """ITEM over ITEM; where a title has the word in it, it needs quotes or is the first one."""
    if quoted := re.fullmatch(r'"([^"]+)"(?:\s+over\s+(.+))?', rest):
        item, rival = quoted.groups()
        return (item, *_text(rival)) if rival else (item,)
    item, over, rival = rest.rpartition(" over ")
    return (*_text(item), *_text(rival)) if over else _text(rest)


ARGUMENTS: dict[str, Callable[[str], tuple[str, ...]]] = {
    "users": _optional,
    "user": _text,
    "prompt": _matched(r"(generator|recommender)?(?:(?:^|\s+)(?:path\s+)?(\d+))?"),
    "perturb": _matched(r"(?:from\s+)?(?:path\s+)?(\d+)(?:\s+on\s+(?:path\s+)?(\d+))?"),
    "regularise": _text,
    "order": _matched(r"(instruction[-_]first|demonstration[-_]first)"),
    "shuffle": _matched(r"(\d+)"),
    "mode": _matched(r"(decision|logprobs|listwise)"),
    "why": _why,
    "worst": _matched(r"(lost|rank|change|collapsed|refused)?"),
    "task": _matched(r"(validation|test)"),
    "more": _matched(r"(\d{1,4})"),
    "edit": _edited,
    "fork": _place,
    "compare": _matched(r"(\d+)\s+(\d+)"),
    "export": _optional,
    "case": _optional,
}
"""Name of a command -> what reads the rest of its line."""
