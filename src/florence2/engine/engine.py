"""The engine: the one door to a runtime. Threads that read pictures, and one that computes.

    submit --> read and resize (threads) --> ready
    a turn: prefill the pictures and prompts of those that are admitted, then one token for all

Both kinds of threads belong to executors, for which Python waits when it ends: a thread torn down
in the middle of PyTorch takes the process with it.
"""

import itertools
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, InvalidStateError, ThreadPoolExecutor
from functools import partial
from typing import Any, cast, overload

from florence2.answers.calibration import Calibration
from florence2.engine.image_cache import ImageCache
from florence2.engine.jobs import Job
from florence2.engine.presence import (
    PhraseQuery,
    check_presence_task,
    drop_absent,
    evidence_rounds,
    phrases_to_verify,
)
from florence2.engine.requests import (
    Answer,
    AnyRequest,
    Completion,
    CompletionRequest,
    EncodedImage,
    ImageRequest,
    Loglikelihood,
    LoglikelihoodRequest,
    OnTokens,
    Request,
    StageTimer,
)
from florence2.engine.rounds import follow_rounds
from florence2.engine.scheduler import EngineLimits, Scheduler
from florence2.errors import ConfigError, EngineError, Florence2Error, error_or
from florence2.generation.batch import DecodingBatch, answer_limit
from florence2.generation.options import GenerationOptions
from florence2.generation.runtime import Runtime
from florence2.generation.search import Search, finished, new_search
from florence2.processing.processor import Processor
from florence2.results import Result, Text
from florence2.tasks import Task

NUM_READERS = 2  # threads that read pictures


