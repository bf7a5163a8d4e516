"""A phrase for one object fits no other, and one for nothing fits none."""

import re

import numpy as np
import pytest

from florence2_lab.worlds.colours import clearly_differ
from florence2_lab.worlds.english import ORDINALS, noun_phrase
from florence2_lab.worlds.kit import Kit
from florence2_lab.worlds.phrases import (
    absent_labels,
    absent_phrase,
    attributes,
    group_references,
    names,
    references,
    region_description,
)
from florence2_lab.worlds.relations import overlaps, place, size_word
from florence2_lab.worlds.scenes import Scene, SceneObject, SceneOptions, scene

SIZE = (200, 200)


def item(label: str, x: float, y: float, side: float, colour: str | None = None) -> SceneObject:
    return SceneObject(label, 1, (x, y, x + side, y + side), 1.0, "drawn", colour)


def drawn(*objects: SceneObject) -> Scene:
    numbers = np.zeros(SIZE, np.uint8)
    image = np.zeros((*SIZE, 3), np.uint8)
    return Scene(image, objects, numbers, numbers.astype(np.int16), "a flat ground", "scene/t/0/1")


def centre(found: SceneObject) -> tuple[float, float]:
    x_min, y_min, x_max, y_max = found.box_xyxy
    return (x_min + x_max) / 2, (y_min + y_max) / 2


def area(found: SceneObject) -> float:
    x_min, y_min, x_max, y_max = found.box_xyxy
    return (x_max - x_min) * (y_max - y_min)


def meant(phrase: str, objects: tuple[SceneObject, ...]) -> list[int]:
    """Read a phrase as a person would, knowing nothing of how it was made."""
    words = re.fullmatch(
        r"the (?:(?P<order>[a-z]+(?:er|est|most))\s)?"
        r"(?:(?P<nth>first|second|third|fourth|fifth|sixth)\s)?"
        r"(?P<noun>.+?)(?: (?P<end>on the left|on the right|at the top|at the bottom|from the left)"
        r"| (?P<word>to the left of|to the right of|above|below) the (?P<other>.+))?",
        phrase,
    )
    assert words is not None, phrase
    found = [
        n
        for n, each in enumerate(objects)
        if words["noun"] in (each.label, f"{each.colour} {each.label}")
    ]
    x, y = ({n: centre(objects[n])[axis] for n in range(len(objects))} for axis in (0, 1))
    ends = {
        "on the left": (x, min),
        "leftmost": (x, min),
        "on the right": (x, max),
        "rightmost": (x, max),
        "at the top": (y, min),
        "topmost": (y, min),
        "at the bottom": (y, max),
        "lowest": (y, max),
    }
    if words["order"] in ("larger", "largest"):
        return [max(found, key=lambda n: area(objects[n]))]
    if words["order"] in ("smaller", "smallest"):
        return [min(found, key=lambda n: area(objects[n]))]
    if words["nth"]:
        return [sorted(found, key=lambda n: x[n])[ORDINALS.index(words["nth"])]]
    if (end := words["order"] or words["end"]) in ends:
        values, choose = ends[end]
        return [choose(found, key=lambda n: values[n])]
    if words["word"]:
        (other,) = (n for n, each in enumerate(objects) if each.label == words["other"])
        tests = {
            "to the left of": lambda n: x[n] < x[other],
            "to the right of": lambda n: x[n] > x[other],
            "above": lambda n: y[n] < y[other],
            "below": lambda n: y[n] > y[other],
        }
        return [n for n in found if tests[words["word"]](n)]
    return found


def random_scene(rng: np.random.Generator) -> Scene:
    colours = (None, "red", "blue", "green")
    return drawn(
        *(
            item(
                ("cat", "dog", "key")[int(rng.integers(3))],
                *rng.uniform(0, 150, 2),
                rng.uniform(10, 100),
                colours[int(rng.integers(4))],
            )
            for _ in range(int(rng.integers(1, 7)))
        )
    )


def test_a_reference_means_its_object_and_no_other() -> None:
    rng = np.random.default_rng(0)
    forms = set()
    for _ in range(400):
        made = random_scene(rng)
        for number in range(len(made.objects)):
            for reference in references(made, number):
                assert reference.numbers == (number,)
                assert meant(reference.phrase, made.objects) == [number], reference.phrase
                forms.add(re.sub(r"\b(cat|dog|key|red|blue|green)\b", "_", reference.phrase))
    assert len(forms) > 20


