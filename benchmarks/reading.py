"""How well are whole pages read, and how fast? nano, Tesseract and rapidocr side by side.

    python scripts/fetch_manuals.py MANUALS
    python benchmarks/reading.py KIT.zip --manuals MANUALS --real TESSERACT_TEST/ --pages PAGES/ \\
        --rapidocr VENV/bin/python

Kinds of pages: receipts, forms and web pages that Chromium lays out in fonts, texts and layouts
that training never sees (receipts and forms as scans show them, some faded or in dots), manuals at
100, 150 and 200 dpi, the same pages as photographs, and a real scan from Tesseract's test images.
They are made once and kept in PAGES/; `--seed` and `--count` choose them.

Words are what stands between blanks, in compatibility form (NFKC) with plain quotes and dashes;
those without a letter or digit, such as bullets and dots that lead to a page number, do not count.
Words of a page are compared as multisets, wherever they stand, all pages of a kind together;
"letters" is F1 without punctuation at their ends. CER is edits for each true character of a page in
reading order, so that a text in another order counts as wrong.

Every reader has a process of its own and `--threads`; they read each page in turn. Seconds a page
are medians: of a loaded model for florence2 and rapidocr, of its command for Tesseract, which has
nothing to keep. "command" is from the shell to the text of one page: `florence2 read`, `tesseract`,
and for rapidocr its start and one page. MB is the most resident memory. What is not installed is
left out and said. Prints two tables as Markdown, the second one of florence2's words: where those
are lost that it does not read, and F1 at thresholds; `--show 20` prints words that were misread,
`--output FILE` keeps all answers as JSON lines.
"""

import argparse
import datetime
import importlib.metadata
import json
import platform
import re
import statistics
import subprocess
import sys
import time
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from shutil import which
from typing import Any

import cv2
import numpy as np
from rapidfuzz.distance import Levenshtein
from reading_pages import KINDS, KnownPage, Material, known_pages

from florence2.errors import DataError
from florence2.geometry import Array
from florence2.pipelines.reading.find_lines import find_lines

THRESHOLDS = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9)
COVERED = 0.7  # of the middle of a word, by lines: it was found
MAX_HEIGHT = 2.2  # of such a line, in heights of the word; taller ones are several lines as one
_PLAIN = str.maketrans(
    dict.fromkeys("‘’‚‛`´′", "'") | dict.fromkeys("“”„‟″", '"') | dict.fromkeys("‐‑‒–—―−", "-")
)
_SIGNS = re.compile(r"^\W+|\W+$")


# -- words


def words_of(text: str) -> list[str]:
    """The words of a text that count."""
    plain = unicodedata.normalize("NFKC", text.translate(_PLAIN)).translate(_PLAIN)
    return [word for word in plain.split() if any(map(str.isalnum, word))]


def bare(words: Iterable[str]) -> list[str]:
    """Words without punctuation at their ends."""
    return [_SIGNS.sub("", word) for word in words]


@dataclass
class Tally:
    """Words that were read, over some pages."""

    true: int = 0
    read: int = 0
    right: int = 0

    def add(self, truth: Sequence[str], read: Sequence[str]) -> None:
        self.true += len(truth)
        self.read += len(read)
        self.right += (Counter(truth) & Counter(read)).total()

    @property
    def recall(self) -> float:
        return self.right / max(1, self.true)

    @property
    def precision(self) -> float:
        return self.right / max(1, self.read)

    @property
    def f1(self) -> float:
        return 2 * self.right / max(1, self.true + self.read)