class Engine:
    """Answers requests with one runtime; any thread may submit.

    Args:
        runtime: computes.
        processor: of the checkpoint.
        name: of the model; encoded pictures of other models are refused.
        generation: how answers are searched for where a request does not say.
        calibrations: for scores; one for each task at most.
        limits: how much to take on at once.
    """

    def __init__(
        self,
        runtime: Runtime,
        processor: Processor,
        name: str,
        *,
        generation: GenerationOptions | None = None,
        calibrations: Sequence[Calibration] = (),
        limits: EngineLimits | None = None,
    ) -> None:
        self.runtime, self.processor, self.name = runtime, processor, name
        self.generation = generation or GenerationOptions()
        self.calibrations = {each.task: each for each in calibrations}
        self.images = ImageCache(runtime, processor, name)
        self._scheduler = Scheduler(limits)
        self._numbers = itertools.count()
        self._jobs: dict[int, Job] = {}
        self._cancelled: list[Job] = []
        self._batches: dict[int, DecodingBatch] = {}  # by batch key
        self._lock = threading.RLock()
        self._readers = ThreadPoolExecutor(NUM_READERS, thread_name_prefix="florence2-reader")
        self._computer = ThreadPoolExecutor(1, thread_name_prefix="florence2-engine")
        self._is_computing = False

    def __enter__(self) -> "Engine":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Cancel what is on its way and end the threads; nothing can be submitted any more."""
        with self._lock:
            jobs = list(self._jobs.values())
        for job in jobs:
            job.future.cancel()
        self._readers.shutdown()
        self._computer.shutdown()

    # -- any thread --------------------------------------------------------------------------

    @overload
    def submit(self, request: Request, on_tokens: OnTokens | None = None) -> "Future[Answer]": ...

    @overload
    def submit(self, request: ImageRequest) -> "Future[EncodedImage]": ...

    @overload
    def submit(self, request: CompletionRequest) -> "Future[Completion]": ...

    @overload
    def submit(self, request: LoglikelihoodRequest) -> "Future[Loglikelihood]": ...

    def submit(self, request: AnyRequest, on_tokens: OnTokens | None = None) -> "Future[Any]":
        """Ask. The future has the answer, or the error if the request cannot be answered.

        Cancelling it frees the request's place before the next token is written.

        Args:
            on_tokens: hears of tokens while they are written; see `OnTokens`. It runs on the
                engine's thread, so it has to be quick; an error that it raises ends the request.

        Raises:
            TaskError: the task is unknown, or cannot be asked with `min_presence`.
            ConfigError: the options cannot be met with this model.
            EngineError: too many requests wait already.
        """
        return self._submit(request, on_tokens)

    def answer_many(
        self, requests: Iterable[Request], batch_size: int = 32
    ) -> Iterator[Answer | Florence2Error]:
        """Ask many questions; yields an answer or an error for each request, in order.

        Requests are taken as answers are given: at most `batch_size` are on their way at once, of
        which the engine's limits let some run. Equal pictures that come close together are encoded
        once.
        """
        if batch_size < 1:
            raise ConfigError(f"batch_size must be 1 or more; got {batch_size!r}")
        on_their_way: deque[Future[Answer] | Florence2Error] = deque()
        try:
            for request in requests:
                on_their_way.append(error_or(self.submit, request))
                if len(on_their_way) == batch_size:
                    yield _outcome(on_their_way.popleft())
            while on_their_way:
                yield _outcome(on_their_way.popleft())
        finally:  # also where the caller stops listening
            for future in on_their_way:
                if isinstance(future, Future):
                    future.cancel()

    def answer(self, requests: Iterable[Request]) -> list[Answer]:
        """Answer requests side by side; the first that cannot be answered raises."""
        futures: list[Future[Answer]] = []
        try:
            futures += (self.submit(request) for request in requests)
            return [future.result() for future in futures]
        finally:
            for future in futures:
                future.cancel()

    def _submit(
        self, request: AnyRequest, on_tokens: OnTokens | None = None, *, must: bool = False
    ) -> "Future[Any]":
        job = Job(next(self._numbers), request, Future(), on_tokens=on_tokens)
        if isinstance(request, Request):
            task = Task.parse(request.task)
            if request.min_presence:
                check_presence_task(task)
            job.options = request.generation or self.generation
        elif isinstance(request, CompletionRequest):
            job.options = request.options
        if job.options is not None:
            answer_limit(self.runtime.config, job.options)
            job.batch_key = job.options.num_beams
        with self._lock:
            self._scheduler.add(job.number, job.batch_key, must=must)
            self._jobs[job.number] = job
        # The future is never marked as running, so that it can be cancelled at any time.
        job.future.add_done_callback(lambda future: self._on_done(job, future))
        self._readers.submit(self._read, job)
        return job.future

    def _on_done(self, job: Job, future: "Future[Any]") -> None:
        if not future.cancelled():
            return
        for part in job.parts:
            part.cancel()
        with self._lock:
            self._cancelled.append(job)
            self._start()

    def _start(self) -> None:
        """See to it that there is computing; the lock is held."""
        if not self._is_computing:
            self._is_computing = True
            self._computer.submit(self._compute)

    # -- reading threads ---------------------------------------------------------------------

    def _read(self, job: Job) -> None:
        request = job.request
        try:
            if job.future.done():
                return
            job.image = self.images.prepare(request.image)
            if isinstance(request, Request):
                job.prompt_ids = self.processor.prompt_ids(
                    Task.parse(request.task),
                    request.text_input,
                    request.region,
                    job.image.image_size,
                    request.prompt,
                )
            elif not isinstance(request, ImageRequest):
                job.prompt_ids, job.memory = request.prompt_ids, request.memory
        except Exception as error:  # whatever it is, who waits must hear of it
            self._settle(job, error)
            return
        with self._lock:
            self._scheduler.mark_ready(job.number)
            self._start()

    # -- the computing thread ----------------------------------------------------------------

    def _compute(self) -> None:
        """Turn by turn, until there is nothing to do."""
        while True:
            with self._lock:
                if not (self._scheduler.has_work or self._cancelled):
                    self._is_computing = False
                    return
                cancelled, self._cancelled = self._cancelled, []
                for job in cancelled:
                    self._forget(job)
                admitted = [self._jobs[number] for number in self._scheduler.admit()]
            for job in cancelled:
                batch = self._batches.get(job.batch_key)
                if batch is not None and job.search in batch.searches:
                    batch.cancel(job.search)
            if admitted and self._try(self._encode, admitted):
                self._begin(admitted)
            for key, batch in list(self._batches.items()):
                if batch.searches:
                    self._try(self._step, self._jobs_of(key), batch_key=key)

    def _jobs_of(self, batch_key: int) -> list[Job]:
        """The requests whose answers are being written in a batch."""
        searches = {id(search) for search in self._batches[batch_key].searches}
        return [job for job in list(self._jobs.values()) if id(job.search) in searches]

    def _try(
        self, work: Callable[[list[Job]], None], jobs: list[Job], batch_key: int | None = None
    ) -> bool:
        """Do it; if that fails, tell all whom it concerns, and go on with the others.

        Args:
            batch_key: of the batch that it works on, which is then lost with all its requests.

        Returns:
            Whether it worked.
        """
        try:
            work(jobs)
            return True
        except Exception as error:
            if batch_key in self._batches:
                jobs = list({id(job): job for job in jobs + self._jobs_of(batch_key)}.values())
                del self._batches[batch_key]
            for job in jobs:
                failure = EngineError(f"the engine failed with {type(error).__name__}: {error}")
                failure.__cause__ = error
                self._settle(job, failure)
            return False

    def _encode(self, jobs: list[Job]) -> None:
        """Encode pictures and prompts."""
        images = [job.image for job in jobs if job.image is not None]
        for job, image in zip(jobs, self.images.encode(images), strict=True):
            job.image = image
            job.spend(image.timings_ms if image is not job.request.image else {})
        timer = StageTimer()
        missing = [
            job for job in jobs if job.memory is None and not isinstance(job.request, ImageRequest)
        ]
        if missing:
            tokens = [job.encoded.image_tokens for job in missing]
            memories = self.runtime.prefill(tokens, [job.prompt_ids for job in missing])
            for job, memory in zip(missing, memories, strict=True):
                job.memory = memory
        timer.lap("encode", shared_by=len(jobs))
        for job in jobs:
            job.spend(timer.milliseconds)

    def _begin(self, jobs: Sequence[Job]) -> None:
        """Begin to write, or score, or be done: what stands behind encoding."""
        for job in jobs:
            if isinstance(job.request, ImageRequest):
                self._settle(job, job.encoded)
        if scoring := [job for job in jobs if isinstance(job.request, LoglikelihoodRequest)]:
            self._try(self._score, scoring)
        if writing := [job for job in jobs if job.options is not None]:
            self._try(self._first_token, writing, batch_key=writing[0].batch_key)

    def _first_token(self, jobs: list[Job]) -> None:
        timer = StageTimer()
        self._open(jobs)
        timer.lap("first_token", shared_by=len(jobs))
        for job in jobs:
            job.spend(timer.milliseconds)
        self._finish(jobs)

    def _score(self, jobs: list[Job]) -> None:
        """Score given answers."""
        start = self.processor.special_ids.decoder_start
        requests = [cast(LoglikelihoodRequest, job.request) for job in jobs]
        memories = [job.known_memory for job in jobs]
        scored = self.runtime.loglikelihood(
            memories, [[start, *request.answer_ids] for request in requests]
        )
        for job, memory, tokens in zip(jobs, memories, scored, strict=True):
            self._settle(job, Loglikelihood(tuple(tokens), memory))

    def _open(self, jobs: Sequence[Job]) -> None:
        """Begin to write answers."""
        key, special = jobs[0].batch_key, self.processor.special_ids
        if key not in self._batches:
            self._batches[key] = DecodingBatch(self.runtime, key, special)
        for job in jobs:
            job.search = self._new_search(job)
        searches = [job.search for job in jobs if job.search is not None]
        self._batches[key].add([job.known_memory for job in jobs], searches)

    def _new_search(self, job: Job) -> Search:
        request, options, special = job.request, job.options, self.processor.special_ids
        assert options is not None, "it writes no answer"
        limit = answer_limit(self.runtime.config, options)
        if isinstance(request, CompletionRequest):
            grammar, prefix = request.grammar, request.prefix_ids
            return new_search(options, special, limit, grammar, prefix, request.state)
        assert isinstance(request, Request), "nothing else is written"
        grammar = None
        if job.is_repair or options.grammar is True:
            task, only_asked = Task.parse(request.task), options.grammar is True
            grammar = self.processor.grammar(task, request.text_input, only_asked=only_asked)
        return new_search(options, special, limit, grammar)

    def _step(self, jobs: list[Job]) -> None:
        """Write one more token in each answer."""
        timer = StageTimer()
        self._batches[jobs[0].batch_key].step()
        timer.lap("repair" if all(job.is_repair for job in jobs) else "tokens", len(jobs))
        for job in jobs:
            job.spend(timer.milliseconds)
        self._finish(jobs)

    def _finish(self, jobs: Sequence[Job]) -> None:
        """Report settled tokens; read the answers that are done."""
        for job in jobs:
            if job.search is None:
                continue
            if job.on_tokens is not None:
                self._report(job, job.search, job.on_tokens)
            if job.search.done and not job.future.done():
                self._read_answer(job, job.search)

    def _report(self, job: Job, search: Search, on_tokens: OnTokens) -> None:
        tokens = search.settled_tokens()
        if len(tokens) == job.num_settled:
            return
        job.num_settled = len(tokens)
        try:
            on_tokens(tuple(tokens))
        except Exception as error:
            if not search.done:
                self._batches[job.batch_key].cancel(search)
            self._settle(job, error)

    def _read_answer(self, job: Job, search: Search) -> None:
        """Read an answer that is written; write it once more if it broke its grammar."""
        request, options = job.request, search.options
        if isinstance(request, CompletionRequest):
            self._settle(job, Completion(finished(search), job.known_memory))
            return
        assert isinstance(request, Request), "nothing else is written"
        timer = StageTimer()
        task = Task.parse(request.task)
        result = self.processor.result(finished(search), task, job.encoded.image_size)
        timer.lap("parse")
        job.spend(timer.milliseconds)
        if result.malformed and options.grammar == "repair" and not job.is_repair:
            job.is_repair, job.num_settled = True, 0
            self._open([job])
            timer.lap("repair")
            job.spend({"repair": timer.milliseconds["repair"]})
            self._finish([job])
        elif request.min_presence:
            self._verify(job, request, result)
        else:
            self._settle(job, self._answer(job, request, result))

    def _answer(self, job: Job, request: Request, result: Result) -> Answer:
        """Apply calibration and confidence threshold."""
        task = Task.parse(request.task)
        if calibration := self.calibrations.get(task):
            result = calibration.apply(result, task)
        if request.min_score and not isinstance(result, Text):
            result = result.above(request.min_score)
        return Answer(result, job.timings, job.encoded, job.is_repair)

    # -- presence: rounds of requests that follow from an answer -----------------------------

    def _verify(self, job: Job, request: Request, result: Result) -> None:
        """Ask whether the phrases of a result are there; the answer comes when that is known."""
        with self._lock:
            self._scheduler.remove(job.number)  # its place is free; the job still is
        timer = StageTimer()
        task = Task.parse(request.task)
        phrases = phrases_to_verify(result, request.text_input)
        queries = [PhraseQuery(job.encoded, task, phrase) for phrase in phrases]

        def keep_present(evidence: Sequence[Any]) -> None:
            timer.lap("presence")
            job.spend(timer.milliseconds)
            kept = drop_absent(result, queries, evidence, request.min_presence)
            self._settle(job, self._answer(job, request, kept))

        if queries:
            submit = partial(self._submit, must=True)
            rounds = evidence_rounds(queries, self.processor)
            follow_rounds(job, rounds, submit, keep_present, partial(self._settle, job))
        else:
            keep_present([])

    def _settle(self, job: Job, outcome: object) -> None:
        """Complete the future; later calls are ignored."""
        with self._lock:
            self._forget(job)
        try:
            if isinstance(outcome, BaseException):
                job.future.set_exception(outcome)
            else:
                job.future.set_result(outcome)
        except InvalidStateError:  # cancelled meanwhile
            pass

    def _forget(self, job: Job) -> None:
        self._scheduler.remove(job.number)
        self._jobs.pop(job.number, None)


def _outcome(future: "Future[Answer] | Florence2Error") -> Answer | Florence2Error:
    return future if isinstance(future, Florence2Error) else error_or(future.result)
