"""Captions of scenes: one phrase, two or three sentences, or a paragraph, all of them true."""

import zlib
from collections.abc import Sequence

import numpy as np

from florence2_lab.worlds import sentences
from florence2_lab.worlds.english import (
    count_phrase,
    join_phrases,
    number_word,
    sentence,
    with_article,
)
from florence2_lab.worlds.phrases import area, attributes, names, picture_size
from florence2_lab.worlds.relations import IN_FRONT, ON_TOP, direction, overlaps, place
from florence2_lab.worlds.scenes import Scene, SceneObject

MAX_TOLD = 6  # objects that a paragraph describes one by one
MIN_COUNTED = 3
LARGEST_RATIO = 1.5  # of the areas of the largest object and the next
SEVERAL = {"are": "are", "appear": "appear", "stand": "stand"}
ONE = {"are": "is", "appear": "appears", "stand": "stands"}


def caption_phrases(scene: Scene) -> dict[str, list[SceneObject]]:
    """Return the phrases of a scene's caption, in its order, each with its objects."""
    groups: dict[str, list[SceneObject]] = {}
    for item in scene.objects:
        groups.setdefault(item.label, []).append(item)
    # What takes most of the picture is told first.
    told = sorted(groups.values(), key=lambda group: (-sum(map(area, group)), group[0].label))
    return {_group_phrase(group): group for group in told}


def brief_caption(scene: Scene) -> str:
    """Describe a scene in one phrase: "two cats and a red car on a striped background"."""
    phrases = list(caption_phrases(scene))
    return f"{join_phrases(phrases)} on {scene.ground}" if phrases else scene.ground


def detailed_caption(scene: Scene) -> str:
    """Describe a scene in one to three sentences, the same for the same scene."""
    teller = _Teller(scene, "detailed")
    told = [teller.opening(with_ground=True)]
    more = [*teller.relations()[:1], *teller.places()[:2]]
    told += more[:1] if scene.texts else more[:2]
    return " ".join([*told, *teller.texts()[:1]])


def paragraph_caption(scene: Scene) -> str:
    """Describe a scene in a paragraph, object by object, the same for the same scene."""
    teller = _Teller(scene, "paragraph")
    with_ground = not scene.objects or teller.draws(0.3)
    told = [teller.opening(with_ground), *teller.count()]
    told += [*teller.places()[:MAX_TOLD], *teller.largest(), *teller.relations()[:3]]
    told += teller.texts()
    return " ".join(told if with_ground else [*told, teller.ground()])


def _group_phrase(group: Sequence[SceneObject]) -> str:
    label = group[0].label
    colours = {item.colour for item in group}
    colour = colours.pop() if len(colours) == 1 else None
    return count_phrase(len(group), label, colour)


class _Teller:
    """Makes sentences about one scene; which patterns it draws depends on the scene's name."""

    def __init__(self, scene: Scene, style: str) -> None:
        self.scene = scene
        self.size = picture_size(scene)
        self._rng = np.random.default_rng(zlib.crc32(f"{scene.source}/{style}".encode()))
        numbers = range(len(scene.objects))
        self._by_area = sorted(numbers, key=lambda number: -area(scene.objects[number]))
        self._names = {number: self._name(number) for number in numbers}

    def draws(self, chance: float) -> bool:
        return bool(self._rng.random() < chance)

    def opening(self, with_ground: bool) -> str:
        """Tell what there is."""
        phrases = list(caption_phrases(self.scene))
        if not phrases:
            return self._say(sentences.EMPTY, ground=self.scene.ground)
        patterns = sentences.OPENINGS if with_ground else sentences.SHORT_OPENINGS
        verbs = ONE if len(self.scene.objects) == 1 else SEVERAL
        things = join_phrases(phrases)
        return self._say(patterns, things=things, ground=self.scene.ground, **verbs)

    def count(self) -> list[str]:
        """Tell how many objects there are, where these are many."""
        count = len(self.scene.objects)
        if count < MIN_COUNTED or not self.draws(0.5):
            return []
        return [self._say(sentences.COUNTS, number=number_word(count))]

    def places(self) -> list[str]:
        """Tell where the objects are, large ones first."""
        told = []
        for number in self._by_area:
            where = place(self.scene.objects[number].box_xyxy, self.size)
            if where is not None:
                a = with_article(attributes(self.scene, number))
                told.append(self._say(sentences.PLACES, a=a, place=where))
        return told

    def largest(self) -> list[str]:
        """Tell which object is by far the largest."""
        if len(self._by_area) < 2 or not self.draws(0.4):
            return []
        first, second = (self.scene.objects[number] for number in self._by_area[:2])
        name = self._names[self._by_area[0]]
        if not name or area(first) < LARGEST_RATIO * area(second):
            return []
        return [self._say(sentences.LARGEST, the=name)]

    def relations(self) -> list[str]:
        """Tell what lies on, before and beside what, in this order; only of objects with a name."""
        told, pairs = [], set()
        for each in overlaps(self.scene.instance_map, len(self.scene.objects)):
            the, other = self._names[each.upper], self._names[each.lower]
            if the and other and each.share >= IN_FRONT:
                patterns = sentences.ON_TOP if each.share >= ON_TOP else sentences.IN_FRONT
                told.append(self._say(patterns, the=the, other=other))
                pairs.add(frozenset((each.upper, each.lower)))
        for number, neighbour in zip(self._by_area[1:], self._by_area, strict=False):
            the, other = self._names[number], self._names[neighbour]
            first, second = self.scene.objects[number], self.scene.objects[neighbour]
            word = direction(first.box_xyxy, second.box_xyxy, self.size)
            if the and other and word and frozenset((number, neighbour)) not in pairs:
                told.append(self._say(sentences.DIRECTIONS, the=the, word=word, other=other))
        return told

    def texts(self) -> list[str]:
        """Read the stray texts aloud."""
        told = []
        for text in self.scene.texts:
            where = place(text.box_xyxy, self.size) or "in the background"
            told.append(self._say(sentences.TEXTS, text=text.text, place=where))
        return told

    def ground(self) -> str:
        return self._say(sentences.GROUNDS, ground=self.scene.ground)

    def _name(self, number: int) -> str:
        """Return a phrase that means only this object, the plainest there is, or nothing."""
        found = names(self.scene, number)
        return found[0] if found else ""

    def _say(self, patterns: Sequence[str], **words: str) -> str:
        pattern = patterns[int(self._rng.integers(len(patterns)))]
        return sentence(pattern.format(**words))
