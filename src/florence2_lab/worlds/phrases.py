"""Phrases that name objects of a scene: by what they are, and so that no other can be meant."""

from dataclasses import dataclass

import numpy as np

from florence2.geometry import Box, Size
from florence2_lab.worlds.colours import clearly_differ
from florence2_lab.worlds.english import ORDINALS, noun_phrase, number_word, with_article
from florence2_lab.worlds.relations import centre, direction, may_be, place, size_word
from florence2_lab.worlds.scenes import Scene, SceneObject

SIZE_RATIO = 1.3  # of the sides (root of the area) of objects called larger and smaller
MARGIN = 0.08  # between the centres of objects called by their order, relative to the picture

CONTRARY_COLOURS = ("red", "green", "blue", "yellow", "black", "white")


@dataclass(frozen=True)
class Reference:
    """A phrase, and the objects that it means: their numbers in the scene."""

    phrase: str
    numbers: tuple[int, ...]


def picture_size(scene: Scene) -> Size:
    """Return (width, height)."""
    height, width = scene.image.shape[:2]
    return width, height


def area(item: SceneObject) -> float:
    """Return the area of the box of an object."""
    x_min, y_min, x_max, y_max = item.box_xyxy
    return (x_max - x_min) * (y_max - y_min)


def attributes(scene: Scene, number: int) -> str:
    """Name an object by size, colour and category, without an article: "large red car"."""
    item = scene.objects[number]
    size = size_word(item.box_xyxy, picture_size(scene))
    return noun_phrase(item.label, size=size, colour=item.colour or "")


def region_description(scene: Scene, number: int) -> str:
    """Name an object by its attributes, its place, and what is missing of it."""
    item = scene.objects[number]
    size = picture_size(scene)
    phrase = attributes(scene, number)
    if where := place(item.box_xyxy, size):
        phrase += f" {where}"
    # Away from the border, only another object can hide a part.
    if item.visible < 0.85 and not _touches_border(item.box_xyxy, size):
        phrase += ", partly hidden behind something else"
    return phrase


def _touches_border(box: Box, size: Size) -> bool:
    return min(box[:2]) <= 0 or box[2] >= size[0] or box[3] >= size[1]


def names(scene: Scene, number: int) -> tuple[str, ...]:
    """Return the phrases that can mean nothing but this object, from the plainest; may be empty."""
    item = scene.objects[number]
    others = _namesakes(scene, item)
    phrases = [f"the {noun_phrase(item.label)}"] if not others else []
    phrases += _by_colour(item, others) + _by_size(item, others) + _by_order(scene, item, others)
    return tuple(phrases)


def references(scene: Scene, number: int) -> tuple[Reference, ...]:
    """Return all phrases for one object: its names, and where it is from others."""
    item = scene.objects[number]
    phrases = [*names(scene, number), *_by_neighbour(scene, item, _namesakes(scene, item))]
    return tuple(Reference(phrase, (number,)) for phrase in phrases)


def group_references(scene: Scene, label: str) -> tuple[Reference, ...]:
    """Return phrases that mean all objects of a label, or all of one colour among them."""
    numbers = tuple(n for n, item in enumerate(scene.objects) if item.label == label)
    if len(numbers) < 2:
        return ()
    count = len(numbers)
    found = [
        Reference(f"all {noun_phrase(label, count=count)}", numbers),
        Reference(f"the {number_word(count)} {noun_phrase(label, count=count)}", numbers),
    ]
    for colour in sorted({scene.objects[n].colour or "" for n in numbers} - {""}):
        same = tuple(n for n in numbers if scene.objects[n].colour == colour)
        rest = [scene.objects[n] for n in numbers if n not in same]
        if len(same) > 1 and all(clearly_differ(colour, item.colour) for item in rest):
            phrase = f"the {noun_phrase(label, colour=colour, count=len(same))}"
            found.append(Reference(phrase, same))
    return tuple(found)


