"""How fast this machine answers: time by stage, shares of what the machine can do, agreement.

Each precision is measured in a process of its own, so that peak memory is its own. The reference
is float32: its answers are fed to each precision, and what counts is how often the likeliest next
token is the same.

What should bound a stage: the vision tower the rate of matrix products, a step of the decoder the
speed at which its weights are read.
"""

import multiprocessing
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
from PIL import Image

from florence2.api import Florence2
from florence2.engine import LoglikelihoodRequest, Request
from florence2.errors import ConfigError
from florence2.generation.options import GenerationOptions
from florence2.model.config import base, large, with_image_side
from florence2.processing.processor import Processor
from florence2.runtimes.select import Precision
from florence2.tasks import Task

if TYPE_CHECKING:
    from florence2.evaluation.roofline import Machine
    from florence2.runtimes.pytorch.runtime import TorchRuntime

RANDOM = {"random-base": base, "random-large": large}  # published sizes without their weights
STAGES = ("read", "resize", "vision", "encode", "first_token", "tokens", "repair", "parse")
PICTURE = 1280, 960  # pixels of the pictures that are made where none are given
NUM_PICTURES = 3


@dataclass(frozen=True)
class Job:
    """What to measure.

    Attributes:
        model: what `Florence2.load` takes, or a name of `RANDOM`.
        tokens: length of every answer; None lets the model end them.
        repeats: times each picture is asked about, after one time that does not count.
        sides: of pictures in pixels, None the model's own; the reference is float32 at the first.
        adapter: see `Florence2.load`.
    """

    model: str
    task: Task
    precisions: tuple[Precision, ...]
    beams: tuple[int, ...]
    pictures: tuple[Path, ...] = ()
    tokens: int | None = None
    repeats: int = 5
    device: str | None = None
    tokenizer: str | None = None
    threads: int | None = None
    sides: tuple[int | None, ...] = (None,)
    adapter: str | None = None


@dataclass
class Row:
    """Measured in one precision with one number of beams; times are medians, in milliseconds.

    Attributes:
        wall_ms: of a whole question, from the path to the result.
        stages_ms: what it is made of.
        token_ms: of each token after the first.
        vision_share, step_share: of the machine's rate of products, and of its speed of reading.
        peak_mib: of the process so far; beams are measured in the order given.
        agreement: share of the tokens of the reference's answers after which the likeliest next
            one is the same; None where float32 was not measured.
    """

    precision: Precision
    side: int
    beams: int
    wall_ms: float
    stages_ms: dict[str, float]
    token_ms: float
    vision_share: float
    step_share: float
    peak_mib: float
    agreement: float | None
    machine: "Machine"


@dataclass
class Reference:
    """What float32 answered, and what it found likeliest after each token of that."""

    answers: list[tuple[int, ...]]
    likeliest: list[list[int]]


def measure(job: Job, tell: Callable[[str], None] = lambda _: None) -> list[Row]:
    """Measure all precisions and beams of a job, float32 first, which is the reference."""
    with tempfile.TemporaryDirectory() as folder:
        if not job.pictures:
            job = replace(job, pictures=tuple(_pictures(Path(folder))))
        rows: list[Row] = []
        references: dict[int, Reference] = {}  # by beams
        order = sorted(job.precisions, key=lambda each: each != "float32")
        for precision, side in product(order, job.sides):
            tell(f"measuring {job.model} in {precision}" + (f" at {side} pixels" if side else ""))
            context = multiprocessing.get_context("spawn")
            with context.Pool(1) as pool:
                found, made = pool.apply(_measure_model, (job, precision, side, references))
            rows += found
            references = references or made
    return rows


def _pictures(folder: Path) -> list[Path]:
    """Write pictures of soft blobs: JPEG files of a camera's detail."""
    rng = np.random.default_rng(0)
    paths = []
    for number in range(NUM_PICTURES):
        small = Image.fromarray(rng.integers(0, 255, (24, 32, 3), dtype=np.uint8))
        path = folder / f"{number}.jpg"
        small.resize(PICTURE, Image.Resampling.BICUBIC).save(path, quality=90)
        paths.append(path)
    return paths


