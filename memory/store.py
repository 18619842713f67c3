"""Effective demonstrations in a ChromaDB collection.

Cosine space, our own embeddings. The client is synchronous, so every call runs in a worker
thread; writes that pile up while one is under way go out together as the next.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from lrgd.memory.demonstration import Demonstration, best_first
from lrgd.memory.embeddings import Embed

if TYPE_CHECKING:
    from chromadb.api import ClientAPI

COLLECTION = "demonstrations"
SYNC_THRESHOLD = 100
"""Rows that the index leaves in ChromaDB's log before it writes them to its own file. Each write
reads those rows again; at ChromaDB's default of 1,000 it costs twice as much."""
_PARENT_SEPARATOR = ","

T = TypeVar("T")


class DemonstrationMemory:
    """Remembers what worked, and finds it again by user, by path and by meaning."""

    def __init__(self, client: "ClientAPI", embed: Embed) -> None:
        self._collection = client.get_or_create_collection(
            COLLECTION,
            configuration={"hnsw": {"space": "cosine", "sync_threshold": SYNC_THRESHOLD}},
            embedding_function=None,
        )
        self.embed = embed
        self._pending: list[Demonstration] = []
        self._lock = asyncio.Lock()

    @classmethod
    def at(cls, folder: Path, embed: Embed) -> "DemonstrationMemory":
        """The memory kept in `folder`, made if it is not there."""
        # A second to import: commands that remember nothing should not wait for it.
        import chromadb
        from chromadb.config import Settings

        settings = Settings(anonymized_telemetry=False)
        return cls(chromadb.PersistentClient(path=str(folder), settings=settings), embed)

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
        found = await self._locked(lambda: self._collection.get(where={"$and": wanted}))
        rows = _demonstrations(found["documents"] or [], found["metadatas"] or [])
        return best_first(rows)[:limit]

    async def nearest(
        self, text: str, *, dataset: str = "", limit: int = 3
    ) -> list[tuple[Demonstration, float]]:
        """The chosen demonstrations nearest in meaning to `text`, with their cosine."""

        def query() -> Any:
            return self._collection.query(
                query_embeddings=[self.embed([text])[0]],
                n_results=limit,
                where={"$and": [{"dataset": dataset}, {"chosen": True}]},
            )

        found = await self._locked(query)
        rows = _demonstrations(found["documents"][0], found["metadatas"][0])
        return [(d, 1.0 - float(x)) for d, x in zip(rows, found["distances"][0], strict=True)]

    async def _locked(self, call: Callable[[], T]) -> T:
        # Reads wait for the write under way: what `remember` returned from is then found.
        async with self._lock:
            return await asyncio.to_thread(call)

    def _write(self, batch: Sequence[Demonstration]) -> None:
        unique = {d.id: d for d in batch}
        if unique:
            self._collection.upsert(
                ids=list(unique),
                documents=[d.text for d in unique.values()],
                embeddings=self.embed([d.text for d in unique.values()]),
                metadatas=[_metadata(d) for d in unique.values()],
            )


def _metadata(d: Demonstration) -> dict[str, str | int | float | bool]:
    return {
        "user": d.user_id,
        "path": d.path,
        "round": d.round,
        "effect": d.effect,
        "parents": _PARENT_SEPARATOR.join(d.parents),
        "perturbed_by": d.perturbed_by or "",
        "dataset": d.dataset,
        "model": d.model,
        "chosen": d.chosen,
        "written_at": time.time(),
    }


def _demonstrations(
    texts: Sequence[str], metadata: Sequence[Mapping[str, Any]]
) -> list[Demonstration]:
    return [
        Demonstration(
            user_id=m["user"],
            text=text,
            path=m["path"],
            round=m["round"],
            effect=m["effect"],
            parents=tuple(filter(None, m["parents"].split(_PARENT_SEPARATOR))),
            perturbed_by=m["perturbed_by"] or None,
            dataset=m["dataset"],
            model=m["model"],
            chosen=m["chosen"],
        )
        for text, m in zip(texts, metadata, strict=True)
    ]
