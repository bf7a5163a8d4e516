"""Talks about a picture, as LLaVA, ms-swift and OpenAI write them, turn by turn.

This model answers one question at a time and sees nothing of what was said before. So the first
question of a talk is a record; of those behind it, only prompts of a task (`<OD>`) are, as they say
all that they need. The others are told as lost.

In ms-swift's `objects`, `<ref-object>` stands for a name and `<bbox>` for a box: names become text
and boxes location tokens.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from florence2.data.files import number
from florence2.data.questions import answer_text, question_records
from florence2.data.records import Record
from florence2.data.report import Problem, ReadReport
from florence2.data.row_pictures import RowPicture
from florence2.errors import DataError, Florence2Error
from florence2.geometry import Size
from florence2.locations import encode_points, location_tokens
from florence2.tasks import IMAGE_PLACEHOLDER, Task

Row = Mapping[str, Any]
_TALKS = ("messages", "conversations", "conversation", "texts")
_ASKING = ("user", "human")
_ANSWERING = ("assistant", "gpt", "model", "bot", "chatgpt")
_REF, _BBOX = "<ref-object>", "<bbox>"
_PLACEHOLDERS = re.compile(f"{_REF}|{_BBOX}")
_QWEN_PICTURE = re.compile(r"(?:Picture \d+:\s*)?<img>(.*?)</img>\n?")
# Boxes in the words of other models, which this vocabulary would spell letter by letter.
_FOREIGN = re.compile(r"<\|(box|object_ref|quad|point)_(start|end)\|>|</?(box|ref|quad)>|<\|det\|>")
_SCALES = {"norm1": 1.0, "norm_1": 1.0, "norm1000": 1000.0, "norm_1000": 1000.0}
_OUTSIDE = 1.0  # pixels that rounding may take a box over the edge


def is_conversation(cells: Row) -> bool:
    """Tell whether columns of these names hold a talk."""
    return bool(cells.keys() & set(_TALKS)) or {"query", "response"} <= cells.keys()


def conversation_records(
    cells: Row, picture: RowPicture, tasks: Sequence[Task], report: ReadReport
) -> Iterator[Record]:
    """Yield the records of a talk; count what cannot be used of it."""
    where = picture.where
    try:
        turns, shown = _turns(cells, report, where)
        if shown and picture.given is not None:
            given = picture.given if isinstance(picture.given, list) else [picture.given]
            shown = [] if len(shown) == len(given) else [*given, *shown]
        if shown:
            picture = RowPicture(shown, picture.places, where)
        turns = _filled(turns, cells.get("objects"), picture, report)
    except Florence2Error as error:
        picture.tell(Problem.ROW, error, report)
        return
    for index, (question, answer) in enumerate(turns):
        if found := _FOREIGN.search(answer):
            what = f"answer {answer!r} has {found[0]!r} of another model; write <loc_N> or <bbox>"
            picture.tell(Problem.ANSWER, what, report)
        elif index and not any(task.token in question for task in Task):
            picture.tell(Problem.TURN, repr(question), report)
        else:
            yield from question_records(picture, question, answer, tasks, report)


def _turns(cells: Row, report: ReadReport, where: str) -> tuple[list[tuple[str, str]], list[Any]]:
    """The questions and answers of a talk, and the pictures shown inside it."""
    messages = next((cells[name] for name in _TALKS if cells.get(name) is not None), None)
    if isinstance(messages, str):
        try:
            messages = json.loads(messages)
        except (ValueError, RecursionError) as error:
            raise DataError(f"the talk {messages[:80]!r} is no JSON ({error})") from error
    if messages is None:
        history = cells.get("history") or []
        if not isinstance(history, list) or not all(
            isinstance(pair, list | tuple) and len(pair) == 2 for pair in history
        ):
            raise DataError(f"history is {history!r}; give pairs of a question and an answer")
        messages = [
            {"role": role, "content": content}
            for pair in (*history, (cells.get("query"), cells.get("response")))
            for role, content in zip(("user", "assistant"), pair, strict=True)
        ]
    if not isinstance(messages, list) or not messages:
        raise DataError(f"the talk is {messages!r}; give a list of questions and answers")
    said: list[tuple[str, str]] = []
    shown: list[Any] = []
    for message in messages:
        for role, content in _said(message):
            if role == "system":
                report.add(Problem.SYSTEM, where, repr(content))
                continue
            if role not in (*_ASKING, *_ANSWERING):
                raise DataError(f"{role!r} says something; only a user and an assistant can")
            text, pictures = _text(content, report, where)
            shown += pictures
            said.append(("user" if role in _ASKING else "assistant", text))
    roles = [role for role, _ in said]
    if not said or roles != ["user", "assistant"] * (len(said) // 2):
        raise DataError(
            f"the talk goes {', '.join(roles) or 'nowhere'}; write answer after question"
        )
    texts = [text for _, text in said]
    return list(zip(texts[::2], texts[1::2], strict=True)), shown


def _said(message: Any) -> Iterator[tuple[str, Any]]:
    if not isinstance(message, Mapping):
        raise DataError(f"a message is {message!r}; give a role and its content")
    for asking in _ASKING:
        if {asking, "assistant"} <= message.keys():  # pairs, as of ShareGPT and the Cauldron
            yield "user", message[asking]
            yield "assistant", message["assistant"]
            return
    role = str(message.get("role", message.get("from"))).strip().lower()
    yield role, message.get("content", message.get("value"))


def _text(content: Any, report: ReadReport, where: str) -> tuple[str, list[Any]]:
    """The words of a message, and the pictures that it names itself."""
    shown: list[Any] = []
    if isinstance(content, list):
        words = []
        for piece in content:
            kind = piece.get("type") if isinstance(piece, Mapping) else None
            if kind == "text" and isinstance(piece.get("text"), str):
                words.append(piece["text"])
            elif kind in ("image", "image_url"):
                given = piece.get(kind, piece.get("url", piece.get("path")))
                shown += [given] if given is not None else []
            else:
                raise DataError(f"a message holds {piece!r}; give texts and images")
        content = "\n".join(words)
    text = answer_text(content, "content", report, where)
    shown += _QWEN_PICTURE.findall(text)
    return _QWEN_PICTURE.sub(IMAGE_PLACEHOLDER, text), shown


def _filled(
    turns: list[tuple[str, str]], given: Any, picture: RowPicture, report: ReadReport
) -> list[tuple[str, str]]:
    """The turns with names and boxes in place of `<ref-object>` and `<bbox>`, in their order."""
    if given is None and not any(_PLACEHOLDERS.search(text) for turn in turns for text in turn):
        return turns
    names, boxes = _objects(given)
    if not boxes:
        size: Size | None = None
    elif (found := picture.find(ReadReport())) is None:
        return turns  # what is wrong with the picture is told where it is needed
    else:
        size = found[1]
    texts = [location_tokens(_bins(group, size)) for group in boxes if size is not None]
    left = {_REF: list(names), _BBOX: texts}
    asked = [_PLACEHOLDERS.findall(text) for turn in turns for text in turn]
    counts = {mark: sum(found.count(mark) for found in asked) for mark in left}
    for mark, there in left.items():
        if counts[mark] > len(there) or (mark == _BBOX and counts[mark] < len(there)):
            raise DataError(f"{counts[mark]} {mark} in the texts, {len(there)} in objects")

    def fill(text: str) -> str:
        return _PLACEHOLDERS.sub(lambda match: left[match[0]].pop(0), text)

    return [(fill(question), fill(answer)) for question, answer in turns]


def _objects(given: Any) -> tuple[list[str], list[tuple[list[list[float]], float | None]]]:
    """Names, and groups of boxes with the number that their sides are shares of, if they are."""
    if isinstance(given, str):
        try:
            given = json.loads(given or "[]")
        except (ValueError, RecursionError) as error:
            raise DataError(f"objects are {given[:80]!r}, which is no JSON ({error})") from error
    if isinstance(given, list):  # ms-swift 2: an object each
        if not all(isinstance(each, Mapping) for each in given):
            raise DataError(f"objects are {given!r}; give caption and bbox of each")
        names = [str(each.get("caption", each.get("ref", ""))) for each in given]
        return names, [_group(each.get("bbox"), each.get("bbox_type")) for each in given]
    given = given or {}
    if not isinstance(given, Mapping):
        raise DataError(f"objects are {given!r}; give ref and bbox")
    names, boxes = given.get("ref") or [], given.get("bbox") or []
    if not isinstance(names, list) or not isinstance(boxes, list):
        raise DataError(f"objects are {given!r}; give lists ref and bbox")
    if given.get("image_id") and any(given["image_id"]):
        raise DataError("objects are in several pictures, and this model sees one at a time")
    return [str(name) for name in names], [_group(box, given.get("bbox_type")) for box in boxes]


def _group(given: Any, kind: Any) -> tuple[list[list[float]], float | None]:
    boxes = (
        given if isinstance(given, list) and any(isinstance(x, list) for x in given) else [given]
    )
    for box in boxes:
        if not isinstance(box, list) or len(box) not in (2, 4):
            raise DataError(f"bbox is {box!r}; give x, y or x_min, y_min, x_max, y_max")
    if kind not in (None, "real", *_SCALES):
        raise DataError(f"bbox_type is {kind!r}; give one of real, {', '.join(_SCALES)}")
    return [[number(side, "a side of bbox") for side in box] for box in boxes], _SCALES.get(kind)


def _bins(group: tuple[list[list[float]], float | None], size: Size) -> list[int]:
    """The bins of boxes or points in a row."""
    boxes, whole = group
    bins: list[int] = []
    for box in boxes:
        points = [(x, y) for x, y in zip(box[::2], box[1::2], strict=True)]
        if whole is not None:
            points = [(x * size[0] / whole, y * size[1] / whole) for x, y in points]
        for point in points:
            if not all(
                -_OUTSIDE <= v <= side + _OUTSIDE for v, side in zip(point, size, strict=True)
            ):
                raise DataError(f"bbox {box!r} is outside of the picture of {size!r} pixels")
        if len(points) == 2 and not (points[0][0] < points[1][0] and points[0][1] < points[1][1]):
            raise DataError(f"bbox {box!r} has no area; give x_min, y_min, x_max, y_max")
        bins += encode_points(points, size).ravel().tolist()
    return bins