def absent_phrase(rng: np.random.Generator, scene: Scene, vocabulary: tuple[str, ...]) -> str:
    """Name something that is not there: a category of the vocabulary, or a known one in a colour
    that none of its objects has. Empty where neither can be found.
    """
    if rng.random() < 0.35:
        phrases = _contrary(scene)
        if phrases:
            return phrases[int(rng.integers(len(phrases)))]
    absent = absent_labels(scene, vocabulary)
    if not absent:
        return ""
    label = absent[int(rng.integers(len(absent)))]
    return with_article(noun_phrase(label))


def absent_labels(scene: Scene, vocabulary: tuple[str, ...]) -> list[str]:
    """Return the names that share no word with any object of the scene.

    A bear is a kind of "teddy bear" to some, so one common word makes a name doubtful.
    """
    present = {word for item in scene.objects for word in item.label.split()}
    return [label for label in vocabulary if present.isdisjoint(label.split())]


def _contrary(scene: Scene) -> list[str]:
    """Return known categories with a colour that surely none of their objects has."""
    found = []
    for label in sorted({item.label for item in scene.objects}):
        colours = [item.colour for item in scene.objects if item.label == label]
        for colour in CONTRARY_COLOURS:
            if all(clearly_differ(colour, other) for other in colours):
                found.append(with_article(noun_phrase(label, colour=colour)))
    return found


def _namesakes(scene: Scene, item: SceneObject) -> list[SceneObject]:
    return [other for other in scene.objects if other is not item and other.label == item.label]


def _by_colour(item: SceneObject, others: list[SceneObject]) -> list[str]:
    if item.colour is None or not all(clearly_differ(item.colour, o.colour) for o in others):
        return []
    return [f"the {noun_phrase(item.label, colour=item.colour)}"]


def _by_size(item: SceneObject, others: list[SceneObject]) -> list[str]:
    if not others:
        return []
    mine, rest = area(item), [area(other) for other in others]
    ratio = SIZE_RATIO**2
    if mine >= ratio * max(rest):
        word = "larger" if len(rest) == 1 else "largest"
    elif mine * ratio <= min(rest):
        word = "smaller" if len(rest) == 1 else "smallest"
    else:
        return []
    return [f"the {noun_phrase(item.label, size=word)}"]


def _by_order(scene: Scene, item: SceneObject, others: list[SceneObject]) -> list[str]:
    """Call an object by its place among those of its name, from the left and from the top."""
    if not others:
        return []
    found: list[str] = []
    noun = noun_phrase(item.label)
    words = (("on the left", "on the right"), ("at the top", "at the bottom"))
    superlatives = (("leftmost", "rightmost"), ("topmost", "lowest"))
    for axis, ends in enumerate(words):
        places = sorted(centre(each.box_xyxy)[axis] for each in (item, *others))
        gaps = np.diff(places) / picture_size(scene)[axis]
        rank = places.index(centre(item.box_xyxy)[axis])
        before, after = gaps[:rank], gaps[rank:]
        if min(gaps[max(0, rank - 1) : rank + 1]) < MARGIN:
            continue
        if not others[1:]:
            found.append(f"the {noun} {ends[rank]}")
        elif not len(before) or not len(after):
            word = superlatives[axis][0 if not len(before) else 1]
            found.append(f"the {noun_phrase(item.label, size=word)}")
        elif min(gaps) >= MARGIN / 2 and axis == 0 and rank < len(ORDINALS):
            found.append(f"the {ORDINALS[rank]} {noun} from the left")
    return found


def _by_neighbour(scene: Scene, item: SceneObject, others: list[SceneObject]) -> list[str]:
    """Call an object by where it is from one whose name is its own."""
    found = []
    size = picture_size(scene)
    labels = [each.label for each in scene.objects]
    for neighbour in scene.objects:
        if neighbour is item or labels.count(neighbour.label) > 1:
            continue
        word = direction(item.box_xyxy, neighbour.box_xyxy, size)
        if word is None:
            continue
        if not any(may_be(word, other.box_xyxy, neighbour.box_xyxy, size) for other in others):
            found.append(f"the {noun_phrase(item.label)} {word} the {noun_phrase(neighbour.label)}")
    return found
