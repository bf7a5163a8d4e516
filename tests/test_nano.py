"""The model inside the package, on the pictures that the repository ships."""

import json
from pathlib import Path

import pytest
import torch
from transformers import Florence2ForConditionalGeneration as Oracle

from florence2 import Boxes, Florence2, GenerationOptions, Task, Text
from florence2.checkpoints.sources import find_checkpoint
from florence2.cli.main import main
from florence2.evaluation.detection import count_all
from florence2.evaluation.text import character_error_rate
from florence2.model.cache import PromptCache

EXAMPLES = Path(__file__).parents[1] / "examples"
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
