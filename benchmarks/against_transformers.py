"""Answers a second, against the pinned transformers, on the same machine with the same weights.

    python benchmarks/against_transformers.py --repeats 5 --folder 8
    python benchmarks/against_transformers.py --start          # only the time to a first answer

Base size with random weights, 768 px, 3 beams, a fixed number of new tokens, because answers of
random weights are long and arbitrary. The two sides take turns in one process; medians. What
should limit: the vision tower the machine's rate of matrix products, decoding the speed at which
weights are read. The last line of stdout is one JSON object.

Rows:
- one picture, one task: from pixels to token ids, transformers in float32 and bfloat16, ours in
  float32 (token ids must be equal), bfloat16 and int8;
- one picture, ten tasks: transformers asks ten times, as its users do; ours encodes once;
- a folder: transformers in bfloat16 in batches of `--batch`, ours through the engine;
- `--start`: a new process each time, from its start to its end with one answer, of the base size
  (random weights in float16, as published, in a folder that is made, with nano's tokenizer; or
  `--checkpoint`) and of nano: seconds by the clock and of all cores, and peak memory.
"""

import argparse
import gc
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import torch
from PIL import Image
from transformers import Florence2Config, Florence2ForConditionalGeneration

from florence2.api import Florence2
from florence2.checkpoints import save_checkpoint
from florence2.checkpoints.config_files import native_config
from florence2.checkpoints.layouts import build_model, detect_layout, to_internal
from florence2.engine import EncodedImage, Request, StageTimer
from florence2.generation.batch import generate
from florence2.generation.options import GenerationOptions
from florence2.model.config import base
from florence2.model.florence2 import Florence2Model
from florence2.processing.processor import Processor
from florence2.runtimes.select import Precision, select_runtime
from florence2.tasks import Task

CONFIG = base()
IMAGE_ID = CONFIG.text.vocab_size - 1
PROMPT_LENGTH = 12

# A process of its own, since a process begins with the peak memory of the one that starts it.
MEASURE = """
import json, os, subprocess, sys, time
started = time.perf_counter()
quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
process = subprocess.Popen(sys.argv[1:], **quiet)
_, status, used = os.wait4(process.pid, 0)
seconds, cpu = time.perf_counter() - started, used.ru_utime + used.ru_stime
print(json.dumps({"s": seconds, "CPU s": cpu, "MiB": used.ru_maxrss / 1024}))
sys.exit(bool(status))
"""

PEER_START = """
import sys, torch
from PIL import Image
from transformers import AutoProcessor, Florence2ForConditionalGeneration
folder, picture, dtype, beams, tokens = sys.argv[1:]
model = Florence2ForConditionalGeneration.from_pretrained(folder, dtype=getattr(torch, dtype))
processor = AutoProcessor.from_pretrained(folder)
asked = processor(text="<OD>", images=Image.open(picture), return_tensors="pt").to(model.dtype)
with torch.inference_mode():
    model.generate(**asked, num_beams=int(beams), max_new_tokens=int(tokens))
"""


def peer(dtype: torch.dtype) -> Florence2ForConditionalGeneration:
    settings = native_config(CONFIG, IMAGE_ID, "float32")
    torch.manual_seed(3)
    return Florence2ForConditionalGeneration(Florence2Config(**settings)).eval().to(dtype)


def ours(weights: dict[str, torch.Tensor], precision: Precision) -> Florence2:
    dtype = torch.float32 if precision == "float32" else torch.bfloat16
    copies = {name: tensor.to(dtype, copy=True) for name, tensor in weights.items()}
    model = build_model(CONFIG, to_internal(copies, detect_layout(copies)))
    tokenizer = Florence2.load("nano", device="cpu").processor.tokenizer
    runtime = select_runtime(model, precision)
    return Florence2(runtime, Processor(tokenizer, CONFIG), name=f"base-{precision}")


def ask_peer(
    model: Florence2ForConditionalGeneration,
    pixels: torch.Tensor,
    prompt: torch.Tensor,
    tokens: int,
    beams: int,
) -> list[tuple[int, ...]]:
    count = CONFIG.num_image_tokens(CONFIG.image_side)
    places = torch.full((len(pixels), count), IMAGE_ID)
    ids = torch.cat((places, prompt.expand(len(pixels), -1)), dim=1)
    with torch.inference_mode():
        written = model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            pixel_values=pixels.to(model.dtype),
            num_beams=beams,
            max_new_tokens=tokens,
            min_new_tokens=tokens,
            no_repeat_ngram_size=3,
            early_stopping=True,
            do_sample=False,
            forced_bos_token_id=CONFIG.text.bos_id,
            forced_eos_token_id=CONFIG.text.eos_id,
        )
    return [tuple(row[1 : tokens + 1].tolist()) for row in written]


