"""One reader of pages in a process of its own: the helper of benchmarks/reading.py.

    python benchmarks/page_reader.py tesseract [--threads 2] < paths.txt

Reads the path of a picture from each line of standard input, and answers with a line of JSON: the
`lines` that were read, each a text, a score or null, and four corners or null; the `seconds` that
it took; and the `peak_mb` of memory so far, of whatever process did the work. Before the first
one it says that it is ready. Imports nothing but what the reader needs, as rapidocr may live in
a virtual environment without this package.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any


class Florence2Reader:
    """This package, with the model loaded."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        from dataclasses import replace

        from florence2 import Florence2
        from florence2.documents.reading import read_picture
        from florence2.runtimes.pytorch.threads import set_threads

        set_threads(arguments.threads)
        self._model = Florence2.load(arguments.model)
        self._read = read_picture
        engine = self._model.engine
        given = {"rows": arguments.rows, "min_score": arguments.min_score}
        changed = {name: value for name, value in given.items() if value is not None}
        reading = replace(engine.defaults.reading, **changed)
        engine.defaults = replace(engine.defaults, reading=reading)

    def read(self, path: str) -> dict[str, Any]:
        """Lines in reading order, and those that are doubtful."""
        from PIL import Image

        page = self._read(self._model, Image.open(path))
        told = {"lines": page.lines, "doubtful": page.doubtful}
        return {
            key: [[line.text, line.score, line.quad.tolist()] for line in lines]
            for key, lines in told.items()
        }

    def peak_mb(self) -> float:
        return own_peak_mb()


class RapidOcrReader:
    """rapidocr as it comes, with its models loaded."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        from rapidocr import RapidOCR

        threads = "EngineConfig.onnxruntime.intra_op_num_threads"
        self._engine = RapidOCR(params={"Global.log_level": "error", threads: arguments.threads})

    def read(self, path: str) -> dict[str, Any]:
        """Lines in the order in which it answers them."""
        found = self._engine(path, use_det=True, use_cls=True, use_rec=True)
        rows = zip(found.txts or (), found.scores or (), strict=True)
        boxes = [] if found.boxes is None else found.boxes.tolist()
        return {
            "lines": [[text, float(score), box] for (text, score), box in zip(rows, boxes)]  # noqa: B905
        }

    def peak_mb(self) -> float:
        return own_peak_mb()


class CommandReader:
    """A command that reads one picture and writes plain text; it is started for each."""

    def __init__(self, command: list[str], threads: int) -> None:
        self._command = command
        self._environment = {
            **os.environ,
            "OMP_THREAD_LIMIT": str(threads),
            "OMP_NUM_THREADS": str(threads),
        }

    def read(self, path: str) -> dict[str, Any]:
        """Lines as they stand on standard output."""
        command = [path if word == "PAGE" else word for word in self._command]
        done = subprocess.run(command, capture_output=True, text=True, env=self._environment)
        if done.returncode:
            raise SystemExit(f"{command[0]} failed: {done.stderr.strip()[-300:]}")
        return {"lines": [[line, None, None] for line in done.stdout.splitlines() if line.strip()]}

    def peak_mb(self) -> float:
        return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * _RSS_BYTES / 1e6


_RSS_BYTES = 1 if sys.platform == "darwin" else 1024


def own_peak_mb() -> float:
    """Most memory that this process had at once (resident), without that of its parent."""
    status = Path("/proc/self/status")
    if status.exists():  # getrusage counts what the parent had when it started us
        for row in status.read_text(encoding="ascii", errors="replace").splitlines():
            if row.startswith("VmHWM:"):
                return int(row.split()[1]) * 1024 / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _RSS_BYTES / 1e6


def reader_of(arguments: argparse.Namespace) -> Any:
    """The reader that was asked for."""
    if arguments.reader == "florence2":
        return Florence2Reader(arguments)
    if arguments.reader == "rapidocr":
        return RapidOcrReader(arguments)
    commands = {
        "tesseract": ["tesseract", "PAGE", "stdout", "-l", "eng"],
        "florence2 read": [
            *(sys.executable, "-m", "florence2", "read", "PAGE", "--to", "text", "--quiet"),
            *("--model", arguments.model, "--threads", str(arguments.threads)),
        ],
    }
    return CommandReader(commands[arguments.reader], arguments.threads)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    readers = ("florence2", "tesseract", "rapidocr", "florence2 read")
    parser.add_argument("reader", choices=readers)
    parser.add_argument("--model", default="nano")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rows", type=int)
    parser.add_argument("--min-score", type=float)
    arguments = parser.parse_args()
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print is no answer
    reader = reader_of(arguments)
    print(json.dumps({"ready": True}), file=answers, flush=True)
    for line in sys.stdin:
        started = time.perf_counter()
        read = reader.read(line.rstrip("\n"))
        seconds = time.perf_counter() - started
        print(
            json.dumps({**read, "seconds": seconds, "peak_mb": reader.peak_mb()}),
            file=answers,
            flush=True,
        )


if __name__ == "__main__":
    main()
