"""The embedded server's process: `python -m lrgd.serving.embedded FOLDER --name NAME --port N`.

With `--leash` it lives as long as its parent, who holds the other end of standard input: when the
parent ends, for whatever reason (a crash and `kill -9` too), that end closes and so does this
process.
"""

import argparse
import os
import sys
import threading
from pathlib import Path


def main() -> None:
    """Load the model and listen."""
    parser = argparse.ArgumentParser(description="Serve one model folder, OpenAI-compatible.")
    parser.add_argument("folder", type=Path, help="a Hugging Face folder")
    parser.add_argument("--name", required=True, help="what clients call the model")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1 ...")
    parser.add_argument(
        "--dtype",
        choices=("bfloat16", "float32"),
        help="by default bfloat16 where the processor computes in it",
    )
    parser.add_argument("--leash", action="store_true", help="end when standard input closes")
    asked = parser.parse_args()
    if asked.leash:
        threading.Thread(target=_end_with_parent, daemon=True).start()
    _serve(asked)


def _serve(asked: argparse.Namespace) -> None:
    import torch
    import uvicorn

    from lrgd.core.errors import LrgdError
    from lrgd.core.http import Shield, is_loopback, uvicorn_limits
    from lrgd.serving.embedded.app import MAX_BODY, make_app
    from lrgd.serving.embedded.engine import Engine
    from lrgd.serving.embedded.heads import load_heads
    from lrgd.serving.embedded.weights import load

    try:
        dtype = getattr(torch, asked.dtype) if asked.dtype else None
        weights = load(asked.folder, asked.name, asked.device, dtype)
        engine = Engine(weights, load_heads(asked.folder, asked.name))
    except LrgdError as error:
        sys.exit(f"lrgd: {error}")
    app = Shield(make_app(engine), most_bytes=MAX_BODY, local=is_loopback(asked.host))
    where = {"host": asked.host, "port": asked.port}
    uvicorn.run(app, **where, log_level="warning", **uvicorn_limits())


def _end_with_parent() -> None:
    # Not sys.stdin.read: it holds a lock that the interpreter wants when it ends by itself.
    os.read(sys.stdin.fileno(), 1)
    os._exit(0)


if __name__ == "__main__":
    main()
