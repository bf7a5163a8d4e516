"""The engine: threads that read pictures, and one that computes, turn by turn.

    submit --> read and resize (threads) --> in line
    a turn: encode the pictures and prompts of those that may begin, then one token for all

Both kinds of threads belong to executors, for which Python waits when it ends: a thread torn down
in the middle of PyTorch takes the process with it.
"""

import itertools
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import torch
from torch import Tensor

from florence2.engine.pictures import Pictures, ReadPicture
from florence2.engine.requests import Clock, EncodedImage, Outcome, Question, Ticket
from florence2.engine.scheduler import Limits, Scheduler
from florence2.errors import EngineError
from florence2.generation.decoding import Decoding, Runtime, answer_limit
from florence2.generation.options import SpecialIds
from florence2.generation.search import Search, answer, open_search
from florence2.grammars import Grammars
from florence2.locations import NUM_BINS
from florence2.processor import Processor

NUM_READERS = 2  # threads that read pictures


@dataclass(eq=False)
class _Job:
    """A request on its way."""

    number: int
    question: Question
    ticket: Ticket
    timings: dict[str, float] = field(default_factory=dict)
    picture: ReadPicture | EncodedImage | None = None
    prompt_ids: list[int] = field(default_factory=list)
    memory_1SD: Tensor | None = None
    search: Search | None = None
    is_repair: bool = False

    @property
    def lane(self) -> int:
        return self.question.options.num_beams

    @property
    def image(self) -> EncodedImage:
        assert isinstance(self.picture, EncodedImage), "the picture is not encoded yet"
        return self.picture

    def spend(self, stages: dict[str, float]) -> None:
        for stage, milliseconds in stages.items():
            self.timings[stage] = self.timings.get(stage, 0.0) + milliseconds