def test_a_group_means_all_of_a_name_or_all_of_a_colour() -> None:
    made = drawn(
        item("cat", 0, 0, 20, "red"),
        item("dog", 0, 50, 20),
        item("cat", 50, 0, 20, "blue"),
        item("cat", 90, 0, 20, "red"),
    )
    found = {each.phrase: each.numbers for each in group_references(made, "cat")}
    assert found == {
        "all cats": (0, 2, 3),
        "the three cats": (0, 2, 3),
        "the red cats": (0, 3),
    }
    assert group_references(made, "dog") == ()


@pytest.mark.parametrize(
    ("objects", "wanted"),
    [
        pytest.param([item("cat", 0, 0, 20)], ["the cat"], id="alone"),
        pytest.param(
            [item("cat", 0, 0, 20, "red"), item("cat", 3, 3, 20, "pink")],
            [],
            id="too alike for words",
        ),
        pytest.param(
            [item("cat", 0, 0, 20, "red"), item("cat", 3, 3, 20, "green")],
            ["the red cat"],
            id="colour",
        ),
        pytest.param(
            [item("cat", 50, 50, 60), item("cat", 65, 65, 30)], ["the larger cat"], id="size"
        ),
        pytest.param(
            [item("bread", 0, 50, 40), item("bread", 120, 50, 40)],
            ["the loaf of bread on the left"],
            id="place",
        ),
    ],
)
def test_the_first_object_is_named(objects: list[SceneObject], wanted: list[str]) -> None:
    assert list(names(drawn(*objects), 0)) == wanted


def test_absent_things_are_not_there(kit: Kit) -> None:
    rng = np.random.default_rng(1)
    told = set()
    for _ in range(300):
        made = random_scene(rng)
        phrase = absent_phrase(rng, made, ("cat", "dog", "apple"))
        told.add(phrase)
        label = phrase.split()[-1]
        if len(phrase.split()) == 3:
            colour = phrase.split()[1]
            same = [each.colour for each in made.objects if each.label == label]
            assert same
            assert all(clearly_differ(colour, other) for other in same)
        else:
            assert label not in {each.label for each in made.objects}
    assert {"a cat", "an apple", "a blue key"} <= told


def test_a_name_that_shares_a_word_with_something_present_is_not_called_absent() -> None:
    made = drawn(item("teddy bear", 0, 0, 20))
    assert absent_labels(made, ("bear", "teddy bear", "polar bear", "cat")) == ["cat"]
    assert absent_phrase(np.random.default_rng(0), made, ("bear",)) == ""


@pytest.mark.parametrize(
    ("box", "wanted"),
    [
        ((0, 0, 20, 20), "in the top left corner"),
        ((90, 90, 110, 110), "in the middle"),
        ((170, 90, 190, 110), "on the right"),
        ((90, 170, 110, 190), "at the bottom"),
        ((57, 57, 77, 77), None),
    ],
)
def test_places_have_a_margin(box: tuple[float, float, float, float], wanted: str | None) -> None:
    assert place(box, SIZE) == wanted


def test_attributes_and_descriptions() -> None:
    made = drawn(
        item("apple", 0, 0, 20, "red"),
        item("cat", 40, 40, 120),
        SceneObject("dog", 1, (90, 90, 150, 150), 0.5, "drawn", None),
    )
    assert [attributes(made, n) for n in range(3)] == ["small red apple", "large cat", "dog"]
    assert region_description(made, 0) == "small red apple in the top left corner"
    assert region_description(made, 2).endswith(
        "dog in the middle, partly hidden behind something else"
    )
    assert size_word((0, 0, 60, 60), SIZE) == ""
    assert noun_phrase("scissors", size="larger") == "larger pair of scissors"


def test_overlaps_tell_upper_from_lower(kit: Kit) -> None:
    numbers = np.zeros(SIZE, np.uint8)
    numbers[20:100, 20:100] = 1
    numbers[40:60, 40:60] = 2  # on top of the first
    numbers[90:130, 90:130] = 3  # over a corner of the first
    first, second = overlaps(numbers, 3)
    assert (first.upper, first.lower, first.share) == (1, 0, 1.0)
    assert (second.upper, second.lower) == (2, 0)
    assert 0 < second.share < 0.3
    crossing = SceneOptions(min_objects=4, max_objects=6, max_size=0.8)
    for index in range(20):
        made = scene(kit, 0, index, options=crossing)
        for each in overlaps(made.instance_map, len(made.objects)):
            assert each.upper > each.lower
