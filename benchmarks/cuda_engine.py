"""The engine on CUDA against the engine on the CPU: the same answers, and how fast.

    python benchmarks/cuda_engine.py

Asks nano about the pictures in examples/, greedy and with three beams. Token ids in float32 should
be equal; what bounds a step on CUDA is launching its kernels, which captured graphs spare. The last
line of stdout is one JSON object.
"""

import argparse
import json
import time
from pathlib import Path

import torch

from florence2 import Florence2, GenerationOptions, Request
from florence2.results import Result

PICTURES = sorted((Path(__file__).parents[1] / "examples").glob("*.png"))
TASKS = ("od", "caption", "more_detailed_caption", "ocr", "region_proposal")
REPEATS = 5


def ask(model: Florence2, beams: int) -> list[tuple[int, ...]]:
    options = GenerationOptions(num_beams=beams, max_new_tokens=128)
    requests = [Request(path, task, generation=options) for path in PICTURES for task in TASKS]
    answers = list(model.run_many(requests, batch_size=len(requests)))
    return [answer.token_ids for answer in answers if isinstance(answer, Result)]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="nano")
    arguments = parser.parse_args()
    cpu = Florence2.load(arguments.model, "cpu", "float32")
    rows = {}
    for precision in ("float32", "bfloat16"):
        model = Florence2.load(arguments.model, "cuda", precision)  # type: ignore[arg-type]
        for beams in (1, 3):
            expected, found = ask(cpu, beams), ask(model, beams)
            equal = sum(one == other for one, other in zip(expected, found, strict=True))
            seconds = []
            for _ in range(REPEATS):
                model.engine.images.evict()
                started = time.perf_counter()
                ask(model, beams)
                torch.cuda.synchronize()
                seconds.append(time.perf_counter() - started)
            row = {"equal": equal, "of": len(found), "s": round(sorted(seconds)[REPEATS // 2], 3)}
            rows[f"{precision}, {beams} beams"] = row
            print(f"{precision}, {beams} beams: {row}", flush=True)
    print(json.dumps({"device": torch.cuda.get_device_name(), "torch": torch.__version__, **rows}))


if __name__ == "__main__":
    main()
