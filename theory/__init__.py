"""In-context recommendation as gradient descent on a dual model. Source: LRGD, arXiv 2504.04386.

    draws, feature_maps, exact_maps   phi: random and exact
    preconditioning                   changes of queries and keys that attention does not notice
    attention, dual                   one head: linearised, and as a trained linear layer
    adapters, norms, prompt_state     real Hugging Face models, read layer by layer
    partition                         a prompt's tokens split into T and D
    decoder, last_row, greedy         a whole model as duals; its last row recomputed; itself
    attribution, counterfactual       which demonstration tokens moved a logit
    continuations                     likelihoods of whole texts, also with tokens masked
    convergence, approximation        figure 8; how far random features are from a real head
    paper/                            what only the paper's equations need: the one-layer
                                      transformer, the regularised variants

What is exact and what is not: docs/theory.md.
"""

from lrgd.theory.adapters import Decoder, adapt
from lrgd.theory.attribution import Attribution, attribute
from lrgd.theory.continuations import log_likelihoods
from lrgd.theory.counterfactual import masked_at_answer, masked_everywhere
from lrgd.theory.decoder import DualDecoder
from lrgd.theory.greedy import greedy
from lrgd.theory.norms import exact_norms
from lrgd.theory.partition import Partition, locate, partition
from lrgd.theory.prompt_state import PromptState, read_prompt

__all__ = [
    "Attribution",
    "Decoder",
    "DualDecoder",
    "Partition",
    "PromptState",
    "adapt",
    "attribute",
    "exact_norms",
    "greedy",
    "locate",
    "log_likelihoods",
    "masked_at_answer",
    "masked_everywhere",
    "partition",
    "read_prompt",
]
