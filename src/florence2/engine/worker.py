"""The computing side of an engine: turn by turn on one thread, and what to do when a turn fails.

    a turn: encode and prefill those that are admitted, then one token for every running answer

What fails with several requests is tried again with half of them at a time, when nothing else is
computed, until the request at fault is alone; only that one ends in an error. So a batch that does
not fit into memory becomes smaller before anybody is refused.
"""

import logging
import math
from collections import deque
from collections.abc import Callable, Sequence
from typing import cast

from florence2.engine.image_cache import ImageCache
from florence2.engine.jobs import Job
from florence2.engine.requests import (
    Completion,
    CompletionRequest,
    ImageRequest,
    Loglikelihood,
    LoglikelihoodRequest,
    OnTokens,
    Request,
    StageTimer,
)
from florence2.errors import EngineError, Florence2Error, is_out_of_memory
from florence2.generation.batch import DecodingBatch, answer_limit
from florence2.generation.options import Generated
from florence2.generation.runtime import Runtime
from florence2.generation.search import Search, finished, new_search
from florence2.processing.processor import Processor

Settle = Callable[[Job, object], None]
OnAnswer = Callable[[Job, Generated], bool]

log = logging.getLogger(__name__)


class Worker:
    """Computes requests side by side; one thread calls it.

    Args:
        images: encodes the pictures.
        settle: ends a job with its outcome, or with an error.
        on_answer: hears of the tokens of a written answer; returns whether it is to be written
            once more, within its grammar.
    """

    def __init__(
        self,
        runtime: Runtime,
        processor: Processor,
        images: ImageCache,
        settle: Settle,
        on_answer: OnAnswer,
    ) -> None:
        self._runtime, self._processor, self._images = runtime, processor, images
        self._settle, self._on_answer = settle, on_answer
        self._batches: dict[int, DecodingBatch] = {}  # by batch key
        self._writing: dict[int, list[Job]] = {}  # what is written in each batch
        self._retries: deque[list[Job]] = deque()
        self.max_together: float = math.inf  # requests that fit into memory

    @property
    def has_work(self) -> bool:
        return self.is_retrying or self._is_writing

    @property
    def is_retrying(self) -> bool:
        """Whether requests wait to be tried again; nothing new should be admitted meanwhile."""
        return bool(self._retries)

    @property
    def _is_writing(self) -> bool:
        return any(batch.searches for batch in self._batches.values())

    def turn(self, admitted: Sequence[Job], cancelled: Sequence[Job] = ()) -> None:
        """Do as much as leaves nobody waiting for long.

        Args:
            admitted: jobs to begin with, of one batch key.
            cancelled: jobs that nobody waits for any more.
        """
        for job in cancelled:
            self._attempt(self._leave, [job], in_batch=True)
        if admitted:
            self._begin(admitted)
        elif self._retries and not self._is_writing:
            self._begin(self._retries.popleft())
        for key in list(self._batches):
            if jobs := self._jobs_of(key):
                self._attempt(self._step, jobs, in_batch=True)

    def reset(self) -> None:
        """Forget all that is computed, and who waits for it."""
        self._batches.clear()
        self._writing.clear()
        self._retries.clear()

    def close(self) -> None:
        """Let go of the model."""
        self.reset()
        self._images.close()
        del self._runtime

    # -- failures ----------------------------------------------------------------------------

    def _attempt(
        self, work: Callable[[Sequence[Job]], None], jobs: Sequence[Job], *, in_batch: bool = False
    ) -> bool:
        """Do something for jobs of one batch key; if it fails, see to all whom it concerns.

        Args:
            in_batch: it changes the batch of these jobs, which is lost if it fails half-way.

        Returns:
            Whether it worked.
        """
        key = jobs[0].batch_key
        running = self._jobs_of(key) if in_batch else []
        try:
            work(jobs)
            return True
        except BaseException as error:  # whatever it is, those who wait must hear of it
            if in_batch:
                running = [*running, *self._jobs_of(key)]
                self._batches.pop(key, None)
                self._writing.pop(key, None)
            self._recover(jobs, running, error)
            return False

    def _recover(self, jobs: Sequence[Job], running: Sequence[Job], error: BaseException) -> None:
        """Try again with fewer; or, with one that is alone, tell it the error."""
        no_memory = is_out_of_memory(error)
        if no_memory:
            self._images.evict()
        mine = {id(job): job for job in jobs if not job.is_over}
        others = {id(job): job for job in running if not job.is_over}
        groups = [list(mine.values()), [others[key] for key in others if key not in mine]]
        groups = [group for group in groups if group]
        count = sum(map(len, groups))
        if count == 1 and not (no_memory and self._is_writing):
            self._settle(groups[0][0], as_engine_error(error))
            return
        if no_memory and count > 1:
            self._shrink(count)
        if len(groups) == 1 and count > 1:
            (group,) = groups
            groups = [group[: count // 2], group[count // 2 :]]
        for group in groups:
            for job in group:
                job.restart()
            self._retries.append(group)

    def _shrink(self, count: int) -> None:
        """Remember that so many requests together do not fit into memory."""
        if count // 2 < self.max_together:
            self.max_together = max(1, count // 2)
            log.warning(
                "%d requests at once do not fit into memory; from now on at most %d run at once."
                " Give EngineLimits(max_running=%d), or a smaller image_side, to begin with that",
                count,
                self.max_together,
                self.max_together,
            )

    # -- a turn ------------------------------------------------------------------------------

    def _jobs_of(self, batch_key: int) -> list[Job]:
        """The jobs whose answers are being written in a batch."""
        batch = self._batches.get(batch_key)
        if batch is None:
            return []
        searches = {id(search) for search in batch.searches}
        writing = [job for job in self._writing[batch_key] if id(job.search) in searches]
        self._writing[batch_key] = writing
        return list(writing)

    def _leave(self, jobs: Sequence[Job]) -> None:
        """Stop writing the answers of these jobs."""
        for job in jobs:
            batch = self._batches.get(job.batch_key)
            if batch is not None and any(each is job.search for each in batch.searches):
                batch.cancel(cast(Search, job.search))

    def _begin(self, jobs: Sequence[Job]) -> None:
        """Encode pictures and prompts; then write first tokens, or score, or be done."""
        jobs = [job for job in jobs if not job.future.done()]
        if not jobs or not self._attempt(self._encode, jobs):
            return
        for job in jobs:
            if isinstance(job.request, ImageRequest):
                self._settle(job, job.encoded)
        if scoring := [job for job in jobs if isinstance(job.request, LoglikelihoodRequest)]:
            self._attempt(self._score, scoring)
        if writing := [job for job in jobs if job.options is not None]:
            self._attempt(self._first_token, writing, in_batch=True)

    def _first_token(self, jobs: Sequence[Job]) -> None:
        timer = StageTimer()
        self._open(jobs)
        timer.lap("first_token", shared_by=len(jobs))
        for job in jobs:
            job.spend(timer.milliseconds)
        self._finish(jobs)

    def _encode(self, jobs: Sequence[Job]) -> None:
        images = [job.image for job in jobs if job.image is not None]
        for job, image in zip(jobs, self._images.encode(images), strict=True):
            job.image = image
            job.spend(image.timings_ms if image is not job.request.image else {})
        timer = StageTimer()
        missing = [
            job for job in jobs if job.memory is None and not isinstance(job.request, ImageRequest)
        ]
        if missing:
            tokens = [job.encoded.image_tokens for job in missing]
            memories = self._runtime.prefill(tokens, [job.prompt_ids for job in missing])
            for job, memory in zip(missing, memories, strict=True):
                job.memory = memory
        timer.lap("encode", shared_by=len(jobs))
        for job in jobs:
            job.spend(timer.milliseconds)

    def _score(self, jobs: Sequence[Job]) -> None:
        """Score given answers."""
        start = self._processor.special_ids.decoder_start
        requests = [cast(LoglikelihoodRequest, job.request) for job in jobs]
        memories = [job.known_memory for job in jobs]
        scored = self._runtime.loglikelihood(
            memories, [[start, *request.answer_ids] for request in requests]
        )
        for job, memory, tokens in zip(jobs, memories, scored, strict=True):
            self._settle(job, Loglikelihood(tuple(tokens), memory))

    def _open(self, jobs: Sequence[Job]) -> None:
        """Begin to write answers."""
        key, special = jobs[0].batch_key, self._processor.special_ids
        if key not in self._batches:
            self._batches[key] = DecodingBatch(self._runtime, key, special)
            self._writing[key] = []
        for job in jobs:
            job.search = self._new_search(job)
        self._writing[key] += jobs
        searches = [cast(Search, job.search) for job in jobs]
        self._batches[key].add([job.known_memory for job in jobs], searches)

    def _new_search(self, job: Job) -> Search:
        request, options, special = job.request, job.options, self._processor.special_ids
        assert options is not None, "it writes no answer"
        limit = answer_limit(self._runtime.config, options)
        if isinstance(request, CompletionRequest):
            grammar, prefix = request.grammar, request.prefix_ids
            return new_search(options, special, limit, grammar, prefix, request.state)
        assert isinstance(request, Request), "nothing else is written"
        grammar = None
        if job.is_repair or options.grammar is True:
            task, only_asked = request.parsed_task, options.grammar is True
            assert task is not None, "an answer without a task has no grammar"
            grammar = self._processor.grammar(task, request.text_input, only_asked=only_asked)
        return new_search(options, special, limit, grammar)

    def _step(self, jobs: Sequence[Job]) -> None:
        """Write one more token in each answer of a batch."""
        timer = StageTimer()
        self._batches[jobs[0].batch_key].step()
        timer.lap("repair" if all(job.is_repair for job in jobs) else "tokens", len(jobs))
        for job in jobs:
            job.spend(timer.milliseconds)
        self._finish(jobs)

    def _finish(self, jobs: Sequence[Job]) -> None:
        """Report settled tokens; hand over the answers that are done."""
        for job in jobs:
            search = cast(Search, job.search)
            if job.on_tokens is not None:
                self._report(job, search, job.on_tokens)
            # A batch keeps an answer for a step after its end, and must not hand it over again.
            if search.done and not job.is_over and self._is_to_repair(job, search):
                timer = StageTimer()
                job.is_repair, job.num_settled = True, 0
                self._open([job])
                timer.lap("repair")
                job.spend(timer.milliseconds)
                self._finish([job])

    def _is_to_repair(self, job: Job, search: Search) -> bool:
        generated = finished(search)
        if isinstance(job.request, CompletionRequest):
            self._settle(job, Completion(generated, job.known_memory))
            return False
        try:
            job.is_written = not self._on_answer(job, generated)
            return not job.is_written
        except Exception as error:  # nobody else's answer is concerned
            self._settle(job, as_engine_error(error))
            return False

    def _report(self, job: Job, search: Search, on_tokens: OnTokens) -> None:
        tokens = search.settled_tokens()
        if len(tokens) == job.num_settled:
            return
        job.num_settled = len(tokens)
        try:
            on_tokens(tuple(tokens))
        except Exception as error:
            self._settle(job, error)
            self._leave([job])


def as_engine_error(error: BaseException) -> Florence2Error:
    """Errors of this package as they are, any other as the cause of an `EngineError`."""
    if isinstance(error, Florence2Error):
        return error
    failure = EngineError(f"the engine failed with {type(error).__name__}: {error}")
    failure.__cause__ = error
    return failure
