"""The engine: the one door to a runtime. Threads that read pictures, and one that computes.

    submit --> read and resize (threads) --> ready --> computed turn by turn (`worker.py`)

Both kinds of threads belong to executors, for which Python waits when it ends: a thread torn down
in the middle of PyTorch takes the process with it. A forked child has no threads: there an engine
begins anew, with what it loaded.
"""

import itertools
import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, InvalidStateError, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any, overload

from florence2.answers.calibration import Calibration
from florence2.answers.defaults import AnswerDefaults, scaled
from florence2.engine.fork import give_up, survive_fork
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
from florence2.engine.worker import Worker, as_engine_error
from florence2.errors import ConfigError, EngineError, Florence2Error, ImageError
from florence2.generation.batch import answer_limit
from florence2.generation.options import Generated, GenerationOptions
from florence2.generation.runtime import Runtime
from florence2.processing.processor import Processor
from florence2.results import Result, Text

NO_PICTURE = (
    "None is no picture; give a path, encoded bytes, a Pillow image or an array"
    " (cv2.imread returns None for a file that it cannot read)"
)
NUM_READERS = 2  # threads that read pictures

log = logging.getLogger(__name__)


class Engine:
    """Answers requests with one runtime; any thread may submit.

    In a forked child it answers with threads of its own; what its parent had asked is not answered
    there. It is closed by `close()` or by leaving a `with` block.

    Args:
        runtime: computes.
        processor: of the checkpoint.
        name: of the model; encoded pictures of other models are refused.
        generation: how answers are searched for where a request does not say.
        calibrations: for scores; one for each task at most.
        defaults: of the checkpoint, for tasks without one of these calibrations.
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
        defaults: AnswerDefaults | None = None,
        limits: EngineLimits | None = None,
    ) -> None:
        self._runtime: Runtime | None = runtime
        self.processor, self.name = processor, name
        self.generation = generation or GenerationOptions()
        self.defaults = (defaults or AnswerDefaults()).without([each.task for each in calibrations])
        self.calibrations = {
            each.task: each for each in (*self.defaults.calibrations, *calibrations)
        }
        self.limits = limits or EngineLimits()
        self._jobs: dict[int, Job] = {}
        self._make()
        survive_fork(self)

    def begin_anew(self) -> None:
        """In a forked child: give up what the parent had asked, and be ready for new requests."""
        if self._runtime is not None:
            self._runtime.after_fork()
            given_up, self._jobs = self._jobs, {}
            self._make()
            give_up([job.future for job in given_up.values()])

    def _make(self) -> None:
        """Make all that belongs to this process: threads, locks, queues, what is computed."""
        self.images = ImageCache(self.runtime, self.processor, self.name)
        self._numbers = itertools.count()
        self._scheduler = Scheduler(self.limits)
        self._cancelled: list[Job] = []
        self._worker = Worker(
            self.runtime, self.processor, self.images, self._settle, self._on_answer
        )
        self._lock = threading.RLock()
        self._own_threads: set[int] = set()
        self._readers = self._executor(NUM_READERS, "florence2-reader")
        self._computer = self._executor(1, "florence2-engine")
        self._is_computing = False

    def _executor(self, num_threads: int, name: str) -> ThreadPoolExecutor:
        remember = self._own_threads
        return ThreadPoolExecutor(
            num_threads, name, initializer=lambda: remember.add(threading.get_ident())
        )

    @property
    def runtime(self) -> Runtime:
        if self._runtime is None:
            raise EngineError(f"model {self.name!r} is closed; load it again to ask")
        return self._runtime

    def __enter__(self) -> "Engine":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def rename(self, name: str) -> None:
        """Answer under another name, before anything is asked."""
        self.name = self.images.name = name

    def close(self) -> None:
        """Cancel what is on its way, end the threads and let go of the model.

        Nothing can be submitted any more. Closing twice does nothing.
        """
        with self._lock:
            if self._runtime is None:
                return
            self._runtime = None
            jobs = list(self._jobs.values())
        for job in jobs:
            job.future.cancel()
        wait = threading.get_ident() not in self._own_threads  # a thread cannot wait for itself
        self._readers.shutdown(wait)
        self._computer.shutdown(wait)
        self._worker.close()

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
                on_their_way.append(_or_error(self.submit, request))
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

    def min_score(self, request: Request) -> float:
        """The confidence threshold of a request, or else of the checkpoint for its task."""
        if request.min_score is not None:
            return request.min_score
        task = request.parsed_task
        return 0.0 if task is None else self.defaults.min_scores.get(task, 0.0)

    def _submit(
        self, request: AnyRequest, on_tokens: OnTokens | None = None, *, must: bool = False
    ) -> "Future[Any]":
        config = self.runtime.config
        job = Job(next(self._numbers), request, Future(), on_tokens=on_tokens)
        if isinstance(request, Request):
            task = request.parsed_task
            if request.min_presence and task is not None:
                check_presence_task(task)
            job.options = request.options(self.generation)
        elif isinstance(request, CompletionRequest):
            job.options = request.options
        if job.options is not None:
            answer_limit(config, job.options)
            job.batch_key = job.options.num_beams
        with self._lock:
            self._scheduler.add(job.number, job.batch_key, must=must)
            self._jobs[job.number] = job
        # The future is never marked as running, so that it can be cancelled at any time.
        # It knows the job by number alone: a circle of the two would keep both, and what was
        # computed for them, until Python next looks for such garbage.
        job.future.add_done_callback(partial(self._on_done, job.number))
        try:
            self._readers.submit(self._read, job)
        except RuntimeError as error:  # closed meanwhile, or Python is ending
            with self._lock:
                self._forget(job)
            raise EngineError(f"model {self.name!r} takes no more questions: {error}") from None
        return job.future

    def _on_done(self, number: int, future: "Future[Any]") -> None:
        if not future.cancelled():
            return
        future.set_running_or_notify_cancel()  # else `concurrent.futures.wait` waits for ever
        with self._lock:
            if (job := self._jobs.get(number)) is None:
                return
            self._cancelled.append(job)
        for part in job.parts:
            part.cancel()
        self._start()

    def _start(self) -> None:
        """See to it that there is computing."""
        try:
            with self._lock:
                if not self._is_computing:
                    self._computer.submit(self._compute)
                    self._is_computing = True
        except RuntimeError as error:  # closed meanwhile, or Python is ending
            for job in list(self._jobs.values()):
                self._settle(job, EngineError(f"model {self.name!r} computes no more: {error}"))

    # -- reading threads ---------------------------------------------------------------------

    def _read(self, job: Job) -> None:
        request = job.request
        try:
            if job.future.done():
                return
            if isinstance(request, Request) and request.image is None:
                raise ImageError(NO_PICTURE)
            job.image = self.images.prepare(request.image)
            if isinstance(request, Request):
                job.prompt_ids = self.processor.prompt_ids(
                    request.parsed_task,
                    request.text_input,
                    request.region,
                    job.image.image_size,
                    request.prompt,
                )
            elif not isinstance(request, ImageRequest):
                job.prompt_ids, job.memory = request.prompt_ids, request.memory
        except BaseException as error:  # whatever it is, who waits must hear of it
            self._settle(job, as_engine_error(error))
            return
        with self._lock:
            self._scheduler.mark_ready(job.number)
        self._start()

    # -- the computing thread ----------------------------------------------------------------

    def _compute(self) -> None:
        """Turn by turn, until there is nothing to do."""
        while True:
            with self._lock:
                if not (self._scheduler.has_work or self._cancelled or self._worker.has_work):
                    self._is_computing = False
                    return
                cancelled, self._cancelled = self._cancelled, []
                for job in cancelled:
                    self._forget(job)
                numbers = []
                if not self._worker.is_retrying:
                    numbers = self._scheduler.admit(self._worker.max_together)
                admitted = [self._jobs[number] for number in numbers]
                lost: list[Job] = []
                if not (admitted or self._worker.has_work):
                    lost = [self._jobs[number] for number in self._scheduler.running]
            for job in lost:  # a fault of ours must not make anybody wait for ever
                self._settle(job, EngineError("the engine lost this request; please report it"))
            try:
                self._worker.turn(admitted, cancelled)
            except BaseException as error:
                self._worker.reset()
                log.exception("the engine failed between requests")
                with self._lock:
                    lost = [self._jobs[number] for number in self._scheduler.running]
                for job in lost:
                    self._settle(job, EngineError(f"the engine failed: {error!r}"))

    def _on_answer(self, job: Job, generated: Generated) -> bool:
        """Read a written answer; returns whether it broke its grammar and is to be repaired."""
        request, options = job.request, job.options
        assert isinstance(request, Request) and options is not None, "nothing else is read"
        timer = StageTimer()
        task = request.parsed_task
        result = self.processor.result(generated, task, job.encoded.image_size)
        timer.lap("parse")
        job.spend(timer.milliseconds)
        if result.malformed and options.grammar == "repair" and not job.is_repair:
            job.first_answer = result.answer
            return True
        if job.is_repair:
            result = replace(result, repaired=True, first_answer=job.first_answer)
        if request.min_presence:
            self._verify(job, request, result)
        else:
            self._settle(job, self._answer(job, request, result))
        return False

    def _answer(self, job: Job, request: Request, result: Result) -> Answer:
        """Apply calibration, familiarity and confidence threshold."""
        task, defaults = request.parsed_task, self.defaults
        if task is not None and (calibration := self.calibrations.get(task)):
            result = calibration.apply(result, task)
        if defaults.familiarity is not None and defaults.is_scaled(task):
            result = scaled(result, defaults.familiarity(job.encoded.image_tokens.mean()))
        if (least := self.min_score(request)) and not isinstance(result, Text):
            result = result.with_min_score(least)
        return Answer(result, job.timings, job.encoded)

    # -- presence: rounds of requests that follow from an answer -----------------------------

    def _verify(self, job: Job, request: Request, result: Result) -> None:
        """Ask whether the phrases of a result are there; the answer comes when that is known."""
        with self._lock:
            self._scheduler.remove(job.number)  # its place is free; the job still is
        timer = StageTimer()
        task = request.parsed_task
        assert task is not None, "presence is asked of tasks only"
        phrases = phrases_to_verify(result, request.text_input)
        queries = [PhraseQuery(job.encoded, task, phrase) for phrase in phrases]

        def keep_present(evidence: Sequence[Any]) -> None:
            timer.lap("presence")
            job.spend(timer.milliseconds)
            kept = drop_absent(result, queries, evidence, request.min_presence)
            self._settle(job, self._answer(job, request, kept))

        def fail(error: BaseException) -> None:
            self._settle(job, as_engine_error(error))

        if queries:
            submit = partial(self._submit, must=True)
            rounds = evidence_rounds(queries, self.processor)
            follow_rounds(job, rounds, submit, keep_present, fail)
        else:
            keep_present([])

    # -- the end of a request -----------------------------------------------------------------

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


def _or_error(ask: Callable[..., Any], *args: Any) -> Any:
    """What a call returns, or whatever it raises as a `Florence2Error`."""
    try:
        return ask(*args)
    except Exception as error:
        return as_engine_error(error)


def _outcome(future: "Future[Answer] | Florence2Error") -> Answer | Florence2Error:
    return future if isinstance(future, Florence2Error) else _or_error(future.result)
