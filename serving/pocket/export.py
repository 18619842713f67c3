"""Writes the folder that `transformers serve` and vLLM read, and reads it back."""

import json
import shutil
import tempfile
from pathlib import Path

import torch
from transformers import (
    GenerationConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

from serving.pocket.inference import Pocket
from serving.pocket.tokenizer import DECISION_TEMPLATE, LABELS

MIN_P = 0.15
"""Tokens below this part of the likeliest one's probability are not sampled."""

DECISION = {
    "labels": {"choice": list(LABELS), "score": list(LABELS)},
    "temperature": {"choice": 1.0, "score": 1.0},
    "chat_template": DECISION_TEMPLATE,
}


def save(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Half-precision weights and all settings; the folder appears whole or not at all."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    new = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".weights-"))
    halved = LlamaForCausalLM(model.config).half()
    largest = max(float(w.abs().max()) for w in model.parameters())
    if largest > torch.finfo(torch.float16).max:
        raise ValueError(f"half precision ends at 65504, the largest weight is {largest:.0f}")
    halved.load_state_dict(model.state_dict())
    halved.generation_config = GenerationConfig(
        do_sample=True,
        temperature=0.8,
        # Cuts the tail of 27,000 words, each unlikely and together not.
        min_p=MIN_P,
        top_k=0,
        max_new_tokens=48,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    halved.save_pretrained(new)
    tokenizer.save_pretrained(new)
    text = json.dumps(DECISION, indent=2) + "\n"
    (new / "decision.json").write_text(text, encoding="utf-8")
    new.chmod(0o755)
    shutil.rmtree(folder, ignore_errors=True)
    new.rename(folder)


def load(folder: Path) -> Pocket:
    """The exported model in float32, as it is served."""
    model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32)
    model.eval()
    return Pocket(model, PreTrainedTokenizerFast.from_pretrained(folder))