@dataclass
class Scores:
    """What one reader made of the pages of a kind."""

    words: Tally = field(default_factory=Tally)
    letters: Tally = field(default_factory=Tally)
    edits: int = 0
    characters: int = 0
    seconds: list[float] = field(default_factory=list)
    command: list[float] = field(default_factory=list)
    peak_mb: float = 0.0
    missing: Counter[str] = field(default_factory=Counter)
    invented: Counter[str] = field(default_factory=Counter)

    def add(self, page: KnownPage, answer: dict[str, Any]) -> None:
        truth = words_of(" ".join(page.words))
        read = words_of(" ".join(text for text, *_ in answer["lines"]))
        self.words.add(truth, read)
        self.letters.add(bare(truth), bare(read))
        self.edits += Levenshtein.distance(" ".join(truth), " ".join(read))
        self.characters += len(" ".join(truth))
        self.seconds.append(answer["seconds"])
        self.peak_mb = max(self.peak_mb, answer["peak_mb"])
        self.missing += Counter(truth) - Counter(read)
        self.invented += Counter(read) - Counter(truth)

    def row(self, kind: str, pages: int, name: str) -> str:
        seconds = statistics.median(self.seconds)
        command = f"{statistics.median(self.command):.1f}" if self.command else "-"
        cer = self.edits / max(1, self.characters)
        return (
            f"| {kind} ({pages}) | {name} | {self.words.recall:.3f} | {self.words.precision:.3f} |"
            f" {self.words.f1:.3f} | {self.letters.f1:.3f} | {cer:.3f} |"
            f" {seconds:.1f} | {command} | {self.peak_mb:.0f} |"
        )


@dataclass
class Losses:
    """Where florence2 loses words: the lines were not found, are doubtful, or were misread."""

    true: int = 0
    not_found: int = 0
    doubtful: int = 0
    misread: int = 0
    by_threshold: dict[float, Tally] = field(
        default_factory=lambda: {least: Tally() for least in THRESHOLDS}
    )

    def add(self, page: KnownPage, answer: dict[str, Any]) -> None:
        truth = words_of(" ".join(page.words))
        every = [*answer["lines"], *answer["doubtful"]]
        for least, tally in self.by_threshold.items():
            sure = [text for text, score, _ in every if score is None or score >= least]
            tally.add(truth, words_of(" ".join(sure)))
        if page.quads is None:
            return
        found = covered(page, [line.quad for line in find_lines(_grey(page))])
        told = covered(page, [np.array(quad) for _, _, quad in answer["lines"]])
        read = Counter(words_of(" ".join(text for text, *_ in answer["lines"])))
        # Of equal words those stand for the ones that were read that can have been.
        for row in np.argsort(~told, kind="stable"):
            for word in words_of(page.words[row]):
                self.true += 1
                if read[word] > 0:
                    read[word] -= 1
                elif not found[row]:
                    self.not_found += 1
                elif not told[row]:
                    self.doubtful += 1
                else:
                    self.misread += 1

    def row(self, kind: str) -> str:
        shares = [
            f"{lost / self.true:.3f}" if self.true else "-"
            for lost in (self.not_found, self.doubtful, self.misread)
        ]
        scores = [f"{tally.f1:.3f}" for tally in self.by_threshold.values()]
        return f"| {' | '.join([kind, *shares, *scores])} |"


