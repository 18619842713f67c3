"""Retrieval heads of a model: which of its attention heads find what a query asks for.

Chosen on ranking tasks whose answer is known (`calibration`), kept as JSON beside
the weights with what they were chosen on. Source: QRHead, arXiv 2506.09944.
"""

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from lrgd.core.validation import input_checked

FILE = "heads.json"
SHIPPED = Path(__file__).parent / "heads"
"""Heads of the models in the catalogue, NAME.json."""


class RetrievalHeads(BaseModel):
    """What re-ranking needs to know of a model."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    heads: Annotated[tuple[tuple[int, int], ...], Field(min_length=1)]
    """(layer, query head), best first."""
    temperature: Annotated[float, Field(gt=0)]
    """Divides the sum of z-scores before the softmax over the candidates."""
    chosen_on: dict[str, Any]
    """Bundles with their hashes, tasks, and how well the heads did there."""

    @property
    def by_layer(self) -> dict[int, list[int]]:
        """Layer -> its chosen heads."""
        found: dict[int, list[int]] = {}
        for layer, head in self.heads:
            found.setdefault(layer, []).append(head)
        return found

    @property
    def layers(self) -> int:
        """How many layers must run: up to the last with a chosen head."""
        return 1 + max(layer for layer, _ in self.heads)


def load_heads(folder: Path, name: str) -> RetrievalHeads | None:
    """The heads beside the weights, or those that ship for a model of this name; None for none.

    Raises:
        InputError: the file is not one of heads.
    """
    for path in (folder / FILE, SHIPPED / f"{name}.json"):
        if path.is_file():
            content = path.read_bytes()
            with input_checked(f"{path}: no file of retrieval heads", "file"):
                return RetrievalHeads.model_validate_json(content)
    return None
