"""A real HTTP server on loopback that speaks the two endpoints, and misbehaves on demand."""

import hashlib
import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = tuple[int, Any, dict[str, str]]
"""Status, body (JSON unless bytes), headers."""


def sensible(path: str, body: dict[str, Any]) -> Answer:
    """An answer that depends on the request alone, so runs against it can be compared."""
    digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).digest()
    if path.endswith("/systemone"):
        names = list(body["questions"]["next"]["criteria"])
        weights = {n: 1 + hashlib.sha256(digest + n.encode()).digest()[0] for n in names}
        total = sum(weights.values())
        answer = {"probabilities": {n: w / total for n, w in weights.items()}}
        return 200, {"answers": {"next": answer}, "usage": {"input_tokens": 7}}, {}
    words = ["rivers", "kites", "lamps", "boats", "stones", "trains", "clouds", "bridges"]
    text = "likes " + " and ".join(words[b % len(words)] for b in digest[:3])
    return 200, completion(text), {}


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


class LoopbackModel:
    """`with LoopbackModel() as server:` listens on a free port and records its requests."""

    def __init__(self, respond: Callable[[str, dict[str, Any]], Answer] = sensible) -> None:
        self.respond = respond
        self.requests: list[tuple[str, dict[str, Any], str]] = []
        """Path, body, Authorization header."""

    def __enter__(self) -> "LoopbackModel":
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                owner.requests.append((self.path, body, self.headers["Authorization"]))
                status, answer, headers = owner.respond(self.path, body)
                content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                self.send_response(status)
                for name, value in {"Content-Length": str(len(content)), **headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()