def _measure_model(
    job: Job, precision: Precision, side: int | None, references: dict[int, Reference]
) -> tuple[list[Row], dict[int, Reference]]:
    """Rows of all beams and, if the precision is float32, what others are compared with."""
    from florence2.evaluation.roofline import itemsizes_of, measure_machine, work_of
    from florence2.runtimes.pytorch.threads import set_threads

    set_threads(job.threads)
    model = open_model(job.model, precision, job.device, side, job.adapter, job.tokenizer)
    runtime = cast("TorchRuntime", model.runtime)
    machine = measure_machine(precision, runtime.device)
    flops, step_bytes = work_of(runtime.config, *itemsizes_of(runtime, precision))
    rows, made = [], dict[int, Reference]()
    for beams in job.beams:
        length = job.tokens
        options = replace(model.generation, num_beams=beams)
        if length is not None:
            options = GenerationOptions(
                num_beams=beams, min_new_tokens=length, max_new_tokens=length, grammar=False
            )
        timings, walls, answers = _asked(model, job, options)
        stages = {
            stage: statistics.median(each.get(stage, 0.0) for each in timings)
            for stage in STAGES
            if any(stage in each for each in timings)
        }
        agreement = None
        if precision == "float32" and not references:
            made[beams] = Reference(answers, _likeliest(model, job, answers))
        if reference := (references or made).get(beams):
            found = _likeliest(model, job, reference.answers)
            agreement = _share_of_equal(found, reference.likeliest)
        # The first two tokens come together, and the last is not fed back.
        steps = [len(answer) - 2 for answer in answers]
        token_ms = statistics.median(
            each.get("tokens", 0.0) / max(count, 1)
            for each, count in zip(timings, steps * job.repeats, strict=True)
        )
        rows.append(
            Row(
                precision=precision,
                side=model.processor.image_side,
                beams=beams,
                wall_ms=statistics.median(walls),
                stages_ms=stages,
                token_ms=token_ms,
                vision_share=flops / (stages["vision"] * 1e6) / machine.gflops,
                step_share=step_bytes / max(token_ms * 1e6, 1e-9) / machine.gbytes_per_s,
                peak_mib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
                agreement=agreement,
                machine=machine,
            )
        )
    return rows, made


def open_model(
    name: str,
    precision: Precision,
    device: str | None = None,
    side: int | None = None,
    adapter: str | None = None,
    tokenizer: str | None = None,
) -> Florence2:
    """Load a model, or make one of a published size with random weights.

    Random weights come with the tokenizer of nano; their answers mean nothing.
    """
    from florence2.evaluation.roofline import random_runtime

    if name not in RANDOM:
        return Florence2.load(
            name, device, precision, image_side=side, adapter=adapter, tokenizer=tokenizer
        )
    if adapter is not None:
        raise ConfigError(f"random weights take no adapter; leave {adapter!r} out")
    if device not in (None, "cpu"):
        raise ConfigError(f"random weights are measured on the CPU; got device {device!r}")
    its_tokenizer = Florence2.load("nano", device="cpu").processor.tokenizer
    config = RANDOM[name]()
    if side is not None:
        config = with_image_side(config, side)
    return Florence2(random_runtime(config, precision), Processor(its_tokenizer, config), name=name)


def _asked(
    model: Florence2, job: Job, options: GenerationOptions
) -> tuple[list[dict[str, float]], list[float], list[tuple[int, ...]]]:
    """Ask about all pictures; timings and wall clock of each time but the first, and answers."""
    text, region = _input(job.task)
    timings, walls = [], []
    answers: list[tuple[int, ...]] = []
    for repeat in range(1 + job.repeats):
        answers = []
        for path in job.pictures:
            model.engine.images.evict()
            started = time.perf_counter()
            request = Request(path, job.task, text, region, generation=options)
            answer = model.engine.submit(request).result()
            if repeat:
                walls.append((time.perf_counter() - started) * 1e3)
                timings.append(answer.timings_ms)
            answers.append(answer.result.token_ids)
    return timings, walls, answers


def _likeliest(model: Florence2, job: Job, answers: Sequence[tuple[int, ...]]) -> list[list[int]]:
    """The likeliest token in the place of each token of these answers to the pictures."""
    text, region = _input(job.task)
    futures = []
    for path, token_ids in zip(job.pictures, answers, strict=True):
        seen = model.encode_image(path)
        prompt = model.processor.prompt_ids(job.task, text, region, seen.image_size)
        futures.append(model.engine.submit(LoglikelihoodRequest(seen, prompt, token_ids)))
    return [[token.likeliest for token in future.result().tokens] for future in futures]


def _share_of_equal(some: Sequence[list[int]], others: Sequence[list[int]]) -> float:
    pairs = [pair for rows in zip(some, others, strict=True) for pair in zip(*rows, strict=True)]
    return sum(one == other for one, other in pairs) / max(len(pairs), 1)


def _input(task: Task) -> tuple[str, tuple[float, ...] | None]:
    """Words and region for a task that needs them."""
    region = (10.0, 10.0, 400.0, 300.0) if task.needs_region else None
    return "car" if task.needs_text else "", region
