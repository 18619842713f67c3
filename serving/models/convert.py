"""Converts a GGUF file: `python -m lrgd.serving.models.convert FILE FOLDER`.

What comes out is a Hugging Face folder: configuration, weights (bfloat16, safetensors), tokenizer
with chat template. Quantised weights are unpacked; the file's own precision is not regained.
"""

import shutil
import sys
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig
from transformers.utils import logging

from lrgd.core.errors import LrgdError, WeightsError


def convert(gguf: Path, folder: Path) -> None:
    """Make the folder.

    Raises:
        WeightsError: transformers cannot read the file, a weight is no number, there is no chat
            template, or the folder cannot be written.
    """
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        model, tokenizer = _load(gguf)
        _check(model, tokenizer)
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        # safetensors writes for the owner alone; other users of a shared cache may read too.
        shutil.copymode(folder / "config.json", folder / "model.safetensors")
    except (OSError, ValueError, KeyError, IndexError, RuntimeError, SafetensorError) as error:
        reason = " ".join(str(error).split())[:300]
        raise WeightsError(
            f"transformers and this file: {type(error).__name__}: {reason}"
        ) from error


def _load(gguf: Path) -> tuple[Any, Any]:
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    model = AutoModelForCausalLM.from_pretrained(
        gguf.parent,
        gguf_file=gguf.name,
        dtype=torch.bfloat16,
        quantization_config=GgufConfig(dequantize=True),
    )
    return model, tokenizer


def _check(model: Any, tokenizer: Any) -> None:
    bad = [n for n, weight in model.named_parameters() if not torch.isfinite(weight).all()]
    if bad:
        raise WeightsError(f"{len(bad)} weights are no numbers, the first in {bad[0]}")
    if not tokenizer.chat_template:
        raise WeightsError("the file has no chat template")


if __name__ == "__main__":
    try:
        convert(Path(sys.argv[1]), Path(sys.argv[2]))
    except LrgdError as error:
        sys.exit(str(error))
