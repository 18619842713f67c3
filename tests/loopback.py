"""A real HTTP server on loopback that speaks a model's endpoints, and misbehaves on demand."""

import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from math import log
from typing import Any

Answer = tuple[int, Any, dict[str, str]]
"""Status (0: the connection is closed instead), body (JSON unless bytes), headers."""


@dataclass(frozen=True)
class Sensible:
    """Answers that depend on the request alone, so runs against them can be compared."""

    options: int = 255
    """Most options of a typed question; 0: it does not speak /v1/systemone."""
    decisions: bool = False
    """Whether it speaks /v1/decisions."""
    top: int = 0
    """Most alternatives for a token; 0: it gives no log-probabilities."""
    schema: bool = False
    """Whether it holds its answers to a JSON schema."""
    uncased: bool | None = None
    """Whether its tokenizer folds case; None: it does not tell, having no /tokenize."""
    template: bool = True
    """Whether its model has a chat template: ChatML."""
    echo_tokens: int | None = None
    """Tokens that it writes at least after a prompt whose log-probabilities it tells; None: it
    tells none."""
    reranks: bool = False
    """Whether it speaks /v1/rerank."""

    def __call__(self, path: str, body: dict[str, Any]) -> Answer:
        digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).digest()
        if path.endswith("/systemone") and self.options:
            return self._typed(body, digest)
        if path.endswith("/decisions") and self.decisions:
            return 200, _decision(body, digest), {}
        if path == "/tokenize" and self.uncased is not None:
            return self._tokenized(body)
        if path == "/detokenize" and self.uncased is not None:
            return 200, {"prompt": "".join(map(chr, body["tokens"]))}, {}
        if path.endswith("/completions") and "messages" not in body:
            return self._echoed(body)
        if path.endswith("/rerank") and self.reranks:
            return 200, reranked(_drawn(digest, body["documents"]).values()), {}
        if path.endswith("/chat/completions"):
            return self._chat(body, digest)
        return 404, {"error": {"message": f"no {path} here"}}, {}

    def _typed(self, body: dict[str, Any], digest: bytes) -> Answer:
        questions = body["questions"].items()
        if max(len(q["criteria"]) for _, q in questions) > self.options:
            return 400, {"error": {"message": f"at most {self.options} options"}}, {}
        answers = {n: {"probabilities": _drawn(digest, q["criteria"])} for n, q in questions}
        return 200, {"answers": answers, "usage": {"input_tokens": 7}}, {}

    def _tokenized(self, body: dict[str, Any]) -> Answer:
        if "messages" in body and not self.template:
            return 400, {"error": {"message": "no chat template"}}, {}
        text = chatml(body["messages"]) if "messages" in body else body["prompt"]
        return 200, {"tokens": list(map(ord, text.lower() if self.uncased else text))}, {}

    def _echoed(self, body: dict[str, Any]) -> Answer:
        if self.echo_tokens is None or body["max_tokens"] < self.echo_tokens:
            return 400, {"error": {"message": "no log-probabilities of prompts"}}, {}
        return 200, echoed(body, _hashed_logprob), {}

    def _chat(self, body: dict[str, Any], digest: bytes) -> Answer:
        if body.get("logprobs"):
            if body["top_logprobs"] > self.top:
                return 400, {"error": {"message": f"at most {self.top} logprobs"}}, {}
            return 200, _with_alternatives(body, digest), {}
        if "response_format" in body:
            if not self.schema:
                return 400, {"error": {"message": "no response_format"}}, {}
            titles = body["response_format"]["json_schema"]["schema"]["properties"]["ranking"]
            drawn = _drawn(digest, titles["items"]["enum"])
            best = sorted(drawn, key=lambda title: -drawn[title])[: titles["maxItems"]]
            return 200, completion(json.dumps({"ranking": best})), {}
        return 200, completion(_sentence(digest)), {}


sensible = Sensible()


def _sentence(digest: bytes) -> str:
    words = ["rivers", "kites", "lamps", "boats", "stones", "trains", "clouds", "bridges"]
    return "likes " + " and ".join(words[b % len(words)] for b in digest[:3])


def chatml(messages: Iterable[dict[str, str]]) -> str:
    """A chat as SmolLM2's and Qwen's template renders it, without a system prompt."""
    return "".join(f"<|im_start|>{m['role']}\n{m['content']}<|im_end|>\n" for m in messages)


def echoed(body: dict[str, Any], logprob: Callable[[list[int], int], float]) -> dict[str, Any]:
    """Prompts of /v1/completions with their log-probabilities, by a function of what stands before
    a token and the token; and where it must write, a token of log-probability -9 after each."""
    choices = []
    for index, prompt in enumerate(body["prompt"]):
        told = [None, *(logprob(prompt[:n], prompt[n]) for n in range(1, len(prompt)))]
        told += [-9.0] * body["max_tokens"]
        logprobs = {"token_logprobs": told, "tokens": [chr(t) for t in prompt]}
        choices.append({"index": index, "text": "", "logprobs": logprobs})
    tokens = sum(map(len, body["prompt"]))
    # The order of the choices is the server's own.
    return {"choices": choices[::-1], "usage": {"prompt_tokens": tokens, "completion_tokens": 0}}


