"""LRGD with one thing changed, each optimised anew: the paper's table 5, and the other policy.

Where the run itself is set so, the ablation is the run, and costs nothing more.
"""

from lrgd.evals.methods.base import prompted
from lrgd.evals.methods.lrgd import chosen

CHANGES: dict[str, dict[str, object]] = {
    "m = 2": {"paths": 2},
    "m = 1": {"paths": 1},
    "no regularisation": {"regularisation": ""},
    "no perturbation": {"perturbation": False},
    "demonstration first": {"prompt_order": "demonstration_first"},
    "random perturbation": {"policy": "random"},
}
"""What is different -> the settings that make it so."""

ABLATIONS = tuple(
    prompted(f"LRGD, {name}", "ablation", chosen, changes) for name, changes in CHANGES.items()
)