def covered(page: KnownPage, quads: Sequence[Array]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Which words of a page lie in lines of their own height, by the middle of their boxes."""
    assert page.quads is not None, "places of the words are known"
    height, width = page.picture.shape[:2]
    heights = np.zeros((height, width), np.float32)
    for quad in quads:
        tall = float(np.linalg.norm(quad[3] - quad[0]))
        cv2.fillConvexPoly(heights, quad.round().astype(np.int32), tall)
    shares = []
    for quad in page.quads:
        middle = quad.mean(axis=0) + (quad - quad.mean(axis=0)) / 2
        (left, top), (right, bottom) = (
            middle.min(axis=0).astype(int),
            middle.max(axis=0).astype(int),
        )
        part = heights[max(0, top) : bottom + 1, max(0, left) : right + 1]
        tall = MAX_HEIGHT * float(np.linalg.norm(quad[3] - quad[0]))
        shares.append(float(((part > 0) & (part <= tall)).mean()) if part.size else 0.0)
    return np.array(shares) >= COVERED


def _grey(page: KnownPage) -> np.ndarray[Any, Any]:
    return cv2.cvtColor(page.picture, cv2.COLOR_RGB2GRAY)


# -- readers


class Reader:
    """A reader of pages in a process of its own; use it as a context."""

    def __init__(self, python: str, name: str, arguments: argparse.Namespace) -> None:
        given = ["--model", arguments.model, "--threads", str(arguments.threads)]
        if arguments.rows is not None:
            given += ["--rows", str(arguments.rows)]
        if arguments.min_score is not None:
            given += ["--min-score", str(arguments.min_score)]
        script = str(Path(__file__).with_name("page_reader.py"))
        self._process = subprocess.Popen(
            [python, script, name, *given],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if name == "rapidocr" else None,
            text=True,
        )
        self._name = name
        self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None, "it is a pipe"
        line = self._process.stdout.readline()
        if not line:
            _, told = self._process.communicate()
            raise DataError(
                f"{self._name} ended before it answered: {(told or 'see above')[-300:]}"
            )
        answer: dict[str, Any] = json.loads(line)
        return answer

    def read(self, file: Path) -> dict[str, Any]:
        assert self._process.stdin is not None, "it is a pipe"
        self._process.stdin.write(f"{file}\n")
        self._process.stdin.flush()
        return self._answer()

    def __enter__(self) -> "Reader":
        return self

    def __exit__(self, *error: object) -> None:
        self._process.communicate()


def installed_readers(arguments: argparse.Namespace) -> dict[str, str]:
    """The readers that there are, and the Python of each; those that are not are told."""
    readers = {"florence2": sys.executable}
    if which("tesseract"):
        readers["tesseract"] = sys.executable
    else:
        print(
            "left out: 'tesseract' is not installed; apt-get install tesseract-ocr", file=sys.stderr
        )
    python = arguments.rapidocr or sys.executable
    if subprocess.run([python, "-c", "import rapidocr"], capture_output=True).returncode == 0:
        readers["rapidocr"] = python
    else:
        print(
            f"left out: rapidocr is not installed for {python}; pip install rapidocr onnxruntime",
            file=sys.stderr,
        )
    chosen = arguments.readers.split(",") if arguments.readers else list(readers)
    return {name: python for name, python in readers.items() if name in chosen}


def whole_command(python: str, name: str, file: Path, arguments: argparse.Namespace) -> float:
    """Seconds from the shell to the text of a page."""
    if name == "rapidocr":
        started = time.perf_counter()
        with Reader(python, name, arguments) as reader:
            reader.read(file)
            return time.perf_counter() - started
    with Reader(python, "florence2 read" if name == "florence2" else name, arguments) as reader:
        return float(reader.read(file)["seconds"])


def versions(readers: dict[str, str]) -> str:
    """What was compared."""
    told = [f"florence2 {importlib.metadata.version('florence2')}"]
    if "tesseract" in readers:
        done = subprocess.run(["tesseract", "--version"], capture_output=True, text=True)
        told.append(done.stdout.split("\n", 1)[0])
    if "rapidocr" in readers:
        ask = "import importlib.metadata as m; print('rapidocr', m.version('rapidocr'))"
        done = subprocess.run([readers["rapidocr"], "-c", ask], capture_output=True, text=True)
        told.append(done.stdout.strip())
    return ", ".join(told)


# -- the tables


def measured(
    kind: str,
    pages: Sequence[tuple[Path, KnownPage]],
    readers: dict[str, str],
    arguments: argparse.Namespace,
) -> tuple[dict[str, Scores], Losses]:
    """Let every reader read the pages of a kind, in turn."""
    scores = {name: Scores() for name in readers}
    losses = Losses()
    running = {name: Reader(python, name, arguments) for name, python in readers.items()}
    try:
        for number, (file, page) in enumerate(pages):
            order = list(running)
            order = order[number % len(order) :] + order[: number % len(order)]
            for name in order:
                answer = running[name].read(file)
                scores[name].add(page, answer)
                if name == "florence2":
                    losses.add(page, answer)
                if arguments.output:
                    told = {"kind": kind, "page": page.source, "reader": name, **answer}
                    with arguments.output.open("a", encoding="utf-8") as out:
                        out.write(json.dumps(told, ensure_ascii=False) + "\n")
                print(f"{kind}: {page.source}, {name}: {answer['seconds']:.1f} s", file=sys.stderr)
    finally:
        for reader in running.values():
            reader.__exit__()
    for file, _ in pages[: arguments.commands]:
        for name, python in readers.items():
            scores[name].command.append(whole_command(python, name, file, arguments))
    return scores, losses


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("kit", type=Path)
    parser.add_argument("--manuals", type=Path, metavar="DIR", help="of scripts/fetch_manuals.py")
    parser.add_argument("--real", type=Path, metavar="DIR", help="Tesseract's test images")
    parser.add_argument("--pages", type=Path, required=True, metavar="DIR", help="keeps the pages")
    parser.add_argument("--count", type=int, default=10, help="pages of each kind (default 10)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", metavar="K;K", help=f"some of: {'; '.join(KINDS)}")
    parser.add_argument("--readers", metavar="R,R", help="some of florence2,tesseract,rapidocr")
    parser.add_argument("--model", default="nano", help="of florence2 (default nano)")
    parser.add_argument("--rows", type=int, help="pieces in a picture (default: the model's)")
    parser.add_argument("--min-score", type=float, help="of lines (default: the model's)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--commands", type=int, default=1, help="pages for whole commands (1)")
    parser.add_argument("--rapidocr", metavar="PYTHON", help="that has rapidocr (default: this)")
    parser.add_argument("--show", type=int, default=0, metavar="N", help="words that were misread")
    parser.add_argument("--output", type=Path, metavar="FILE", help="answers, as JSON lines")
    arguments = parser.parse_args()
    kinds = [kind.strip() for kind in arguments.kinds.split(";")] if arguments.kinds else KINDS
    material = Material(arguments.kit, arguments.manuals, arguments.real)
    readers = installed_readers(arguments)
    if arguments.output:
        arguments.output.unlink(missing_ok=True)
    rows, lost, shown = [], [], []
    for kind in kinds:
        try:
            pages = known_pages(kind, material, arguments.pages, arguments.count, arguments.seed)
        except DataError as error:
            print(f"left out: {kind}: {error}", file=sys.stderr)
            continue
        scores, losses = measured(kind, pages, readers, arguments)
        for name, each in scores.items():
            rows.append(each.row(kind, len(pages), name))
            for what, words in (("missing", each.missing), ("invented", each.invented)):
                some = " ".join(word for word, _ in words.most_common(arguments.show))
                shown.append(f"{kind}, {name}, {what}: {some}")
        if "florence2" in readers:
            lost.append(losses.row(kind))
        print(*rows[-len(readers) :], sep="\n", file=sys.stderr)
    today = datetime.date.today().isoformat()
    print(f"{today}, {versions(readers)}, model {arguments.model}, seed {arguments.seed}, ")
    print(f"{arguments.threads} threads, {platform.machine()}, {cpu_name()}\n")
    print(
        "| pages | reader | recall | precision | F1 | letters | CER | s a page | command, s | MB |"
    )
    print(f"|---|---|{'---:|' * 8}", *rows, sep="\n")
    if lost:
        heads = ["not found", "doubtful", "misread", *(f"F1 at {least:g}" for least in THRESHOLDS)]
        print(f"\n| words of florence2 | {' | '.join(heads)} |\n|---|{'---:|' * len(heads)}")
        print(*lost, sep="\n")
    if arguments.show:
        print("", *shown, sep="\n")


def cpu_name() -> str:
    """The processor, as far as the system tells."""
    path = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*:\s*(.+)", path.read_text()) if path.exists() else None
    return found[1].strip() if found else platform.processor()


if __name__ == "__main__":
    main()
