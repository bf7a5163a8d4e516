"""What answers can be trusted by, at the published sizes: random weights, 768 pixels, once."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from florence2 import (
    Boxes,
    Florence2,
    GenerationOptions,
    Mixed,
    Request,
    Task,
    Tiles,
)
from florence2.answers.calibration import Calibration, Curve
from florence2.evaluation.speed import RANDOM, open_model
from florence2.pipelines.regions import run_regions
from florence2.pipelines.tiling.run import run_tiled
from florence2.runtimes.pytorch.packed.linears import can_quantize

# With `<s>` only once and no early end, random weights have to write an object.
SHORT = GenerationOptions(
    num_beams=1,
    max_new_tokens=16,
    min_new_tokens=12,
    no_repeat_ngram_size=0,
    end_loops=True,
    grammar=True,
)
SIZE = (1100, 780)
CLASSES = "a car<and>dog"
LEVEL = Curve((0.5,), (0.25,))  # says 0.25 of everything


@pytest.mark.slow
@pytest.mark.parametrize("name", RANDOM)
def test_tiles_presence_calibration_and_regions_at_full_size(name: str) -> None:
    opened = open_model(name, "int8" if can_quantize() else "bfloat16", "cpu")
    calibration = Calibration(name, "", Task.OPEN_VOCABULARY_DETECTION, {"scores": LEVEL})
    model = Florence2(
        opened.runtime, opened.processor, name=name, generation=SHORT, calibrations=[calibration]
    )
    assert model.processor.image_side == 768
    pixels = np.random.default_rng(0).integers(0, 256, (13, 18, 3), np.uint8)
    picture = Image.fromarray(pixels).resize(SIZE, Image.Resampling.BICUBIC)

    asked = Request(picture, Task.OPEN_VOCABULARY_DETECTION, CLASSES)
    tiles = Tiles(grid=(2, 1), whole=False)
    once = run_tiled(model.engine, asked, replace(tiles, verify=False))
    assert isinstance(once, Mixed)
    assert once.image_size == SIZE and once.malformed == 0
    labels = {*once.boxes.labels, *once.polygons.labels}
    assert labels and labels <= {"a car", "dog"}
    assert {*(once.boxes.scores or ())} <= {0.25}
    proposed = run_tiled(model.engine, Request(picture, Task.REGION_PROPOSAL), tiles)
    assert isinstance(proposed, Boxes) and proposed.malformed == 0

    seen = model.encode_image(picture)
    found = model.run(seen, Task.OPEN_VOCABULARY_DETECTION, CLASSES, min_presence=1.0)
    assert isinstance(found, Mixed)
    assert found.boxes.labels == found.polygons.labels == ()
    assert [phrase for phrase, _ in found.boxes.absent] == ["a car", "dog"]

    regions = [(0, 0, 300, 300), (200, 100, 1000, 700), (5, 5, 9, 9)]
    told = run_regions(model.engine, Request(seen, Task.REGION_TO_SEGMENTATION), regions)
    assert len(told) == len(regions)
    assert all(each.image_size == SIZE and each.malformed == 0 for each in told)
    assert torch.isfinite(seen.image_tokens.tokens_1ID).all()