class Engine:
    """Answers requests with one runtime; any thread may submit.

    Args:
        runtime: computes.
        processor, grammars: of the checkpoint.
        name: of the model; encoded pictures of other models are refused.
        limits: how much to take on at once.
    """

    def __init__(
        self,
        runtime: Runtime,
        processor: Processor,
        grammars: Grammars,
        name: str,
        limits: Limits | None = None,
    ) -> None:
        self.pictures = Pictures(runtime, processor, name)
        self._runtime, self._processor, self._grammars = runtime, processor, grammars
        text, first = runtime.config.text, processor.tokenizer.loc_begin
        locations = range(first, first + NUM_BINS)
        self._special = SpecialIds(text.decoder_start_id, text.bos_id, text.eos_id, locations)
        self._scheduler = Scheduler(limits)
        self._numbers = itertools.count()
        self._jobs: dict[int, _Job] = {}
        self._cancelled: list[_Job] = []
        self._decodings: dict[int, Decoding] = {}  # by lane
        self._lock = threading.RLock()
        self._readers = ThreadPoolExecutor(NUM_READERS, thread_name_prefix="florence2-reader")
        self._computer = ThreadPoolExecutor(1, thread_name_prefix="florence2-engine")
        self._is_computing = False

    # -- any thread --------------------------------------------------------------------------

    def submit(self, question: Question) -> Ticket:
        """Ask; the ticket tells the outcome, or the error if the question cannot be answered.

        Raises:
            ConfigError: the options cannot be met with this model.
            EngineError: too many requests wait already.
        """
        answer_limit(self._runtime.config, question.options)
        ticket = Ticket(self._cancel)
        job = _Job(next(self._numbers), question, ticket)
        with self._lock:
            self._scheduler.add(job.number, job.lane)
            self._jobs[job.number] = job
        self._readers.submit(self._read, job)
        return ticket

    def _cancel(self, ticket: Ticket) -> None:
        with self._lock:
            if ticket.is_over:
                return
            self._cancelled += [job for job in self._jobs.values() if job.ticket is ticket]
            ticket.settle(EngineError("the request was cancelled before its answer was written"))
            self._start()

    def _start(self) -> None:
        """See to it that there is computing; the lock is held."""
        if not self._is_computing:
            self._is_computing = True
            self._computer.submit(self._compute)

    # -- reading threads ---------------------------------------------------------------------

    def _read(self, job: _Job) -> None:
        question = job.question
        try:
            if job.ticket.is_over:
                return
            job.picture = self.pictures.read(question.image)
            job.prompt_ids = self._processor.prompt_ids(
                question.task,
                question.text_input,
                question.region,
                job.picture.image_size,
                question.prompt,
            )
        except Exception as error:  # whatever it is, who waits must be told
            self._settle(job, error)
            return
        with self._lock:
            self._scheduler.ready(job.number)
            self._start()

    # -- the computing thread ----------------------------------------------------------------

    def _compute(self) -> None:
        """Turn by turn, until there is nothing to do."""
        while True:
            with self._lock:
                if not self._has_work:
                    self._is_computing = False
                    return
                cancelled, self._cancelled = self._cancelled, []
                for job in cancelled:
                    self._forget(job)
                beginners = [self._jobs[number] for number in self._scheduler.begin()]
            for job in cancelled:
                decoding = self._decodings.get(job.lane)
                if decoding is not None and job.search in decoding.searches:
                    decoding.cancel(job.search)
            if beginners:
                self._try(self._begin, beginners)
            for lane, decoding in list(self._decodings.items()):
                if decoding.searches:
                    self._try(self._step, self._jobs_of(lane))

    @property
    def _has_work(self) -> bool:
        return self._scheduler.has_work or bool(self._cancelled)

    def _jobs_of(self, lane: int) -> list[_Job]:
        """The running requests of a lane."""
        searches = {id(search) for search in self._decodings[lane].searches}
        return [job for job in list(self._jobs.values()) if id(job.search) in searches]

    def _try(self, work: Callable[[list[_Job]], None], jobs: list[_Job]) -> None:
        """Do it; if that fails, tell all whom it concerns, and go on with the others."""
        try:
            work(jobs)
        except Exception as error:
            self._decodings.pop(jobs[0].lane, None)
            for job in jobs:
                told = EngineError(f"the engine failed with {type(error).__name__}: {error}")
                told.__cause__ = error
                self._settle(job, told)

    @torch.inference_mode()
    def _begin(self, jobs: list[_Job]) -> None:
        """Encode pictures and prompts, and write the first token."""
        pictures = [job.picture for job in jobs if job.picture is not None]
        for job, image in zip(jobs, self.pictures.encode(pictures), strict=True):
            job.picture = image
            job.spend(image.timings_ms if image is not job.question.image else {})
        clock = Clock()
        ids, mask = self._processor.pad_prompts([job.prompt_ids for job in jobs])
        ids = ids.to(self._runtime.device)
        mask_BL = None if len(jobs) == 1 else mask.to(self._runtime.device)
        tokens_BID = torch.cat([job.image.image_tokens for job in jobs])
        memory_BSD = self._runtime.encode(tokens_BID, ids, mask_BL)
        num_image_tokens = tokens_BID.shape[1]
        for row, job in enumerate(jobs):
            real = num_image_tokens + len(job.prompt_ids)
            job.memory_1SD = memory_BSD[row : row + 1, :real]
        clock.mark("encode", shared_by=len(jobs))
        self._open(jobs, memory_BSD, self._runtime.memory_mask(tokens_BID, mask_BL))
        clock.mark("first_token", shared_by=len(jobs))
        for job in jobs:
            job.spend(clock.milliseconds)
        self._finish(jobs)

    def _open(self, jobs: Sequence[_Job], memory_BSD: Tensor, mask_BS: Tensor | None) -> None:
        lane = jobs[0].lane
        if lane not in self._decodings:
            self._decodings[lane] = Decoding(self._runtime, lane, self._special)
        for job in jobs:
            question = job.question
            grammar = None
            if job.is_repair or question.options.grammar is True:
                only_asked = question.options.grammar is True
                grammar = self._grammars.grammar(
                    question.task, question.text_input, only_asked=only_asked
                )
            limit = answer_limit(self._runtime.config, question.options)
            job.search = open_search(question.options, self._special, limit, grammar)
        searches = [job.search for job in jobs if job.search is not None]
        self._decodings[lane].join(memory_BSD, mask_BS, searches)

    def _step(self, jobs: list[_Job]) -> None:
        clock = Clock()
        self._decodings[jobs[0].lane].step()
        clock.mark("repair" if all(job.is_repair for job in jobs) else "tokens", len(jobs))
        for job in jobs:
            job.spend(clock.milliseconds)
        self._finish(jobs)

    def _finish(self, jobs: Sequence[_Job]) -> None:
        """Read the answers that are done; write those once more that broke their grammar."""
        for job in jobs:
            if job.search is None or not job.search.done:
                continue
            clock = Clock()
            question, image = job.question, job.image
            result = self._processor.result(answer(job.search), question.task, image.image_size)
            clock.mark("parse")
            job.spend(clock.milliseconds)
            if result.malformed and question.options.grammar == "repair" and not job.is_repair:
                job.is_repair = True
                assert job.memory_1SD is not None, "it was encoded"
                self._open([job], job.memory_1SD, None)
                clock.mark("repair")
                job.spend({"repair": clock.milliseconds["repair"]})
                self._finish([job])
            else:
                self._settle(job, Outcome(result, image, job.timings))

    def _settle(self, job: _Job, outcome: Outcome | Exception) -> None:
        with self._lock:
            self._forget(job)
            job.ticket.settle(outcome)

    def _forget(self, job: _Job) -> None:
        self._scheduler.remove(job.number)
        self._jobs.pop(job.number, None)
