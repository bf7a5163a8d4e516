"""The model inside the package, on the pictures that the repository ships."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import Florence2ForConditionalGeneration as Oracle

from florence2 import Boxes, Florence2, GenerationOptions, Task, Text
from florence2.checkpoints import load_checkpoint, save_checkpoint
from florence2.checkpoints.sources import find_checkpoint
from florence2.cli.eval import load_predictor
from florence2.cli.main import build_parser, main
from florence2.cli.run import ABOUT_NANO
from florence2.data.records import Record
from florence2.evaluation.detection import count_all
from florence2.evaluation.predict import Predictor
from florence2.evaluation.text import character_error_rate
from florence2.model.cache import PromptCache

EXAMPLES = Path(__file__).parents[1] / "examples"
TASKS = (  # that find objects; in words, since the lab's table needs its own extra
    *(Task.OD, Task.DENSE_REGION_CAPTION, Task.REGION_PROPOSAL, Task.OPEN_VOCABULARY_DETECTION),
    *(Task.CAPTION_TO_PHRASE_GROUNDING, Task.REFERRING_EXPRESSION_SEGMENTATION),
)
MAX_WEIGHT_BYTES = 60_000_000
TRUTH = json.loads((EXAMPLES / "truth.json").read_text())


@pytest.fixture(scope="module")
def model() -> Florence2:
    return Florence2.load("nano", device="cpu")


def test_the_weights_are_small_enough_to_ship() -> None:
    (weights,) = find_checkpoint("nano").weights
    assert weights.stat().st_size <= MAX_WEIGHT_BYTES


def test_it_finds_and_names_objects_in_scenes_it_never_saw(model: Florence2) -> None:
    pairs = [
        (model.detect(EXAMPLES / name), Boxes.from_dict(truth))
        for name, truth in TRUTH.items()
        if truth["type"] == "boxes"
    ]
    assert len(pairs) >= 4
    assert count_all(pairs).f1 > 0.4  # chance is below 0.01


def test_it_reads_short_lines_in_fonts_it_never_saw(model: Florence2) -> None:
    options = GenerationOptions(num_beams=1, max_new_tokens=32)
    pairs = []
    for name, truth in TRUTH.items():
        if truth["type"] == "text":
            read = model.run(EXAMPLES / name, Task.OCR, generation=options)
            assert isinstance(read, Text)
            pairs.append((read.text, Text.from_dict(truth).text))
    assert len(pairs) >= 4
    assert character_error_rate(pairs) < 0.3


@pytest.mark.parametrize("task", list(Task), ids=lambda task: task.name)
def test_every_task_is_answered_within_its_grammar_or_counted(model: Florence2, task: Task) -> None:
    """Tasks that nano was not trained for may answer nonsense, which must not raise."""
    words = "a cat" if task.needs_text else ""
    region = (20, 20, 150, 150) if task.needs_region else None
    options = GenerationOptions(num_beams=1, max_new_tokens=40)
    result = model.run(EXAMPLES / "scene-1.png", task, words, region, options)
    assert result.malformed >= 0


def test_transformers_loads_it_and_computes_the_same(model: Florence2) -> None:
    folder = find_checkpoint("nano").folder
    oracle = Oracle.from_pretrained(folder, dtype=torch.float32).eval()
    pixels = torch.randn(1, 3, 128, 128, generator=torch.Generator().manual_seed(0))
    prompt = torch.tensor([model.processor.prompt_ids(Task.OD, "", None, (128, 128))])
    answer = torch.tensor([[2, 0, 30, 40]])
    with torch.inference_mode():
        network = model.runtime.model
        image_tokens = network.encode_image(pixels)
        places = torch.full((1, image_tokens.shape[1]), oracle.config.image_token_id)
        theirs = oracle(
            input_ids=torch.cat((places, prompt), dim=1),
            pixel_values=pixels,
            decoder_input_ids=answer,
        ).logits
        ours = network.decode_with(answer, PromptCache(network.encode(image_tokens, prompt)))
    assert (ours - theirs).abs().max() < 2e-4


def test_the_command_line_uses_it_by_default(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    picture = EXAMPLES / "scene-1.png"
    assert main(["run", str(picture), "--task", "od", "--draw", str(tmp_path)]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["model"] == "nano"
    assert (tmp_path / "scene-1.od.png").exists()


def test_its_thresholds_were_made_for_its_weights(model: Florence2) -> None:
    """Else nothing is left out: python scripts/calibrate_nano.py makes them again."""
    defaults = model.engine.defaults
    assert defaults.fingerprint == model.fingerprint, "run scripts/calibrate_nano.py"
    assert set(defaults.min_scores) == set(TASKS)
    assert all(least > 0 for least in defaults.min_scores.values())
    assert {each.task for each in defaults.calibrations} <= set(TASKS)


def test_of_pictures_that_are_no_scenes_it_leaves_out_what_it_made_up(model: Florence2) -> None:
    """Blurred noise stands for photographs, which the repository does not hold."""
    rng = np.random.default_rng(3)
    found: dict[float | None, int] = {None: 0, 0.0: 0}
    for number in range(6):
        cells = rng.integers(0, 255, (6 + 5 * number, 9, 3), dtype=np.uint8)
        picture = Image.fromarray(cells).resize((320, 240), Image.Resampling.BICUBIC)
        for least in found:
            found[least] += len(model.detect(picture, min_score=least).labels)
    assert found[0.0] >= 6
    assert found[None] <= found[0.0] / 2


def test_what_is_left_of_its_own_scenes_is_rather_right_than_wrong(model: Florence2) -> None:
    scenes = {
        name: Boxes.from_dict(each) for name, each in TRUTH.items() if each["type"] == "boxes"
    }
    kept = count_all([(model.detect(EXAMPLES / name), truth) for name, truth in scenes.items()])
    every = count_all(
        [(model.detect(EXAMPLES / name, min_score=0), truth) for name, truth in scenes.items()]
    )
    assert kept.precision is not None and every.precision is not None
    assert kept.precision >= max(0.5, every.precision)


@pytest.mark.parametrize(
    ("flags", "is_told"),
    [
        pytest.param(["--task", "od"], True, id="objects"),
        pytest.param(["--task", "caption"], True, id="words"),
        pytest.param(["--cascade", "describe"], True, id="chain"),
        pytest.param(["--task", "ocr"], False, id="reading"),
        pytest.param(["--cascade", "layout"], False, id="reading a page"),
        pytest.param(["--task", "od", "--model", "nano"], False, id="named"),
        pytest.param(["--task", "od", "--quiet"], False, id="quiet"),
    ],
)
def test_who_did_not_choose_it_is_told_what_it_is(
    capsys: pytest.CaptureFixture[str], flags: list[str], is_told: bool
) -> None:
    picture = str(EXAMPLES / "scene-1.png")
    assert main(["run", picture, picture, "--device", "cpu", *flags]) == 0
    stderr = capsys.readouterr().err
    assert stderr == (f"florence2: {ABOUT_NANO}\n" if is_told else "")


def test_the_command_line_shows_all_that_it_found_if_asked(
    capsys: pytest.CaptureFixture[str], model: Florence2
) -> None:
    picture = EXAMPLES / "scene-1.png"
    assert main(["run", str(picture), "--task", "od", "--device", "cpu", "--min-score", "0"]) == 0
    told = json.loads(capsys.readouterr().out)["result"]
    assert told["labels"] == list(model.detect(picture, min_score=0).labels)


def test_what_is_measured_is_all_that_it_found(model: Florence2) -> None:
    """`florence2 eval` and `calibrate` ask as nobody asks: without calibration or threshold."""
    arguments = build_parser().parse_args(["eval", "--data", "x", "--device", "cpu"])
    _, predictor = load_predictor(arguments, None)
    truth = Boxes([], [], image_size=(1, 1))
    record = Record(str(EXAMPLES / "scene-1.png"), Task.OD, "", None, truth, "")
    (measured,) = predictor.answer([record])
    plain = Florence2.load("nano", device="cpu", calibration=None)
    greedy = replace(plain.generation, num_beams=1)
    assert measured == replace(
        plain.run(EXAMPLES / "scene-1.png", "od", generation=greedy), picture=None
    )
    with_defaults = Predictor(model.engine, greedy, None)
    assert with_defaults.answer([record])[0].token_ids == measured.token_ids
    assert len(with_defaults.answer([record])[0].labels) == len(measured.labels)


def test_a_copy_of_its_folder_answers_the_same_and_a_fine_tune_has_no_thresholds(
    model: Florence2, tmp_path: Path
) -> None:
    folder = shutil.copytree(find_checkpoint("nano").folder, tmp_path / "copy")
    copied = Florence2.load(str(folder), device="cpu")
    assert copied.detect(EXAMPLES / "scene-2.png") == model.detect(EXAMPLES / "scene-2.png")
    assert copied.engine.defaults.min_scores == model.engine.defaults.min_scores
    loaded = load_checkpoint(folder)
    with torch.no_grad():
        loaded.model.shared.weight[0, 0] += 1
    tuned = save_checkpoint(loaded.model, folder, tokenizer=loaded.tokenizer)  # over the old ones
    assert not Florence2.load(str(tuned), device="cpu").engine.defaults.min_scores
