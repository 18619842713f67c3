"""The pocket model: a small Llama that ranks by a hand-built circuit and writes short notes."""

from pathlib import Path

MODEL_DIR = Path(__file__).parent / "weights"
