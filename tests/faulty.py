"""A model on loopback that is perfect, but for one fault: the cases that users reported.

Everybody's validation target is "Alpha", the test target "Beta". It ranks candidates by the
alphabet, so that a ranking that was read from it puts the target first. Faults are named as in the
README of the cases; those that the README does not have are our own.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lrgd.evals.data.bundle import Bundle
from lrgd.evals.data.preparation import read_data
from lrgd.evals.data.protocol import freeze
from tests.loopback import Answer

GIVES_LOGPROBS = ("tail", "nan", "nulls", "infinite", "mostly_prose", "prose_later")
REFUSED = {
    "noseed": {"seed"},
    "notemperature": {"temperature"},
    "nolimit": {"max_completion_tokens"},
    "bare": {"seed", "temperature", "max_completion_tokens"},
    "barest": {"seed", "temperature", "max_completion_tokens", "max_tokens"},
}
"""Fault -> parameters that are answered by 422."""


@dataclass
class Faulty:
    """Answers requests; `fault` may be changed while it listens, as a server recovers."""

    fault: str
    at: str = "/v1/chat/completions"
    errors: list[int] = field(default_factory=list)
    """Requests that were answered by an error in place of an answer."""

    def __call__(self, path: str, body: dict[str, Any]) -> Answer:
        known = path == self.at and "response_format" not in body
        refused = REFUSED.get(self.fault, set()) & body.keys()
        if body.get("logprobs"):
            known &= self.fault in GIVES_LOGPROBS and body["top_logprobs"] <= 20
        if not known or refused:
            return (422 if refused else 404), {}, {}
        return 200, self._completion(body), {}

    def _completion(self, body: dict[str, Any]) -> dict[str, Any]:
        asked = body["messages"][0]["content"]
        ranks = "Items:" in asked
        titles = sorted(re.findall("^- (.*)", asked.split("Items:")[-1], re.M)) if ranks else []
        text = "\n".join(titles) if ranks else "Enjoys fast games."
        if self.fault == "err200" and ranks and not self.errors:
            self.errors.append(1)
            return {"error": {"message": "overloaded"}}
        message, finish = self._message(text, titles, asked)
        counted = None if self.fault == "nulls" else 3
        answer = {"message": message, "finish_reason": finish, "logprobs": None}
        if body.get("logprobs"):
            answer["logprobs"] = {"content": [{"top_logprobs": self._alternatives(asked)}]}
        used = {"prompt_tokens": counted, "completion_tokens": counted}
        if self.fault == "talkative":
            used["completion_tokens"] = 900
        return {"choices": [answer], "usage": used}

    def _message(self, text: str, titles: list[str], asked: str) -> tuple[dict[str, Any], str]:
        wrong = "\n".join(f"- {title}" for title in reversed(titles))
        noted = "Note on" in asked and "Beta" in asked
        match self.fault:
            case "think":
                return {"content": f"<think>\n{wrong}\n</think>\n{text}"}, "stop"
            case "end_tag":
                return {"content": f"{wrong}\n</think>\n{text}"}, "stop"
            case "harmony":
                thought = f"<|channel|>analysis<|message|>{wrong}<|end|>"
                return {"content": f"{thought}<|channel|>final<|message|>{text}"}, "stop"
            case "parts":
                parts = [{"type": "thinking", "thinking": wrong}, {"type": "text", "text": text}]
                return {"content": parts}, "stop"
            case "beside":
                return {"content": text, "reasoning_content": wrong}, "stop"
            case "instead":
                return {"content": None, "reasoning_content": text}, "stop"
            case "mid_thought":
                return {"content": f"<think>\n{wrong}"}, "length"
            case "null":
                return {"content": None}, "length"
            case "empty":
                return {"content": ""}, "stop"
            case "filter" if noted:
                return {"content": None}, "content_filter"
            case "refusal" if noted:
                return {"content": None, "refusal": "I cannot."}, "stop"
            case "filter_one" if noted and "Night h1" in asked.split("Items:")[0]:
                return {"content": None}, "content_filter"
            case "rankings_filtered" if titles:
                return {"content": None}, "content_filter"
            case "half" if not titles:
                return {"content": "Enjoys \ud83c games."}, "stop"
        return {"content": text}, "stop"

    def _alternatives(self, asked: str) -> list[dict[str, Any]]:
        options = re.findall("^([A-Z]): (.*)", asked, re.M)
        letters = [letter for letter, _ in sorted(options, key=lambda option: option[1])]
        given: list[tuple[str, float]] = [(f"Ġ{a}", -1.0 - n) for n, a in enumerate(letters)]
        far = self.fault == "tail" or (self.fault == "prose_later" and "Bought" in asked)
        if far:
            given = [("<think>", 0.0), *((a, n - 30.0) for n, a in enumerate(letters))]
        if self.fault == "mostly_prose":
            given = [("Sure", -0.2), *((a, -2.5 - n) for n, a in enumerate(letters))]
        if self.fault in ("nan", "infinite") and "Bought" in asked:
            given[0] = given[0][0], float(self.fault[:3])
        given += [("~", -99.0)] * (20 - len(given))
        return [{"token": token, "logprob": p} for token, p in given]


def shop(folder: Path) -> Bundle:
    """Three users with four candidates each, as the cases' data.sh makes them."""
    head = "user_id:token\titem_id:token\ttimestamp:float\n"
    rows = [
        f"u{user}\t{item}\t{time}\n"
        for user in (1, 2, 3)
        for time, item in enumerate((f"h{user}", f"k{user}", "a", "b"), start=1)
    ]
    items = [f"{item}{n}\tNight {item}{n}\n" for item in "hk" for n in (1, 2, 3)]
    folder.mkdir()
    (folder / "g.inter").write_text(head + "".join(rows))
    about = "item_id:token\ttitle:token_seq\na\tAlpha\nb\tBeta\n"
    (folder / "g.item").write_text(about + "".join(items))
    data, origin = read_data("recbole", folder, k_core=1, min_rating=None)
    return freeze(data, users=3, candidates=4, history=20, seed=2024, origin=origin)
