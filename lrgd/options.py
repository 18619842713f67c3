"""Options that several commands share, each with its sentence of help."""

from pathlib import Path
from typing import Annotated

import typer

from lrgd.agents.values import RankingMode
from lrgd.evals.data.candidates import Strategy

BundlePath = Annotated[Path, typer.Argument(help="Folder of the bundle.")]
Out = Annotated[Path, typer.Option(help="Folder to write the bundle to.")]
RunPath = Annotated[Path, typer.Option("--run", help="Folder of the run.")]
DEFAULT_RUN = Path("runs/default")
Users = Annotated[int, typer.Option(min=2, help="Users to take.")]
Candidates = Annotated[int, typer.Option(min=2, help="Size of a candidate set, target included.")]
Folds = Annotated[
    int,
    typer.Option(
        "--validation-folds",
        min=1,
        help="Validation tasks a user; Effect_D is the mean over them.",
    ),
]
CandidateStrategy = Annotated[
    Strategy,
    typer.Option(
        help="Who stands beside the target. uniform: any item, as in the paper. popularity: in "
        "proportion to its interactions. hard: the nearest titles (MiniLM, some 10 ms an item)."
    ),
]
Seed = Annotated[int, typer.Option(min=0, help="Seed of all that is drawn.")]
BaseUrl = Annotated[
    str | None,
    typer.Option(
        envvar="LRGD_BASE_URL",
        help="OpenAI-compatible server, with /v1. Without it the model is started here.",
        show_envvar=True,
    ),
]
Model = Annotated[
    str | None,
    typer.Option(
        help="Name of the model on that server, by default its only one. Without a server: a name "
        "of `lrgd models`, a folder, or a name on the model hub."
    ),
]
Writer = Annotated[
    str | None,
    typer.Option(
        help="Another model that writes the demonstrations, named as --model is; --model ranks."
    ),
]
WriterUrl = Annotated[str | None, typer.Option(help="Server of --writer; else it is started here.")]
Key = Annotated[
    str,
    typer.Option(
        envvar="LRGD_API_KEY",
        help="Key of that server. Others on this machine can see an option, not a variable.",
        show_default=False,
    ),
]
Ranking = Annotated[
    RankingMode | None,
    typer.Option(
        help="rerank: documents scored over /v1/rerank. decision: typed questions. logprobs: one "
        "token's alternatives. likelihood: each title as the answer. listwise: a written list. "
        "Without it what the server does best, see `lrgd doctor`."
    ),
]
NoteTokens = Annotated[
    int, typer.Option(min=1, help="Tokens that a written demonstration may have.")
]
RankingTokens = Annotated[
    int, typer.Option(min=1, help="Tokens that a written ranking may have (--ranking listwise).")
]
MaxCalls = Annotated[
    int | None, typer.Option(min=1, help="Budget: model calls that this command may pay.")
]
MaxTokens = Annotated[
    int | None, typer.Option(min=1, help="Budget: tokens, prompts included, that it may pay.")
]
Cache = Annotated[bool, typer.Option(help="Keep answers, and never pay a request twice.")]
Methods = Annotated[
    str,
    typer.Option(
        help="main (no ablations), all, or names with commas between them: m = 2, no perturbation. "
        "The floors and LRGD are always there; ablations are optimised first."
    ),
]
Seeds = Annotated[
    int, typer.Option(min=1, help="Sampling seeds to optimise with: the run's and those after it.")
]
Reference = Annotated[str, typer.Option(help="The method that all others are paired with.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
