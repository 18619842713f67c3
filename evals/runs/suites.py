"""A suite: one YAML file that says which data, which optimisation and which methods."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field

from lrgd.core.errors import InputError
from lrgd.core.validation import input_checked
from lrgd.evals.data.bundle import Bundle
from lrgd.evals.data.candidates import Strategy
from lrgd.evals.data.preparation import SourceFormat, read_data
from lrgd.evals.data.protocol import freeze
from lrgd.evals.data.sample import sample_world
from lrgd.evals.data.training import Train
from lrgd.evals.runs.evaluation import REFERENCE, Evaluation, evaluation
from lrgd.evals.runs.folder import PriorName
from lrgd.graphs.settings import LoopSettings
from lrgd.memory.embeddings import Embed

Positive = Annotated[int, Field(ge=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SuiteData(_Strict):
    """Which bundle: as the options of `lrgd data prepare`."""

    source: SourceFormat | Literal["sample"]
    k_core: Positive | None = None
    min_rating: float | None = None
    strategy: Strategy = "uniform"
    train: Train = "all"
    users: Annotated[int, Field(ge=2)] = 1000
    candidates: Annotated[int, Field(ge=2)] = 50
    history: Positive = 20
    seed: Annotated[int, Field(ge=0)] = 2024
    validation_folds: Positive = 1

    def bundle(self, path: Path | None, embed: Embed | None) -> Bundle:
        """Freeze the bundle.

        Args:
            path: the data set's files.
            embed: turns titles into vectors, for the strategy "hard".

        Raises:
            InputError: no path where files are needed, or malformed files.
        """
        dataset, origin = sample_world(), dict[str, Any]()
        if self.source != "sample":
            if path is None:
                raise InputError(f"the suite reads {self.source} files: name them, --data DIR")
            dataset, origin = read_data(
                self.source, path, k_core=self.k_core, min_rating=self.min_rating
            )
        rest = self.model_dump(exclude={"source", "k_core", "min_rating"})
        return freeze(dataset, **rest, embed=embed, origin=origin)


class Suite(_Strict):
    """Data, optimisation, methods."""

    name: str
    about: str
    """What it is for, in a sentence or two."""
    data: SuiteData
    users: Annotated[int, Field(ge=2)] = 1000
    """How many of the bundle's users are taken, from the first on."""
    settings: Mapping[str, Any] = {}
    """The optimisation's settings that are not the defaults: fields of LoopSettings."""
    methods: str = "all"
    seeds: Positive = 1
    shuffles: Positive = 1
    prior: PriorName | None = None
    """Evidence that every ranking starts from, as `lrgd optimize --prior`."""
    reference: str = REFERENCE

    def evaluation(self, seeds: int | None = None) -> Evaluation:
        """Which methods are compared, with the suite's number of seeds or another."""
        return evaluation(self.methods, seeds or self.seeds, self.reference)

    def loop(self) -> LoopSettings:
        """The optimisation's settings."""
        return LoopSettings.model_validate(self.settings)


def load_suite(file: Path) -> Suite:
    """Read and check a suite.

    Raises:
        InputError: no such file, no YAML, or a field that is wrong; names it.
    """
    try:
        content = yaml.safe_load(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"cannot read the suite {file}: {' '.join(str(error).split())}") from error
    with input_checked(file, "suite"):
        suite = Suite.model_validate(content)
    with input_checked(f"{file}: settings", "settings"):
        suite.loop()
    suite.evaluation()
    return suite
