"""The thread that computes: questions in turn, and between two of them a step of all generation.

One thread, so that nothing that is asked at the same time changes what a question gets.
"""

import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import TypeVar

from lrgd.core.errors import LrgdError
from lrgd.serving.embedded.generation import Decoder, Sampling, Writing
from lrgd.serving.embedded.heads import RetrievalHeads
from lrgd.serving.embedded.prefixes import Prefixes
from lrgd.serving.embedded.reranking import Reranker, probabilities
from lrgd.serving.embedded.scoring import Scored, score
from lrgd.serving.embedded.weights import Weights

T = TypeVar("T")

CAPACITY = 32_768
"""Tokens of prompts' beginnings that are kept, for texts and for re-ranking each."""


class TooLong(LrgdError):
    """A prompt with its answer is longer than the model's context."""


class Engine:
    """Answers questions about texts. Its methods may be called from any thread.

    Args:
        weights: the model.
        heads: what re-ranking reads; None where the model has none chosen.
    """

    def __init__(self, weights: Weights, heads: RetrievalHeads | None) -> None:
        self.weights = weights
        self.heads = heads
        self._texts = Prefixes(weights, CAPACITY)
        self._decoder = Decoder(self._texts)
        self._reranker = None
        if heads is not None:
            documents = Prefixes(weights, CAPACITY, heads.layers)
            self._reranker = Reranker(documents, heads.by_layer)
        self._jobs: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        threading.Thread(target=self._work, daemon=True, name="engine").start()

    def score(self, texts: Sequence[Sequence[int]], start: int, top: int) -> "Future[list[Scored]]":
        """Log-probabilities of texts' tokens from `start` on. Raises TooLong."""
        for text in texts:
            self._check_length(len(text))
        return self._asked(lambda: score(self._texts, texts, start, top))

    def rerank(
        self, query: str, documents: Sequence[str], baseline: str
    ) -> "Future[tuple[list[float], int]]":
        """A probability for each document, and the tokens of the prompt.

        Raises:
            LrgdError: the model has no retrieval heads; TooLong.
        """
        if self._reranker is None or self.heads is None:
            raise LrgdError(
                f"{self.weights.name} has no retrieval heads: choose them once by "
                "`lrgd models calibrate`, or rank by another mode"
            )
        reranker, heads = self._reranker, self.heads
        length = reranker.length(query, documents)
        self._check_length(length)

        def job() -> tuple[list[float], int]:
            return probabilities(reranker.scores(query, documents, baseline), heads), length

        return self._asked(job)

    def write(
        self,
        prompt: Sequence[int],
        sampling: Sampling,
        tell: Callable[[Writing], None] = lambda writing: None,
    ) -> Writing:
        """Begin to write; the answer's `done` says when it is finished, and may be cancelled.

        Args:
            prompt: token ids, one or more.
            tell: called after each token, by the engine's thread.

        Raises:
            TooLong: prompt and answer do not fit.
        """
        self._check_length(len(prompt) + sampling.max_tokens)
        writing = Writing(prompt, sampling, tell)
        self._jobs.put(lambda: self._decoder.add(writing))
        return writing

    def _asked(self, job: Callable[[], T]) -> "Future[T]":
        future: Future[T] = Future()

        def run() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(job())
            except BaseException as error:
                future.set_exception(error)

        self._jobs.put(run)
        return future

    def _work(self) -> None:
        while True:
            with suppress(queue.Empty):
                self._jobs.get(block=not self._decoder)()
            try:
                self._decoder.step()
            except Exception as error:
                self._decoder.fail(error)

    def _check_length(self, tokens: int) -> None:
        if tokens > self.weights.context:
            raise TooLong(
                f"{tokens} tokens with the answer, and {self.weights.name} reads "
                f"{self.weights.context}: shorten the history or ask for fewer candidates"
            )
