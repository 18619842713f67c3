from pathlib import Path

import numpy as np
import pytest

from lrgd.core.errors import WeightsError
from lrgd.memory.embeddings import load_minilm, remember_rows, verify_weights
from tests.scripted import hashed_words


def test_minilm_knows_what_is_alike() -> None:
    embed = load_minilm()
    rows = embed(["a racing game for nintendo", "mario kart", "wool for knitting socks"])
    assert rows.shape == (3, 384)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1.0, atol=1e-5)
    assert rows[0] @ rows[1] > rows[0] @ rows[2] + 0.2


def test_weights_that_are_not_the_published_ones_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    with pytest.raises(WeightsError, match="no weights at"):
        load_minilm(tmp_path)
    file.write_bytes(b"other weights")
    with pytest.raises(WeightsError, match="wanted SHA-256 53aa"):
        load_minilm(tmp_path)
    with pytest.raises(WeightsError):
        verify_weights(file, "0" * 64)


def test_a_text_is_embedded_once() -> None:
    asked: list[str] = []

    def embed(texts):  # type: ignore[no-untyped-def]
        asked.extend(texts)
        return hashed_words(texts)

    remembering = remember_rows(embed, cache_size=4)
    first = remembering(["a", "b", "a"])
    np.testing.assert_array_equal(first, hashed_words(["a", "b", "a"]))
    remembering(["b", "c"])
    assert asked == ["a", "b", "c"]
    # Over the limit it forgets and starts anew.
    remembering(["d", "e"])
    remembering(["a"])
    assert asked == ["a", "b", "c", "d", "e", "a"]
