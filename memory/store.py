"""Effective demonstrations in a ChromaDB collection.

Cosine space, our own embeddings. The client is synchronous, so every call runs in a worker
thread; writes that pile up while one is under way go out together as the next. A folder may be
open in several processes, see `lrgd.memory.collection`.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from lrgd.memory.collection import ClientCollection, FolderCollection
from lrgd.memory.demonstration import Demonstration, best_first, mean_effect
from lrgd.memory.embeddings import Embed

if TYPE_CHECKING:
    from chromadb.api import ClientAPI

_SEPARATOR = ","

T = TypeVar("T")


class DemonstrationMemory:
    """Remembers what worked, and finds it again by user, by path and by meaning.

    Example:
        >>> import asyncio, lrgd
        >>> from pathlib import Path
        >>> note = lrgd.Demonstration("ann", "Wants a Mario game.", path=0, round=1, ranks=(2,))
        >>> async def remembered():
        ...     memory = lrgd.DemonstrationMemory.at(Path("runs/memory"), lrgd.load_minilm())
        ...     await memory.remember(note)
        ...     return await memory.recall("ann")
        >>> [found.text for found in asyncio.run(remembered())]
        ['Wants a Mario game.']
    """

    def __init__(self, client: "ClientAPI | ClientCollection", embed: Embed) -> None:
        opened = client if isinstance(client, ClientCollection) else ClientCollection(client)
        self._collection = opened
        self.embed = embed
        self._pending: list[Demonstration] = []
        self._lock = asyncio.Lock()

    @classmethod
    def at(cls, folder: Path, embed: Embed) -> "DemonstrationMemory":
        """The memory kept in `folder`, made if it is not there. Other processes may have it open.

        Raises:
            MachineError: ChromaDB cannot open it.
        """
        return cls(FolderCollection(folder), embed)

    async def remember(self, *demonstrations: Demonstration) -> None:
        """Store them; on return they are on disk. Storing the same again changes nothing."""
        self._pending.extend(demonstrations)
        async with self._lock:
            batch, self._pending = self._pending, []
            try:
                await asyncio.to_thread(self._write, batch)
            except BaseException:
                self._pending = batch + self._pending
                raise

    async def recall(
        self, user_id: str, *, dataset: str = "", limit: int | None = None
    ) -> list[Demonstration]:
        """A user's demonstrations, best first.

        Args:
            dataset: the bundle's name; user ids are unique only within it.
            limit: how many; None for all.
        """
        wanted: list[dict[str, Any]] = [{"user": user_id}, {"dataset": dataset}]
        got = await self._locked(lambda opened: opened.get(where={"$and": wanted}))
        rows = _demonstrations(got["documents"] or [], got["metadatas"] or [])
        return best_first(rows)[:limit]

    async def nearest(
        self, text: str, *, dataset: str = "", limit: int = 3
    ) -> list[tuple[Demonstration, float]]:
        """The chosen demonstrations nearest in meaning to `text`, with their cosine."""

        def query(opened: Any) -> Any:
            return opened.query(
                query_embeddings=[self.embed([text])[0]],
                n_results=limit,
                where={"$and": [{"dataset": dataset}, {"chosen": True}]},
            )

        got = await self._locked(query)
        rows = _demonstrations(got["documents"][0], got["metadatas"][0])
        return [(d, 1.0 - float(x)) for d, x in zip(rows, got["distances"][0], strict=True)]

    async def _locked(self, call: Callable[[Any], T]) -> T:
        # Reads wait for the write under way: what `remember` returned from is then found.
        async with self._lock:
            return await asyncio.to_thread(self._collection.read, call)

    def _write(self, batch: Sequence[Demonstration]) -> None:
        unique = {d.id: d for d in batch}
        if not unique:
            return
        rows = {
            "ids": list(unique),
            "documents": [d.text for d in unique.values()],
            "embeddings": self.embed([d.text for d in unique.values()]),
            "metadatas": [_metadata(d) for d in unique.values()],
        }
        self._collection.write(lambda opened: opened.upsert(**rows))


def _metadata(d: Demonstration) -> dict[str, str | int | float | bool]:
    return {
        "user": d.user_id,
        "path": d.path,
        "round": d.round,
        "ranks": _SEPARATOR.join(map(str, d.ranks)),
        "effect": d.effect,
        "parents": _SEPARATOR.join(d.parents),
        "perturbed_by": d.perturbed_by or "",
        "dataset": d.dataset,
        "model": d.model,
        "chosen": d.chosen,
        "written_at": time.time(),
    }


def _demonstrations(
    texts: Sequence[str], metadata: Sequence[Mapping[str, Any]]
) -> list[Demonstration]:
    return [_demonstration(text, row) for text, row in zip(texts, metadata, strict=True)]


def _demonstration(text: str, row: Mapping[str, Any]) -> Demonstration:
    ranks = tuple(map(int, _parts(row.get("ranks", ""))))
    return Demonstration(
        user_id=row["user"],
        text=text,
        path=row["path"],
        round=row["round"],
        ranks=ranks,
        parents=tuple(_parts(row["parents"])),
        perturbed_by=row["perturbed_by"] or None,
        dataset=row["dataset"],
        model=row["model"],
        chosen=row["chosen"],
        # Equal but in stores of earlier versions, which kept no ranks, and under another metric.
        worth=None if row["effect"] == mean_effect(ranks) else row["effect"],
    )


def _parts(joined: str) -> list[str]:
    return joined.split(_SEPARATOR) if joined else []