def options(tokens: int, beams: int) -> GenerationOptions:
    return GenerationOptions(
        num_beams=beams, min_new_tokens=tokens, max_new_tokens=tokens, grammar=False
    )


def ask_ours(
    model: Florence2,
    pixels: torch.Tensor,
    prompts: Sequence[torch.Tensor],
    tokens: int,
    beams: int,
) -> list[tuple[int, ...]]:
    """All prompts about one picture, encoded once."""
    (image,) = model.runtime.encode_images(pixels.numpy())
    written = generate(
        model.runtime,
        [image] * len(prompts),
        [ids for prompt in prompts for ids in prompt.tolist()],
        options(tokens, beams),
        model.processor.special_ids,
    )
    return [each.token_ids for each in written]


def stages(model: Florence2, pixels: torch.Tensor, prompt: torch.Tensor, tokens: int) -> str:
    """Milliseconds of the parts of one question."""
    timer, runtime, ids = StageTimer(), model.runtime, prompt.tolist()
    images = runtime.encode_images(pixels.numpy())
    timer.lap("vision")
    runtime.prefill(images, ids)
    timer.lap("encode")
    generate(runtime, images, ids, options(tokens, 3), model.processor.special_ids)
    timer.lap("encode and decode")
    return ", ".join(f"{name} {ms:.0f}" for name, ms in timer.milliseconds.items())


def alternate(
    sides: dict[str, Callable[[], object]], repeats: int, uncounted: int = 1
) -> dict[str, float]:
    """Median seconds of each side, taking turns, after turns that do not count."""
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(uncounted + repeats):
        for name, work in sides.items():
            started = time.perf_counter()
            work()
            if turn >= uncounted:
                seconds[name].append(time.perf_counter() - started)
    return {name: statistics.median(values) for name, values in seconds.items()}


def tell(title: str, found: dict[str, float], reference: str) -> dict[str, dict[str, float]]:
    print(f"\n| {title} | s | times as fast as {reference} |\n| --- | --- | --- |")
    for name, seconds in found.items():
        print(f"| {name} | {seconds:.2f} | {found[reference] / seconds:.2f} |", flush=True)
    return {name: {"s": s, "ratio": found[reference] / s} for name, s in found.items()}


