"""What works with nothing but what an installation brings, and what without torch.

Processes cannot import other packages than those that pip would install, as far as the metadata
of the installed ones tells.
"""

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CORE, TRAIN = "florence2", "florence2[train]"
SCENE = str(ROOT / "examples" / "scene-1.png")
COMMANDS = ("run", "train", "eval", "calibrate", "bench", "doctor")
WITHOUT_TORCH = """
import sys
from florence2 import Boxes, Task, draw, format_answer, parse_answer
from florence2.data import open_dataset

boxes = parse_answer("fish<loc_1><loc_2><loc_300><loc_400>", Task.OD, (256, 256))
assert isinstance(boxes, Boxes) and boxes.labels == ("fish",)
assert format_answer(boxes, Task.OD) == "fish<loc_1><loc_2><loc_300><loc_400>"
(record, *_) = open_dataset(sys.argv[1])
draw(record.picture(), record.result)
assert "torch" not in sys.modules
"""

pytestmark = pytest.mark.process


@cache
def absent(requirement: str, without: tuple[str, ...] = ()) -> frozenset[str]:
    """Packages that can be imported here, and not where only the requirement was installed."""
    there = brought(requirement, without)
    owners = packages_distributions().items()
    return frozenset(name for name, of in owners if not there & set(map(canonicalize_name, of)))


def brought(requirement: str, without: Iterable[str]) -> set[str]:
    """Distributions that installing a requirement brings: what it needs, what that needs, ..."""
    seen: set[tuple[str, str]] = set()
    waiting = [Requirement(requirement)]
    while waiting:
        wanted = waiting.pop()
        name = canonicalize_name(wanted.name)
        for extra in ("", *wanted.extras):
            if (name, extra) not in seen and name not in without:
                seen.add((name, extra))
                waiting += needs(name, extra)
    return {name for name, _ in seen}


def needs(name: str, extra: str) -> Iterator[Requirement]:
    if name == "florence2":
        yield from map(Requirement, PROJECT["optional-dependencies"].get(extra, ()))
        yield from map(Requirement, () if extra else PROJECT["dependencies"])
        return
    for need in map(Requirement, requires(name) or ()):
        if need.marker is None or need.marker.evaluate({"extra": extra}):
            yield need


