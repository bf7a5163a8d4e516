"""Laws of drawing: where pixels may change, where tags may stand, and that nothing is lost."""

from collections.abc import Iterator
from importlib import import_module
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops

from florence2.drawing.draw import NOTHING_FOUND, draw, label_colours, text_colour
from florence2.drawing.fonts import TextRenderer
from florence2.drawing.label_layout import place_labels
from florence2.errors import ImageError
from florence2.results import Boxes, Mixed, Polygons, Quads, Result, Text

SIZE = (640, 480)
SQUARE = np.array([[200.0, 100], [400, 100], [400, 300], [200, 300]])


def picture(size: tuple[int, int] = SIZE) -> Image.Image:
    rows, columns = np.mgrid[0 : size[1], 0 : size[0]]
    channels = [columns * 255 // size[0], rows * 255 // size[1], (rows + columns) % 256]
    return Image.fromarray(np.dstack(channels).astype(np.uint8))


def boxes(*corners: tuple[float, float, float, float], labels: Any = None) -> Boxes:
    labels = labels if labels is not None else ("",) * len(corners)
    return Boxes(np.array(corners, dtype=float).reshape(-1, 4), labels, image_size=SIZE)


def changed(before: Image.Image, after: Image.Image) -> np.ndarray[Any, Any]:
    """Mask `(H, W)` of the pixels that differ."""
    return np.asarray(ImageChops.difference(before, after)).any(axis=2)


@pytest.fixture
def tags(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, tuple[int, ...]]]]:
    """Text and place of every tag painted, in order."""
    painted: list[tuple[str, tuple[int, ...]]] = []
    module = import_module("florence2.drawing.draw")  # `florence2.drawing.draw` is the function
    paint = module._paint_tag

    def record(canvas: Any, renderer: Any, text: str, place: Any, *rest: Any) -> None:
        painted.append((text, place))
        paint(canvas, renderer, text, place, *rest)

    monkeypatch.setattr(module, "_paint_tag", record)
    yield painted


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Every line of text painted, in order."""
    lines: list[str] = []
    paint = TextRenderer.paint

    def record(self: Any, canvas: Any, text: str, *rest: Any) -> None:
        lines.append(text)
        paint(self, canvas, text, *rest)

    monkeypatch.setattr(TextRenderer, "paint", record)
    yield lines


EXAMPLES: dict[str, Result] = {
    "no boxes": boxes(),
    "boxes": boxes((10, 10, 90, 200), (300, 50, 630, 470), labels=("dog", "cat")),
    "quads": Quads(SQUARE[None], ("hello",), (0.5,), image_size=SIZE),
    "polygons": Polygons(((SQUARE, SQUARE / 3),), ("tree",), image_size=SIZE),
    "mixed": Mixed(
        boxes((10, 10, 90, 200), labels=("dog",)),
        Polygons(((SQUARE,),), ("dog",), image_size=SIZE),
        image_size=SIZE,
    ),
    "text": Text("a dog by the sea", image_size=SIZE),
    "region text": Text("a dog", (100, 100, 500, 500), 0.75, image_size=SIZE),
    "empty text": Text("", image_size=SIZE),
}
each_example = pytest.mark.parametrize("result", EXAMPLES.values(), ids=EXAMPLES.keys())


@each_example
def test_every_kind_of_result_is_drawn(result: Result) -> None:
    drawn = draw(picture(), result)
    assert drawn.mode == "RGB"
    assert drawn.width == SIZE[0]
    assert drawn.height >= SIZE[1]
    same_size = drawn.size == SIZE
    assert not same_size or changed(picture(), drawn).any()


@each_example
def test_the_picture_itself_is_not_changed(result: Result) -> None:
    given_picture = picture()
    draw(given_picture, result)
    assert not changed(given_picture, picture()).any()


@each_example
def test_drawing_twice_gives_the_same(result: Result) -> None:
    first, second = draw(picture(), result), draw(picture(), result)
    assert first.tobytes() == second.tobytes()


@given(
    st.lists(st.tuples(*[st.integers(-50, 700)] * 4), min_size=1, max_size=4),
)
@settings(max_examples=40)
def test_pixels_change_only_near_the_edges_of_boxes(corners: list[Any]) -> None:
    drawn = draw(picture(), boxes(*corners))
    rows, columns = np.mgrid[0 : SIZE[1], 0 : SIZE[0]]
    near = np.zeros((SIZE[1], SIZE[0]), dtype=bool)
    reach = 4  # half an outline, its rim, and rounding
    for x0, y0, x1, y1 in corners:
        left, right, top, bottom = min(x0, x1), max(x0, x1), min(y0, y1), max(y0, y1)
        within = (columns >= left - reach) & (columns <= right + reach)
        within &= (rows >= top - reach) & (rows <= bottom + reach)
        inside = (columns > left + reach) & (columns < right - reach)
        inside &= (rows > top + reach) & (rows < bottom - reach)
        near |= within & ~inside
    assert not (changed(picture(), drawn) & ~near).any()


def test_a_box_is_outlined_on_all_four_sides() -> None:
    mask = changed(picture(), draw(picture(), boxes((100, 100, 300, 200))))
    assert mask[100, 100:300].all()
    assert mask[200, 100:300].all()
    assert mask[100:200, 100].all()
    assert mask[100:200, 300].all()


def test_the_corners_of_a_box_may_come_in_any_order() -> None:
    forward = draw(picture(), boxes((100, 100, 300, 200)))
    assert forward.tobytes() == draw(picture(), boxes((300, 200, 100, 100))).tobytes()


def test_a_mask_lets_the_picture_shine_through() -> None:
    result = Polygons(((SQUARE,),), ("",), image_size=SIZE)
    drawn = np.asarray(draw(picture(), result))[150:250, 250:350].reshape(-1, 3)
    original = np.asarray(picture())[150:250, 250:350].reshape(-1, 3)
    assert (drawn != original).any(axis=1).all()
    assert np.corrcoef(drawn[:, 2], original[:, 2])[0, 1] > 0.99
    assert not changed(picture(), draw(picture(), result))[:90].any()


def test_parts_of_two_points_or_one_are_drawn_as_far_as_they_go() -> None:
    parts = (SQUARE[:2], SQUARE[3:])
    mask = changed(picture(), draw(picture(), Polygons((parts,), ("",), image_size=SIZE)))
    assert mask[100, 220:380].all()
    assert mask[110:].sum() < 50


@pytest.mark.parametrize(
    "result",
    [
        pytest.param(boxes((-500, -500, -100, -100), labels=("dog",)), id="box"),
        pytest.param(Quads(SQUARE[None] + 5000, ("hi",), image_size=SIZE), id="quad"),
        pytest.param(Polygons(((SQUARE - 5000,),), ("x",), image_size=SIZE), id="mask"),
        pytest.param(Polygons(((SQUARE * 1e200,),), ("x",), image_size=SIZE), id="astronomic"),
    ],
)
def test_what_lies_outside_of_the_picture_keeps_its_tag_inside(
    result: Result, tags: list[Any]
) -> None:
    assert draw(picture(), result).size == SIZE
    assert inside(tags[0][1], SIZE)


# Sizes.


@pytest.mark.parametrize("size", [(100, 80), (64, 64), (9, 8), (800, 8), (8, 800)])
def test_small_pictures_are_enlarged_by_a_whole_number(size: tuple[int, int]) -> None:
    result = Boxes([[1, 1, 6, 6]], ("dog",), image_size=size)
    drawn = draw(picture(size), result)
    factor = drawn.width // size[0]
    assert factor > 1
    assert drawn.size == (size[0] * factor, size[1] * factor)


@pytest.mark.parametrize("scale", [1, 3, 6])
def test_letters_and_lines_grow_with_the_picture(scale: int, tags: list[Any]) -> None:
    size = (SIZE[0] * scale, SIZE[1] * scale)
    result = Polygons(((SQUARE * scale,),), ["dog"], image_size=size)
    plain = Image.new("RGB", size, (120, 130, 140))
    drawn = draw(plain, result)
    assert drawn.size == size
    place = tags[0][1]
    assert place[3] - place[1] == pytest.approx(19 * scale, rel=0.1)
    strip = (350 * scale, 0, 350 * scale + 1, 150 * scale)
    column = changed(plain.crop(strip), drawn.crop(strip))[:, 0]
    assert column.argmax() == pytest.approx(98 * scale, rel=0.02), "where the outline begins"


def test_another_resolution_of_the_picture_will_do() -> None:
    at_full = draw(picture(), boxes((100, 100, 300, 200)))
    doubled = Boxes([[200, 200, 600, 400]], ("",), image_size=(1280, 960))
    assert draw(picture(), doubled).tobytes() == at_full.tobytes()


def test_another_picture_is_refused() -> None:
    with pytest.raises(ImageError, match=r"300 x 300 pixels but the result is of one of 640 x 480"):
        draw(picture((300, 300)), boxes())


# Tags.


def inside(place: tuple[int, ...], size: tuple[int, int]) -> bool:
    left, top, right, bottom = place
    return 0 <= left < right <= size[0] and 0 <= top < bottom <= size[1]


def overlap(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return width > 0 and height > 0


rects = st.tuples(
    st.integers(-20, 420), st.integers(-20, 320), st.integers(0, 200), st.integers(0, 200)
).map(lambda row: (row[0], row[1], row[0] + row[2], row[1] + row[3]))


@given(st.lists(rects, max_size=25), st.lists(rects, max_size=5), st.booleans(), st.booleans())
@settings(max_examples=50)
def test_tags_are_inside_and_cover_no_tag_and_nothing_to_be_kept_clear(
    anchors: list[Any], taken: list[Any], keep_clear: bool, beside: bool
) -> None:
    size = (400, 300)
    clear = anchors if keep_clear else []
    sizes = [(40 + 7 * (index % 5), 20) for index in range(len(anchors))]
    places = place_labels(anchors, sizes, size, occupied=taken, keep_clear=clear, beside=beside)
    found = [place for place in places if place]
    assert all(inside(place, size) for place in found)
    for index, place in enumerate(found):
        assert not any(overlap(place, other) for other in [*taken, *clear, *found[:index]])


def test_a_tag_goes_above_its_object_where_there_is_room() -> None:
    assert place_labels([(50, 60, 90, 90)], [(30, 20)], (200, 200)) == [(50, 40, 80, 60)]


def test_a_tag_goes_into_its_object_at_the_upper_border() -> None:
    assert place_labels([(50, 5, 190, 190)], [(30, 20)], (200, 200)) == [(50, 5, 80, 25)]


def test_a_tag_larger_than_the_canvas_has_no_place() -> None:
    assert place_labels([(5, 5, 10, 10)], [(300, 20)], (200, 200)) == [None]


def test_tags_are_inside_the_picture(tags: list[Any]) -> None:
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 480, (40, 4))
    draw(picture(), boxes(*corners.tolist(), labels=tuple(f"thing {n % 7}" for n in range(40))))
    assert len(tags) >= 40
    assert all(inside(place, SIZE) for _, place in tags[:40])


def test_scores_are_shown_where_known(tags: list[Any]) -> None:
    corners = [[100, 100, 200, 200], [400, 300, 500, 400]]
    draw(picture(), Boxes(corners, ("dog", "cat"), (0.876, None), image_size=SIZE))
    assert {text for text, _ in tags} == {"dog  0.88", "cat"}


def test_a_score_without_a_label_is_a_tag(tags: list[Any]) -> None:
    draw(picture(), Boxes([[100, 100, 200, 200]], ("",), (0.5,), image_size=SIZE))
    assert [text for text, _ in tags] == ["0.50"]


def test_unlabelled_objects_have_no_tag_and_different_colours(tags: list[Any]) -> None:
    drawn = draw(picture(), boxes((100, 100, 200, 200), (300, 100, 400, 200)))
    assert tags == []
    assert drawn.getpixel((150, 100)) != drawn.getpixel((350, 100))


def test_long_labels_end_in_an_ellipsis(tags: list[Any]) -> None:
    label = "a man who rides a bicycle along the river while the sun goes down"
    draw(picture(), boxes((100, 100, 180, 200), (400, 300, 480, 400), labels=(label, "dog")))
    shown = next(text for text, _ in tags if text != "dog")
    assert shown.endswith("...")
    assert label.startswith(shown.removesuffix("..."))


@pytest.mark.parametrize(
    "label", ["собака", "猫", "café", "كلب", "a\nb\tc", "\ud800", "😀", "\u200b"]
)
def test_labels_in_any_script(label: str, tags: list[Any]) -> None:
    draw(picture(), boxes((100, 100, 300, 200), labels=(label,)))
    assert all("\n" not in text for text, _ in tags)


def test_words_that_do_not_fit_become_numbers_that_the_panel_explains(
    tags: list[Any], said: list[str]
) -> None:
    corners = [(300 + n, 200 + n, 330 + n, 230 + n) for n in range(30)]
    labels = tuple(f"a rather long description {n}" for n in range(30))
    drawn = draw(picture(), boxes(*corners, labels=labels))
    assert drawn.width == SIZE[0]
    assert drawn.height > SIZE[1]
    assert {text for text, _ in tags} == {str(n) for n in range(1, 31)}
    for label in labels:
        assert any(line.startswith(label[:12]) for line in said)


def lines_of_text(count: int, size: tuple[int, int]) -> Quads:
    """A page: rows of text from edge to edge, without room between them."""
    step = size[1] / count
    tops = np.arange(count)[:, None, None] * step
    quad = np.array([[2.0, 1], [size[0] - 2, 1], [size[0] - 2, step - 1], [2, step - 1]])
    return Quads(quad[None] + tops * [0, 1], [f"line {n}" for n in range(count)], image_size=size)


@pytest.mark.parametrize("size", [(640, 480), (480, 640)], ids=["landscape", "portrait"])
def test_a_page_is_numbered_and_the_panel_has_all_its_lines(
    size: tuple[int, int], said: list[str]
) -> None:
    drawn = draw(picture(size), lines_of_text(14, size))
    below, beside = drawn.height > size[1], drawn.width > size[0]
    assert (below, beside) == ((True, False) if size[0] > size[1] else (False, True))
    assert {f"line {n}" for n in range(14)} <= set(said)


def test_what_the_panel_cannot_hold_is_counted(said: list[str]) -> None:
    draw(picture(), lines_of_text(200, SIZE))
    shown = sum(line.startswith("line ") for line in said)
    assert shown > 50
    assert f"and {200 - shown} more" in said


def test_tags_of_texts_cover_no_text(tags: list[Any]) -> None:
    quads = [SQUARE * [1, 0.2] + [0, shift] for shift in (60, 160, 260)]
    result = Quads(quads, ("one", "two", "three"), image_size=SIZE)
    assert draw(picture(), result).size == SIZE
    bounds = [(quad[0][0], quad[0][1], quad[2][0], quad[2][1]) for quad in result.quads]
    assert not any(overlap(place, bound) for _, place in tags for bound in bounds)


# Texts.


def test_a_caption_stands_below_the_whole_picture(said: list[str]) -> None:
    drawn = draw(picture(), Text("a dog by the sea", image_size=SIZE))
    assert not changed(picture(), drawn.crop((0, 0, *SIZE))).any()
    assert said == ["a dog by the sea"]


def test_a_long_caption_is_wrapped_and_at_most_as_high_as_the_picture(said: list[str]) -> None:
    words = [f"word{n}" for n in range(3000)]
    drawn = draw(picture(), Text(" ".join(words), image_size=SIZE))
    assert drawn.height <= 2 * SIZE[1] + 40
    shown = " ".join(said).split()
    assert shown[-1] == "..."
    assert shown[:-1] == words[: len(shown) - 1]


def test_the_score_of_a_text_is_shown(said: list[str]) -> None:
    draw(picture(), Text("a dog", score=0.5, image_size=SIZE))
    assert said == ["a dog", "score 0.50"]


def test_the_region_of_an_answer_is_outlined() -> None:
    drawn = draw(picture(), Text("a dog", (250, 250, 750, 750), image_size=SIZE))
    mask = changed(picture(), drawn.crop((0, 0, *SIZE)))
    assert mask[120, 170:470].all()
    assert not mask[200:280, 250:400].any()


@pytest.mark.parametrize("name", ["no boxes", "empty text"])
def test_an_empty_result_says_so(name: str, said: list[str]) -> None:
    draw(picture(), EXAMPLES[name])
    assert said == [NOTHING_FOUND]


def test_an_empty_mixed_result_says_so(said: list[str]) -> None:
    result = Mixed(boxes(), Polygons((), (), image_size=SIZE), image_size=SIZE)
    draw(picture(), result)
    assert said == [NOTHING_FOUND]


# Colours.


def test_a_label_has_one_colour_in_all_pictures() -> None:
    assert label_colours(["dog"])["dog"] == label_colours(["dog", "dog", "zebra"])["dog"]


@given(st.lists(st.text(max_size=6), max_size=20))
def test_labels_of_one_picture_have_different_colours_in_any_order(labels: list[str]) -> None:
    colours = label_colours(labels)
    assert len(set(colours.values())) == len(set(labels))
    assert colours == label_colours(reversed(labels))


def test_more_labels_than_colours() -> None:
    assert len(label_colours(map(str, range(50)))) == 50


@pytest.mark.parametrize(
    ("background", "is_light"),
    [((0, 0, 0), True), ((0, 122, 255), True), ((255, 255, 255), False), ((255, 204, 0), False)],
)
def test_tag_texts_are_light_on_dark_and_dark_on_light(
    background: tuple[int, int, int], is_light: bool
) -> None:
    assert (sum(text_colour(background)) > 384) == is_light


def test_texts_of_several_lines_are_drawn() -> None:
    """A line break once went to the font, which raised: every answer about a page did."""
    picture = Image.new("RGB", (300, 200), "white")
    one, two = (draw(picture, Text(text=text, image_size=picture.size)) for text in ("a b", "a\nb"))
    assert two.height > one.height
