"""Builds the pocket model and writes the folder that is served.

    python -m serving.pocket.build --out serving/pocket/weights

Nothing is drawn and nothing is trained: the same code gives the same weights.
"""

import argparse
from pathlib import Path

from serving.pocket.construction import construct
from serving.pocket.export import save
from serving.pocket.tokenizer import build_tokenizer


def main() -> None:
    """Writes the folder."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="folder to write, replaced whole")
    args = parser.parse_args()
    tokenizer = build_tokenizer()
    save(construct(tokenizer), tokenizer, args.out)


if __name__ == "__main__":
    main()
