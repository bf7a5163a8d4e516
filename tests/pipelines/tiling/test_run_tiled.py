"""Asking through tiles, on a tiny model of random weights: every task, every kind of answer."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from florence2 import (
    Boxes,
    Florence2,
    GenerationOptions,
    ImageError,
    Mixed,
    Polygons,
    Quads,
    Request,
    Task,
    TaskError,
    Text,
    Tiles,
)
from florence2.pipelines.regions import run_regions
from florence2.pipelines.tiling.grid import Tile, window
from florence2.pipelines.tiling.merge import boxes_of, translated
from florence2.pipelines.tiling.run import run_tiled
from florence2.results import RESULT_TYPES, Result
from watched_engine import ALONE, WatchedEngine

SHORT = GenerationOptions(num_beams=1, max_new_tokens=12, grammar=True)
WIDTH, HEIGHT = 90, 50  # of pictures that the model sees as 32 x 32


@pytest.fixture(scope="module")
def model(tiny_folder: Path) -> Florence2:
    """What runs beside a request changes its last digits, and random weights have near ties."""
    loaded = Florence2.load(str(tiny_folder), device="cpu")
    return Florence2(
        loaded.runtime, loaded.processor, name=loaded.name, generation=SHORT, limits=ALONE
    )


@pytest.fixture(scope="module")
def noise() -> Image.Image:
    pixels = np.random.default_rng(1).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    return Image.fromarray(pixels)


def request(image: Image.Image, task: Task) -> Request:
    words = "a car" if task.needs_text else ""
    return Request(image, task, words, (30, 10, 70, 40) if task.needs_region else None)


def points(result: Result) -> np.ndarray:
    """All coordinates of a result, `(N, 2)`."""
    match result:
        case Boxes():
            return result.xyxy.reshape(-1, 2)
        case Quads():
            return result.quads.reshape(-1, 2)
        case Polygons():
            parts = [part for instance in result.polygons for part in instance]
            return np.concatenate([np.empty((0, 2)), *parts])
        case Mixed():
            return np.concatenate([points(result.boxes), points(result.polygons)])
    return np.empty((0, 2))


@pytest.mark.parametrize("task", list(Task), ids=lambda task: task.name)
def test_every_task_answers_in_its_own_type_within_the_picture(
    model: Florence2, noise: Image.Image, task: Task
) -> None:
    result = run_tiled(model.engine, request(noise, task))
    assert type(result) is RESULT_TYPES[task.answer_kind]
    assert result.image_size == (WIDTH, HEIGHT)
    assert result.malformed == 0
    found = points(result)
    assert (found >= 0).all() and (found <= (WIDTH, HEIGHT)).all()


def test_objects_are_found_outside_the_first_tile(model: Florence2, noise: Image.Image) -> None:
    found = run_tiled(model.engine, Request(noise, Task.REGION_PROPOSAL), Tiles(whole=False))
    assert isinstance(found, Boxes)
    assert found.xyxy[:, 2].max() > 58  # the last column of tiles starts there
    assert found.scores is not None and None not in found.scores


@pytest.mark.parametrize("task", [Task.OD, Task.OCR, Task.OCR_WITH_REGION, Task.CAPTION])
def test_a_small_picture_is_asked_as_always(model: Florence2, task: Task) -> None:
    small = Image.new("RGB", (30, 20), "navy")
    assert run_tiled(model.engine, Request(small, task)) == model.run(small, task)


def test_a_caption_is_of_the_whole_picture(model: Florence2, noise: Image.Image) -> None:
    assert run_tiled(model.engine, Request(noise, Task.CAPTION)) == model.run(noise, Task.CAPTION)


def test_tiles_are_answered_side_by_side(model: Florence2, noise: Image.Image) -> None:
    """Side by side they answer as one by one, so only the calls can tell."""
    watched = WatchedEngine(model, SHORT)
    tiled = run_tiled(watched, Request(noise, Task.OD), Tiles(grid=(3, 2)), batch_size=4)
    assert len(watched.batches[0]) == 7  # six tiles and the whole picture
    assert len(watched.batches) == 2  # then the windows
    one_by_one = run_tiled(model.engine, Request(noise, Task.OD), Tiles(grid=(3, 2)), batch_size=1)
    assert tiled.labels == one_by_one.labels


@pytest.mark.parametrize("task", [Task.REGION_PROPOSAL, Task.REFERRING_EXPRESSION_SEGMENTATION])
def test_objects_are_what_a_crop_around_them_shows(
    model: Florence2, noise: Image.Image, task: Task
) -> None:
    once = run_tiled(model.engine, request(noise, task), Tiles(verify=False))
    twice = run_tiled(model.engine, request(noise, task))
    told = []
    for box in boxes_of(once):
        place = window(box, noise.size, model.processor.image_side)
        told += boxes_of(
            translated(
                model.run(noise.crop(place), task, request(noise, task).text_input),
                Tile(place),
                noise.size,
            )
        ).tolist()
    assert len(boxes_of(once))
    assert all(any(np.allclose(box, each) for each in told) for box in boxes_of(twice))


@pytest.mark.parametrize("verify", [False, True])
def test_what_no_tile_holds_is_told_absent_once(
    model: Florence2, noise: Image.Image, verify: bool
) -> None:
    writing = replace(SHORT, min_new_tokens=10)
    asked = Request(noise, Task.OPEN_VOCABULARY_DETECTION, "a car<and>dog", generation=writing)
    tiles = Tiles(verify=verify)
    found = run_tiled(model.engine, asked, tiles)
    nothing = run_tiled(model.engine, replace(asked, min_presence=1.0), tiles)
    assert isinstance(found, Mixed) and isinstance(nothing, Mixed)
    assert found.boxes.labels and not found.boxes.absent
    assert not nothing.boxes.labels and not nothing.polygons.labels
    assert [phrase for phrase, _ in nothing.boxes.absent] == ["a car", "dog"]
    best = model.presence(noise, ["a car", "dog"])
    told = [score for _, score in nothing.boxes.absent]
    assert all(score >= least - 1e-3 for score, least in zip(told, best, strict=True))


def test_lines_are_not_verified(model: Florence2, noise: Image.Image) -> None:
    watched = WatchedEngine(model, SHORT)
    run_tiled(watched, Request(noise, Task.OCR_WITH_REGION))
    assert len(watched.batches) == 1


def test_tiles_of_one_colour_are_not_asked(model: Florence2, noise: Image.Image) -> None:
    """Models read words from empty paper; a page is mostly that."""
    page = Image.new("RGB", (128, 50), "white")
    page.paste(noise.crop((0, 0, 20, 50)))
    watched = WatchedEngine(model, SHORT)
    run_tiled(watched, Request(page, Task.OCR_WITH_REGION), Tiles(grid=(4, 1)))
    assert list(map(len, watched.batches)) == [1]
    empty = Image.new("RGB", (128, 50), "white")
    assert run_tiled(model.engine, Request(empty, Task.OD), Tiles(grid=(4, 1))) == model.run(
        empty, Task.OD
    )


def test_weak_objects_are_left_out_after_merging(model: Florence2, noise: Image.Image) -> None:
    every = run_tiled(model.engine, Request(noise, Task.OD))
    assert isinstance(every, Boxes) and every.scores
    middle = float(np.median([score for score in every.scores if score is not None]))
    kept = run_tiled(model.engine, Request(noise, Task.OD, min_score=middle))
    assert kept == every.with_min_score(middle)
    assert 0 < len(kept.labels) < len(every.labels)


def test_an_encoded_image_cannot_be_cut(model: Florence2, noise: Image.Image) -> None:
    with pytest.raises(TaskError, match="give the picture"):
        run_tiled(model.engine, Request(model.encode_image(noise), Task.OD))


def test_many_regions_answer_like_each_alone(model: Florence2, noise: Image.Image) -> None:
    regions = [(0, 0, 40, 30), (30, 10, 70, 40), (60, 20, 90, 50)]
    asked = Request(noise, Task.REGION_TO_CATEGORY)
    together = run_regions(model.engine, asked, regions)
    alone = [model.run(noise, Task.REGION_TO_CATEGORY, region=region) for region in regions]
    assert [each.answer for each in together] == [each.answer for each in alone]
    assert run_regions(model.engine, asked, []) == []


def test_many_regions_encode_their_picture_once(model: Florence2, noise: Image.Image) -> None:
    watched = WatchedEngine(model, SHORT)
    run_regions(watched, Request(noise, Task.REGION_TO_OCR), [(0, 0, 9, 9)] * 5)
    assert watched.num_encoded == 1


def test_a_region_is_asked_in_its_window(model: Florence2, noise: Image.Image) -> None:
    region = (60, 30, 70, 40)
    place = window(region, noise.size, 32)
    assert place == (49, 18, 81, 50)
    inside = model.run(noise.crop(place), Task.REGION_TO_SEGMENTATION, region=(11, 12, 21, 22))
    (found,) = run_regions(
        model.engine, Request(noise, Task.REGION_TO_SEGMENTATION), [region], windows=True
    )
    assert isinstance(found, Polygons) and isinstance(inside, Polygons)
    assert found.image_size == noise.size
    assert np.allclose(points(found), points(inside) + np.array([49, 18]))


@pytest.mark.parametrize("windows", [False, True])
def test_a_region_outside_the_picture_is_refused(
    model: Florence2, noise: Image.Image, windows: bool
) -> None:
    asked = Request(noise, Task.REGION_TO_OCR)
    with pytest.raises(TaskError, match="inside the picture of 90 x 50 pixels"):
        run_regions(model.engine, asked, [(0, 0, 10, 10), (0, 0, 100, 10)], windows=windows)


def test_tasks_without_regions_take_none(model: Florence2, noise: Image.Image) -> None:
    with pytest.raises(TaskError, match="takes no regions"):
        run_regions(model.engine, Request(noise, Task.OD), [(0, 0, 10, 10)])
    with pytest.raises(TaskError, match="needs a region"):
        run_tiled(model.engine, Request(noise, Task.REGION_TO_OCR))


def test_pictures_are_checked_as_always(model: Florence2) -> None:
    with pytest.raises(ImageError, match="does not exist"):
        run_tiled(model.engine, Request("no/such/page.png", Task.OCR))


def test_a_text_of_tiles_reads_their_lines(model: Florence2, noise: Image.Image) -> None:
    lines = run_tiled(model.engine, Request(noise, Task.OCR_WITH_REGION))
    text = run_tiled(model.engine, replace(request(noise, Task.OCR)))
    assert isinstance(lines, Quads) and isinstance(text, Text)
    assert len(lines.labels) > 1
    assert text.text == "\n".join(lines.labels)
    assert text.score is not None
    kept = run_tiled(
        model.engine, replace(request(noise, Task.OCR), min_score=max(lines.scores or [0]))
    )
    assert isinstance(kept, Text) and kept.text in lines.labels