def measure_start(arguments: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Run each side in new processes, in turns; medians after one turn that does not count."""
    with tempfile.TemporaryDirectory() as made:
        folder = arguments.checkpoint
        if folder is None:
            folder = Path(made, "base")
            model = Florence2Model(CONFIG).initialize(torch.Generator().manual_seed(0))
            tokenizer = Florence2.load("nano", device="cpu").processor.tokenizer
            save_checkpoint(model, folder, tokenizer=tokenizer, dtype=torch.float16)
            del model
        picture = Path(made, "picture.jpg")
        Image.effect_noise((1280, 960), 60).convert("RGB").save(picture)
        beams, tokens = str(arguments.beams), str(arguments.tokens)
        asked = ["run", str(picture), "--task", "od", "--beams", beams, "--grammar", "never"]
        asked += ["--max-new-tokens", tokens, "--device", "cpu"]
        ours = [sys.executable, "-m", "florence2", *asked]
        theirs = [sys.executable, "-c", PEER_START, str(folder), str(picture)]
        sides = {
            f"transformers {name}": [*theirs, name, beams, tokens]
            for name in ("float32", "bfloat16")
        }
        for model_name, where in (("base", str(folder)), ("nano", "nano")):
            for name in ("float32", "bfloat16", "int8"):
                sides[f"florence2 {model_name} {name}"] = [
                    *(*ours, "--model", where, "--precision", name)
                ]
        found: dict[str, list[dict[str, float]]] = {side: [] for side in sides}
        for turn in range(1 + arguments.repeats):
            for side, command in sides.items():
                measured = _one_process(command)
                if turn:
                    found[side].append(measured)
    return {
        side: {key: statistics.median(each[key] for each in turns) for key in turns[0]}
        for side, turns in found.items()
    }


def _one_process(command: Sequence[str]) -> dict[str, float]:
    told = subprocess.run(
        [sys.executable, "-c", MEASURE, *command], stdout=subprocess.PIPE, check=False
    )
    if told.returncode:
        raise SystemExit(f"this failed: {command}")
    return dict(json.loads(told.stdout))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--beams", type=int, default=3)
    parser.add_argument("--folder", type=int, default=8, help="pictures of the folder; 0 for none")
    parser.add_argument("--batch", type=int, default=4, help="of transformers")
    parser.add_argument("--start", action="store_true", help="only the time to a first answer")
    parser.add_argument("--checkpoint", type=Path, help="a folder, for --start")
    arguments = parser.parse_args()
    if arguments.start:
        starts = measure_start(arguments)
        print("| first answer of a new process | s | CPU s | MiB |\n| --- | --- | --- | --- |")
        for side, row in starts.items():
            print(f"| {side} | {row['s']:.2f} | {row['CPU s']:.2f} | {row['MiB']:.0f} |")
        print(json.dumps(starts))
        return
    generator = torch.Generator().manual_seed(1)
    pixels = torch.randn(
        max(1, arguments.folder), 3, CONFIG.image_side, CONFIG.image_side, generator=generator
    )
    prompts = torch.randint(3, 50_000, (10, 1, PROMPT_LENGTH), generator=generator)
    tokens, beams = arguments.tokens, arguments.beams
    peers = {"float32": peer(torch.float32)}
    weights = peers["float32"].state_dict()
    models = {name: ours(weights, name) for name in ("float32", "bfloat16", "int8")}  # type: ignore[arg-type]
    peers["bfloat16"] = peer(torch.bfloat16)
    del weights
    gc.collect()
    one = pixels[:1]
    result: dict[str, object] = {"torch": torch.__version__, "threads": torch.get_num_threads()}

    expected = ask_peer(peers["float32"], one, prompts[0], tokens, beams)
    answers = {
        name: ask_ours(each, one, prompts[:1], tokens, beams) for name, each in models.items()
    }
    result["equal token ids in float32"] = answers["float32"] == expected
    print(f"token ids in float32 equal: {answers['float32'] == expected}")
    for name, each in models.items():
        print(f"{name}: {stages(each, one, prompts[0], tokens)} ms", file=sys.stderr)

    sides: dict[str, Callable[[], object]] = {
        f"transformers {name}": lambda model=model: ask_peer(model, one, prompts[0], tokens, beams)  # type: ignore[misc]
        for name, model in peers.items()
    }
    sides |= {
        f"florence2 {name}": lambda model=model: ask_ours(model, one, prompts[:1], tokens, beams)  # type: ignore[misc]
        for name, model in models.items()
    }
    found = alternate(sides, arguments.repeats)
    result["one picture, one task"] = tell("one picture, one task", found, "transformers float32")

    # transformers takes ten times as long for ten tasks; two repeats of one of them stand for it.
    sides = {
        f"florence2 {name}": lambda model=model: ask_ours(model, one, prompts, tokens, beams)  # type: ignore[misc]
        for name, model in models.items()
    }
    ten = {"transformers float32": 10 * found["transformers float32"]}
    ten |= alternate(sides, max(1, arguments.repeats // 2))
    result["one picture, ten tasks"] = tell("one picture, ten tasks", ten, "transformers float32")

    if arguments.folder:
        result["folder"] = folder(arguments, peers, models, pixels, prompts[0])
    print(json.dumps(result))


def folder(
    arguments: argparse.Namespace,
    peers: dict[str, Florence2ForConditionalGeneration],
    models: dict[str, Florence2],
    pixels: torch.Tensor,
    prompt: torch.Tensor,
) -> dict[str, dict[str, float]]:
    tokens, beams = arguments.tokens, arguments.beams
    plain = options(tokens, beams)

    def theirs(pixels: torch.Tensor) -> None:
        for batch in pixels.split(arguments.batch):
            ask_peer(peers["bfloat16"], batch, prompt, tokens, beams)

    def our_turn(model: Florence2, pixels: torch.Tensor) -> None:
        images = []
        for picture in pixels.split(1):
            (image,) = model.runtime.encode_images(picture.numpy())
            images.append(EncodedImage((768, 768), image, model.name))
        model.engine.answer(Request(image, Task.OD, generation=plain) for image in images)

    turns: dict[str, Callable[[torch.Tensor], None]] = {"transformers bfloat16": theirs}
    for name in ("bfloat16", "int8"):
        turns[f"florence2 {name}"] = partial(our_turn, models[name])
    for turn in turns.values():  # a whole turn that does not count would take minutes
        turn(pixels[: arguments.batch])
    sides: dict[str, Callable[[], object]] = {
        name: partial(turn, pixels) for name, turn in turns.items()
    }
    title = f"folder of {len(pixels)} pictures"
    found = alternate(sides, max(1, arguments.repeats // 2), uncounted=0)
    return tell(title, found, "transformers bfloat16")


if __name__ == "__main__":
    main()
