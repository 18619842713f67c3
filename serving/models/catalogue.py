"""The catalogue: which models pip can bring, in which file of which wheel, under which licence."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator

from lrgd.agents.values import RankingMode
from lrgd.core.errors import InputError
from lrgd.core.validation import input_checked

FILE = Path(__file__).parent / "catalogue.yaml"
DEFAULT = "smollm2-135m"
"""The model of a command that names none."""

Bytes = Annotated[int, Field(gt=0)]
Text = Annotated[str, Field(min_length=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class WheelFile(_Strict):
    """One GGUF file inside a wheel on the package index."""

    package: Text
    version: Text
    file: Text
    """Its path inside the wheel."""
    file_bytes: Bytes
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    """Of the file, not of the wheel."""
    download_bytes: Bytes
    """Size of the wheel."""

    @property
    def requirement(self) -> str:
        return f"{self.package}=={self.version}"


class ModelEntry(_Strict):
    """One model of the catalogue."""

    name: Annotated[str, Field(pattern="^[a-z0-9][a-z0-9._-]*$")]
    """What `--model` takes; also the name of its folder."""
    about: Text
    architecture: Text
    """As its config.json says under model_type."""
    source: WheelFile
    origin: Annotated[tuple[Text, ...], Field(min_length=1)]
    """Where the weights come from, the first makers first."""
    licence: Text
    licence_from: Text
    """Who says so."""
    weights_bytes: Bytes
    """Size of model.safetensors after conversion."""
    default_ranking: RankingMode


class _Catalogue(_Strict):
    models: Annotated[tuple[ModelEntry, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _each_name_once(self) -> "_Catalogue":
        names = [entry.name for entry in self.models]
        if len(set(names)) < len(names):
            raise ValueError(f"a name stands twice: {', '.join(names)}")
        return self


@cache
def catalogue() -> Mapping[str, ModelEntry]:
    """The project's catalogue, by name."""
    return load_catalogue(FILE)


def load_catalogue(file: Path) -> Mapping[str, ModelEntry]:
    """Read and check a catalogue.

    Raises:
        InputError: no such file, no YAML, or a field that is wrong; names both.
    """
    try:
        content = yaml.safe_load(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"cannot read the catalogue {file}: {reason}") from error
    with input_checked(file, "models"):
        models = _Catalogue.model_validate(content).models
    return {entry.name: entry for entry in models}


def entry_of(name: str) -> ModelEntry:
    """The entry of that name.

    Raises:
        InputError: there is none; says which there are.
    """
    known = catalogue()
    if name not in known:
        raise InputError(f"no model {name!r} in the catalogue; there are: {', '.join(known)}")
    return known[name]