def reranked(scores: Iterable[float]) -> dict[str, Any]:
    """An answer of /v1/rerank: documents with their scores, best first."""
    results = [{"index": n, "relevance_score": score} for n, score in enumerate(scores)]
    results.sort(key=lambda result: -result["relevance_score"])
    return {"id": "r", "model": "m", "results": results, "usage": {"total_tokens": 9}}


def _hashed_logprob(before: list[int], token: int) -> float:
    return -1.0 - hashlib.sha256(repr((before, token)).encode()).digest()[0] / 256


def _decision(body: dict[str, Any], digest: bytes) -> dict[str, Any]:
    answers = []
    for question in body["questions"]:
        drawn = _drawn(digest, [c["value"] for c in question["choices"]])
        probabilities = [{"value": n, "probability": p} for n, p in drawn.items()]
        best = max(drawn, key=lambda name: drawn[name])
        answers.append(
            {"type": "choice", "choice": best, "confidence": 1.0, "probabilities": probabilities}
        )
    return {"answers": answers, "model": "m", "usage": {"input_tokens": 7, "output_tokens": 1}}


def _with_alternatives(body: dict[str, Any], digest: bytes) -> dict[str, Any]:
    letters = re.findall(r"^([A-Za-z]): ", body["messages"][0]["content"], re.MULTILINE)
    drawn = sorted(_drawn(digest, letters).items(), key=lambda pair: -pair[1])
    padding = [(f"~{n}", 1e-9) for n in range(body["top_logprobs"])]
    tokens = [
        {"token": token, "logprob": log(p), "bytes": None}
        for token, p in [*drawn, *padding][: body["top_logprobs"]]
    ]
    answer = completion(tokens[0]["token"])
    answer["choices"][0]["logprobs"] = {"content": [{**tokens[0], "top_logprobs": tokens}]}
    return answer


def _drawn(digest: bytes, names: Iterable[str]) -> dict[str, float]:
    weights = {n: 1 + hashlib.sha256(digest + n.encode()).digest()[0] for n in names}
    return {n: w / sum(weights.values()) for n, w in weights.items()}


def completion(text: str) -> dict[str, Any]:
    """A chat completion as OpenAI's servers give it."""
    message = {"role": "assistant", "content": text}
    return {
        "id": "c",
        "object": "chat.completion",
        "created": 0,
        "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8},
    }


def events(answer: dict[str, Any]) -> list[dict[str, Any]]:
    """A chat completion as a stream of events, a word each; what it used comes last."""
    words = re.findall(r"\S+\s*", answer["choices"][0]["message"]["content"])
    deltas: list[dict[str, Any]] = [{"role": "assistant"}, *({"content": w} for w in words), {}]
    about = {"id": "c", "object": "chat.completion.chunk", "created": 0, "model": "m"}
    chunks = [
        {"index": 0, "delta": delta, "finish_reason": None if delta else "stop"} for delta in deltas
    ]
    told = [{**about, "choices": [chunk]} for chunk in chunks]
    return [*told, {**about, "choices": [], "usage": answer["usage"]}]


class LoopbackModel:
    """`with LoopbackModel() as server:` listens on a free port and records its requests."""

    def __init__(self, respond: Callable[[str, dict[str, Any]], Answer] = sensible) -> None:
        self.respond = respond
        self.requests: list[tuple[str, dict[str, Any], str]] = []
        """Path, body, Authorization header."""
        self.hold = threading.Event()
        """While it is not set, no request is answered."""
        self.hold.set()
        self.break_off = False
        """Whether a stream of events ends, connection and all, after its first word."""

    def __enter__(self) -> "LoopbackModel":
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Head and body are two writes: the second would wait 40 ms for the first one's receipt.
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                content = json.dumps({"object": "list", "data": [{"id": "m"}]}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(content)

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                owner.requests.append((self.path, body, self.headers["Authorization"]))
                owner.hold.wait(30)
                asked = {k: v for k, v in body.items() if not k.startswith("stream")}
                status, answer, headers = owner.respond(self.path, asked)
                if status == 0:  # the connection ends without a word
                    self.close_connection = True
                    return
                if body.get("stream") and status == 200 and not isinstance(answer, bytes):
                    self.stream(answer)
                    return
                content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                self.send_response(status)
                for name, value in {"Content-Length": str(len(content)), **headers}.items():
                    self.send_header(name, value)
                if "Content-Type" not in headers:
                    self.send_header("Content-Type", "application/json")
                with suppress(BrokenPipeError, ConnectionResetError):  # nobody waits any more
                    self.end_headers()
                    self.wfile.write(content)

            def stream(self, answer: dict[str, Any]) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "text/event-stream")
                self.send_header("Connection", "close")
                if owner.break_off:
                    self.send_header("Content-Length", "100000")
                self.end_headers()
                for event in events(answer)[: 2 if owner.break_off else None]:
                    self.wfile.write(f"data: {json.dumps(event)}\n\n".encode())
                if not owner.break_off:
                    self.wfile.write(b"data: [DONE]\n\n")
                self.close_connection = True

            def log_message(self, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        # A short poll: closing waits for it.
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()