def python(absent: frozenset[str], *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run Python where some packages cannot be imported."""
    path = os.pathsep.join([str(ROOT / "tests" / "bare"), str(ROOT / "src")])
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": path, "ABSENT": " ".join(absent)},
        capture_output=True,
        text=True,
        timeout=600,
    )


def florence2(absent: frozenset[str], *arguments: object) -> str:
    """What a command prints."""
    done = python(absent, "-m", "florence2", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def coco(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scenes of `examples/` as a COCO file."""
    truth = json.loads((ROOT / "examples" / "truth.json").read_text())
    scenes = [(name, found) for name, found in truth.items() if name.startswith("scene")]
    labels = sorted({label for _, found in scenes for label in found["labels"]})
    images, annotations = [], []
    for number, (name, found) in enumerate(scenes, start=1):
        width, height = found["image_size"]
        file = str(ROOT / "examples" / name)
        images.append({"id": number, "file_name": file, "width": width, "height": height})
        for (left, top, right, bottom), label in zip(found["xyxy"], found["labels"], strict=True):
            box = {"image_id": number, "bbox": [left, top, right - left, bottom - top]}
            row = {"id": len(annotations) + 1, "category_id": labels.index(label) + 1}
            annotations.append(row | box)
    categories = [{"id": number, "name": name} for number, name in enumerate(labels, start=1)]
    path = tmp_path_factory.mktemp("coco") / "annotations.json"
    path.write_text(
        json.dumps({"images": images, "annotations": annotations, "categories": categories})
    )
    return path


def test_what_is_hidden_cannot_be_imported() -> None:
    hidden = absent(CORE)
    assert {"cv2", "transformers", "pytest"} <= hidden
    assert not hidden & {"florence2", "numpy", "PIL", "torch"}
    assert "No module named 'cv2'" in python(hidden, "-c", "import cv2").stderr
    assert "torch" in absent(CORE, without=("torch",))


def test_the_core_answers_and_draws(tmp_path: Path) -> None:
    (line,) = florence2(
        absent(CORE), "run", SCENE, "--task", "od", "--draw", tmp_path / "drawn"
    ).splitlines()
    assert json.loads(line)["result"]["labels"]
    assert (tmp_path / "drawn" / "scene-1.od.png").exists()


def test_the_core_explains_a_checkpoint() -> None:
    assert "It loads." in florence2(absent(CORE), "doctor", "nano")


def test_the_core_measures_on_coco(coco: Path, tiny_folder: Path) -> None:
    report = json.loads(florence2(absent(CORE), "eval", "--data", coco, "--model", tiny_folder))
    assert [(row["group"], row["count"]) for row in report["rows"]] == [("od", 6)]


def test_with_its_extra_training_on_coco_needs_no_more(
    coco: Path, tiny_folder: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    short = ("--steps", 2, "--batch-size", 4, "--workers", 0, "--device", "cpu")
    told = florence2(absent(TRAIN), "train", coco, "--model", tiny_folder, "--output", run, *short)
    assert "od_f1" in json.loads(told)["after"]
    assert (run / "curves.png").read_bytes().startswith(b"\x89PNG")


LAB = "florence2_lab"
WITHOUT = [  # what is typed, and what is said where its extra is absent
    pytest.param(("florence2", "eval", "--data", "{parquet}"), "florence2[parquet]", id="parquet"),
    pytest.param(
        ("florence2", "train", "{coco}", "--output", "{folder}/run", "--steps", 1),
        "florence2[train]",
        id="train",
    ),
    pytest.param(("florence2", "worlds", "build", "{folder}/k.zip"), "florence2[lab]", id="moved"),
    pytest.param((LAB, "worlds", "build", "{folder}/k.zip"), "florence2[lab]", id="build"),
    pytest.param(
        (LAB, "worlds", "preview", "k.zip", "--output", "{folder}/a.png"),
        "florence2[lab]",
        id="preview",
    ),
    pytest.param((LAB, "worlds", "export", "k.zip", "{folder}/a"), "florence2[lab]", id="export"),
    pytest.param((LAB, "worlds", "bake", "k.zip", "{folder}/a.zip"), "florence2[lab]", id="bake"),
    pytest.param((LAB, "eval", "--kit", "k.zip"), "florence2[lab]", id="eval of the lab"),
]


@pytest.mark.parametrize(("typed", "extra"), WITHOUT)
def test_what_needs_an_extra_names_it(
    typed: tuple[object, ...], extra: str, coco: Path, tmp_path: Path
) -> None:
    parquet = tmp_path / "a.parquet"
    parquet.write_bytes(b"PAR1")
    places = {"coco": coco, "parquet": parquet, "folder": tmp_path}
    done = python(absent(CORE), "-m", *(str(each).format(**places) for each in typed))
    assert done.returncode == 2
    assert extra in done.stderr.splitlines()[-1] and "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["run", "train", "eval", "calibrate", "bench"])
def test_what_needs_torch_names_it(command: str, coco: Path, tmp_path: Path) -> None:
    typed = {
        "run": [SCENE, "--task", "od"],
        "train": [coco, "--output", tmp_path / "run"],
        "eval": ["--data", coco],
        "calibrate": [coco, "--out", tmp_path / "c.json"],
    }.get(command, [])
    done = python(absent(CORE, without=("torch",)), "-m", "florence2", command, *typed)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].endswith(
        "'torch', which is not installed; pip install torch"
    )
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_needs_no_torch(command: str) -> None:
    asked = [command, "--help"] if command else ["--help"]
    assert "usage: florence2" in florence2(absent(CORE, without=("torch",)), *asked)


def test_the_doctor_tells_what_needs_no_torch() -> None:
    done = python(absent(CORE, without=("torch",)), "-m", "florence2", "doctor", "nano")
    assert done.returncode == 2, done.stderr
    assert "nano: a Florence-2 of size nano" in done.stdout
    assert "It does not load; 1 problem found." in done.stdout
    assert "problem: PyTorch is not installed" in done.stdout


def test_answers_data_and_drawings_need_no_torch(coco: Path) -> None:
    done = python(absent(CORE, without=("torch",)), "-c", WITHOUT_TORCH, coco)
    assert done.returncode == 0, done.stderr
