"""Small training parts, written by hand."""

import numpy as np

from lrgd.evals.data.training import Training


def training_part(bought: dict[str, str]) -> Training:
    """A training part of users and their item ids, oldest first, with blanks between them."""
    sequences = {user: text.split() for user, text in sorted(bought.items())}
    rows = [item for sequence in sequences.values() for item in sequence]
    items = sorted(set(rows))
    return Training(
        items=tuple(items),
        titles=tuple(items),
        users=tuple(sequences),
        bought=np.array([items.index(item) for item in rows], dtype=np.uint32),
        lengths=np.array([len(sequence) for sequence in sequences.values()]),
    )
