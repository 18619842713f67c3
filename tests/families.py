"""Tiny models with random weights, one of each family, with a tokenizer and a chat template.

They write noise, but through the family's own architecture and its template's rules: some have a
default system prompt, some refuse a system role.
"""

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    AutoModelForCausalLM,
    LlamaConfig,
    MistralConfig,
    Phi3Config,
    PreTrainedConfig,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen3Config,
)

from lrgd.agents.prompts import PromptSettings, choice_prompt, listwise_prompt
from tests.scripted import task

_LLAMA = (
    "{{ bos_token }}{% for m in messages %}<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n"
    "{{ m.content | trim }}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
_PHI = (
    "{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)
_CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_DEFAULT_SYSTEM = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
_MISTRAL = (
    "{{ bos_token }}{% for m in messages %}"
    "{% if m.role == 'system' %}{{ raise_exception('Only user and assistant roles') }}{% endif %}"
    "{% if m.role == 'user' %}[INST] {{ m.content }} [/INST]"
    "{% else %} {{ m.content }}{{ eos_token }}{% endif %}{% endfor %}"
)

FAMILIES: dict[str, tuple[type[PreTrainedConfig], str, dict[str, Any]]] = {
    "llama-3": (LlamaConfig, _LLAMA, {}),
    "phi-3": (Phi3Config, _PHI, {}),
    "qwen2": (Qwen2Config, _DEFAULT_SYSTEM + _CHATML, {}),
    "qwen2.5": (Qwen2Config, _DEFAULT_SYSTEM + _CHATML, {"tie_word_embeddings": True}),
    "mistral": (MistralConfig, _MISTRAL, {"sliding_window": 256}),
    "qwen3": (Qwen3Config, _CHATML, {}),
}
"""Family -> configuration, chat template, what sets it apart."""


def make(family: str, folder: Path) -> Path:
    """A model of the family with random weights, saved in `folder`."""
    kind, template, changes = FAMILIES[family]
    tokenizer = _tokenizer(template)
    config = kind(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=32,
        max_position_embeddings=4096,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        **changes,
    )
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _tokenizer(template: str) -> PreTrainedTokenizerFast:
    """Byte-level BPE, trained on this project's prompts."""
    context = PromptSettings().ranking_context(task(), "likes boats").text
    titles = [c.title for c in task().candidates]
    texts = [context, choice_prompt(context, titles), listwise_prompt(context, titles, 4)]
    texts += [m["content"] for m in PromptSettings().generation_messages(task(), {})]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<pad>", "<s>", "</s>", "<|im_start|>", "<|im_end|>", "<|end|>", "<|user|>"]
    special += ["<|assistant|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_tokens(["yes", "no"])  # single tokens in any real vocabulary; vLLM checks
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        chat_template=template,
    )
