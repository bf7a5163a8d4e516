"""A row with named columns as records: what its picture is, and what its other columns answer.

    question and answer(s)     a prompt of one's own, `<DocVQA>` and the question
    objects                    boxes `x, y, width, height` with names: `<OD>`
    caption, text, comment     `<CAPTION>`
    transcription, words       `<OCR>`
    label, class, category     `<REGION_TO_CATEGORY>` of the whole picture

Without tasks, the first of these that a row has is read. With tasks, each takes the column that
answers it; a text without a better column may be the answer of any task of texts.
"""

import ast
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from florence2.data.class_names import ClassNames, class_name
from florence2.data.conversations import conversation_records, is_conversation
from florence2.data.objects import OBJECT_TASKS, object_records
from florence2.data.questions import answer_text, question_records
from florence2.data.recognition import part_column
from florence2.data.records import Record
from florence2.data.report import Problem, ReadReport
from florence2.data.row_objects import (
    BOX_COLUMNS,
    NAME_COLUMNS,
    RowObjects,
    boxes_are_corners,
    plain_column,
)
from florence2.data.row_pictures import PicturePlaces, RowPicture
from florence2.errors import DataError, Florence2Error, error_or
from florence2.geometry import Size
from florence2.results import Text
from florence2.tasks import CAPTION_TASKS, Task

Row = Mapping[str, Any]
QUESTION_TOKEN = "<DocVQA>"
"""What stands before a question, as in the fine-tuning recipe that most follow."""

_NUMBERS = ("name", "id", "id_code", "uuid")  # of a row, which may be those of its picture
PICTURE_COLUMNS = (
    *("file_name", "image", "images", "image_file", "image_path", "image_name", "image_file_name"),
    *("filename", "filepath", "file_path", "file", "path", "img", "img_path", "img_name"),
    *("imgname", "image_local_name", "picture", "photo", "image_id", "imageid", "img_id"),
    *_NUMBERS,
)
# Prompts and answers that are taken word for word.
_PROMPTS = (
    *(("prefix", "suffix"), ("prompt", "response"), ("prompt", "completion")),
    ("instruction", "output"),
)
_QUESTIONS = ("question", "query")
_QUESTIONS_INSIDE = ("qas", "qa", "qa_pairs")  # lists of questions and answers about one picture
_ANSWERS = ("answers", "answer", "direct_answers", "multiple_choice_answer", "response")
_TEXTS: Mapping[str, tuple[str, ...]] = {
    "caption": (
        *("caption", "captions", "text", "comment", "comments", "description", "sentence"),
        *("sentences", "caption_str", "detailed_caption", "more_detailed_caption"),
    ),
    "words": (
        *("transcription", "words", "word", "identity", "ocr", "ocr_text", "transcript"),
        *("gt_text", "ground_truth_text"),
    ),
    "label": (
        *("label", "labels", "class", "classes", "category", "class_name", "category_name"),
        *("label_name", "target", "breed", "species"),
    ),
    "title": ("title", "prompt"),  # captions where nothing else is
}
_TASK_OF_COLUMN = {task.token[1:-1].lower(): task for task in CAPTION_TASKS}
_DEFAULT = {
    "caption": Task.CAPTION,
    "words": Task.OCR,
    "label": Task.REGION_TO_CATEGORY,
    "title": Task.CAPTION,
}
# Which columns may answer a task of texts, the surest first.
_ANSWERING = {
    **dict.fromkeys(CAPTION_TASKS, ("caption", "title", "words", "open")),
    Task.OCR: ("words", "caption", "label", "open"),
    Task.REGION_TO_CATEGORY: ("label", "objects", "caption", "words", "open"),
}
_UNREADABLE = ("###", "*", "unreadable")  # what stands for words that nobody could read


@dataclass
class RowReader:
    """What the rows of one file share.

    Attributes:
        places: where their pictures may be.
        report: counts what cannot be used.
        tasks: what to ask; what the columns are made for if none is given.
        names: of the classes that rows give as numbers.
        corners: whether boxes are two corners, not a corner and a size.
        letters: whether a class given as digits is called so; otherwise it is a number, and needs a
            name.
        repeated: pictures that several rows have objects of, so that none tells all of them.
        told: columns and tasks that the report names already.
    """

    places: PicturePlaces
    report: ReadReport
    tasks: Sequence[Task] = ()
    names: ClassNames = field(default_factory=dict)
    corners: bool = False
    letters: bool = False
    repeated: set[str] = field(default_factory=set)
    told: set[tuple[str, Task]] = field(default_factory=set)

    def look_at_boxes(self, name: str, rows: Callable[[], Iterable[tuple[str, Row]]]) -> None:
        """Find out from all rows of a file whether boxes are corners, and which pictures return."""
        names = Counter(picture.key for _, picture in self._boxes_and_pictures(rows()))
        self.repeated = {name for name, count in names.items() if name and count > 1}
        self.corners = boxes_are_corners(lambda: self._boxes_and_pictures(rows()))
        if self.corners:
            what = "all can be x_min, y_min, x_max, y_max, not all x, y, width, height"
            self.report.add(Problem.CORNERS, name, what)

    def _boxes_and_pictures(
        self, rows: Iterable[tuple[str, Row]]
    ) -> Iterator[tuple[Any, RowPicture]]:
        for where, row in rows:
            plain = {plain_column(key): value for key, value in row.items()}
            cells = error_or(_with_objects, plain)
            if isinstance(cells, Florence2Error) or is_conversation(cells):
                continue
            if "objects" in cells:
                picture = RowPicture(picture_cell(cells), self.places, where, _size(cells))
                yield cells["objects"], picture

    def records(self, row: Row, where: str) -> Iterator[Record]:
        """Yield the records of a row; count what cannot be used of it."""
        cells: Row = {plain_column(key): value for key, value in row.items()}
        if inside := _rows_inside(cells):
            for each in inside:
                yield from self.records(each, where)
            return
        picture = RowPicture(picture_cell(cells), self.places, where, _size(cells))
        for asked, answered in _PROMPTS:
            if {asked, answered} <= cells.keys():
                cells = {**cells, "query": _prompt(cells, asked), "response": cells[answered]}
        if is_conversation(cells):
            named = {key: cells[key] for key in cells if key not in _NUMBERS}
            picture = RowPicture(picture_cell(named), self.places, where)
            yield from conversation_records(cells, picture, self.tasks, self.report)
            return
        try:
            cells = _with_objects(cells)
        except Florence2Error as error:
            picture.tell(Problem.ROW, error, self.report)
            return
        there = _kinds(cells)
        wanted = [self._column(task, there, cells) for task in self.tasks]
        if not self.tasks:
            kind = next((kind for kind in there if kind != "open"), None)
            wanted = [(kind, there[kind], None) if kind else None]
        chosen = [each for each in wanted if each is not None]
        if "question" in there and (not self.tasks or not chosen):
            yield from self._answers(cells, there["question"], picture)
            return
        if not chosen:
            self._tell_of_no_answer(row, picture, bool(there.keys() - {"open"}))
            return
        objects = [task or Task.OD for kind, _, task in chosen if kind == "objects"]
        if objects:
            yield from self._objects(there["objects"], cells, picture, objects)
        for kind, column, task in chosen:
            if kind != "objects":
                task = task or _TASK_OF_COLUMN.get(column, _DEFAULT[kind])
                yield from self._texts(cells[column], column, picture, task)

    def _column(
        self, task: Task, there: Mapping[str, str], cells: Row
    ) -> tuple[str, str, Task | None] | None:
        if (own := task.token[1:-1].lower()) in _TASK_OF_COLUMN and own in cells:
            return "caption", own, task
        kinds = _ANSWERING.get(task, ("objects",) if task in OBJECT_TASKS else ())
        return next(((kind, there[kind], task) for kind in kinds if kind in there), None)

    def _tell_of_no_answer(self, row: Row, picture: RowPicture, other_task: bool) -> None:
        if other_task and self.tasks:
            asked = ", ".join(task.token for task in self.tasks)
            picture.tell(Problem.OTHER_TASK, f"no column answers {asked}", self.report)
            return
        columns = ", ".join(map(str, row)) or "none"
        what = f"no column tells what its text is (there: {columns}); call it caption, words or"
        what += " label, or choose the task: caption, ocr or region_to_category"
        picture.tell(Problem.ROW, what, self.report)

    def _answers(self, cells: Row, column: str, picture: RowPicture) -> Iterator[Record]:
        question = cells[column]
        given = next((cells[name] for name in _answer_columns(cells)), None)
        answers = [each for each in _listed(given) if not isinstance(each, str) or each.strip()]
        if not isinstance(question, str) or not question.strip() or not answers:
            what = "a question without an answer" if question else "no question"
            picture.tell(Problem.NO_TEXT, f"{what}: {question!r}", self.report)
            return
        if picture.find(self.report) is None:
            return
        is_own = not question.lstrip().startswith("<")
        prompt = f"{QUESTION_TOKEN}{question.strip()}" if is_own else question
        for answer in answers:
            try:
                text = answer_text(answer, "answer", self.report, picture.where)
            except Florence2Error as error:
                picture.tell(Problem.ANSWER, error, self.report)
                continue
            yield from question_records(picture, prompt, text, self.tasks, self.report)

    def _texts(self, cell: Any, column: str, picture: RowPicture, task: Task) -> Iterator[Record]:
        if (column, task) not in self.told:
            self.told.add((column, task))
            self.report.add(Problem.COLUMN, picture.where, f"{column!r} is read as {task.token}")
        found = picture.find(self.report)
        if found is None:
            return
        image, size = found
        for each in _listed(cell) or [None]:
            try:
                text = self._text(each, column, task, picture.where)
            except Florence2Error as error:
                picture.tell(Problem.NO_TEXT, error, self.report)
                continue
            region = (0.0, 0.0, float(size[0]), float(size[1])) if task.needs_region else None
            result = Text(text, image_size=size)
            record = Record(image, task, "", region, result, picture.where)
            yield from self.report.accept(record, picture.where)

    def _text(self, cell: Any, column: str, task: Task, where: str) -> str:
        if task is Task.REGION_TO_CATEGORY:
            cell = class_name(cell, (column,), self.names, self.letters)
        text = answer_text(cell, column, self.report, where).strip()
        if not text:
            raise DataError(f"column {column!r} is empty")
        if task is Task.OCR and text.lower() in _UNREADABLE:
            raise DataError(f"column {column!r} is {text!r}: nobody could read it")
        return text

    def _objects(
        self, column: str, cells: Row, picture: RowPicture, tasks: Sequence[Task]
    ) -> Iterator[Record]:
        found = picture.find(self.report)
        if found is None:
            return
        if picture.key in self.repeated:
            what = "several rows have objects of this picture, so that none tells all of them"
            picture.tell(Problem.DUPLICATE, what, self.report)
            return
        objects = RowObjects(column, self.names, self.corners, self.letters, self.report)
        try:
            labelled = objects.of_picture(cells[column], *found, picture.where)
        except Florence2Error as error:
            picture.tell(Problem.ROW, error, self.report)
            return
        yield from object_records(labelled, tasks, self.report)


def _rows_inside(cells: Row) -> list[Row]:
    """A row for each of the questions that one row lists about its picture, if it does."""
    name = next((name for name in _QUESTIONS_INSIDE if name in cells), None)
    inside = cells[name] if name else None
    if not isinstance(inside, list) or not all(isinstance(each, Mapping) for each in inside):
        return []
    others = {key: value for key, value in cells.items() if key != name}
    return [{**others, **each} for each in inside]


def _prompt(cells: Row, column: str) -> Any:
    """What is asked; Alpaca puts what it is about into a column of its own."""
    about = cells.get("input") if column == "instruction" else None
    return f"{cells[column]}\n{about}" if about else cells[column]


def _with_objects(cells: Row) -> Row:
    """A row whose boxes stand beside its other columns, with these as its objects.

    Raises:
        DataError: a row is about a part of its picture, so that its text is not one of the whole.
    """
    given = [name for name, value in cells.items() if value is not None]
    part = next((name for name in BOX_COLUMNS if name in given), part_column(given))
    if part is None or "objects" in cells or is_conversation(cells) or "question" in _kinds(cells):
        return cells
    boxes = cells[part]
    beside = [name for name in NAME_COLUMNS if isinstance(cells.get(name), list)]
    if isinstance(boxes, list) and not (boxes and isinstance(boxes[0], int | float)) and beside:
        return {**cells, "objects": {part: boxes, beside[0]: cells[beside[0]]}}
    raise DataError(
        f"{part!r} says that the row is about a part of its picture; write one row for each"
        " picture, with all of its objects: {'bbox': [[x, y, width, height]], 'category': [name]}"
    )


def picture_cell(cells: Row) -> Any:
    """What a row says of its picture; `None` where it says nothing."""
    for name in PICTURE_COLUMNS:
        if cells.get(name) not in (None, "", []):
            return cells[name]
    named = [value for key, value in cells.items() if key.endswith("_file_name") and value]
    return named if named else None  # several are refused, as which is asked about is open


def answers_something(columns: Iterable[str]) -> bool:
    """Tell whether columns of these names hold a picture and what can be asked about it."""
    cells = {plain_column(name): name for name in columns}
    there = bool(_kinds(cells).keys() - {"open"}) or is_conversation(cells)
    return picture_cell(cells) is not None and (
        there or any(set(p) <= set(cells) for p in _PROMPTS)
    )


def _kinds(cells: Row) -> dict[str, str]:
    """The columns that answer something, by kind and in the order of preference."""
    found = {}
    question = next((name for name in _QUESTIONS if name in cells), None)
    if question and _answer_columns(cells):
        found["question"] = question
    if "objects" in cells:
        found["objects"] = "objects"
    for kind, names in _TEXTS.items():
        if column := next((name for name in names if name in cells), None):
            found[kind] = column
    others = [
        name
        for name, value in cells.items()
        if name not in PICTURE_COLUMNS and isinstance(value, str)
    ]
    if not found and len(others) == 1:
        found["open"] = others[0]
    return found


def _answer_columns(cells: Row) -> list[str]:
    names = (*_ANSWERS, *(_TEXTS["label"][:1]))  # ChartQA has query and label
    return [name for name in names if name in cells]


def _listed(cell: Any) -> list[Any]:
    """The different texts of a cell that holds one or several."""
    if isinstance(cell, str) and cell.strip().startswith("["):
        try:
            found = ast.literal_eval(cell.strip())
            cell = found if found and all(isinstance(each, str) for each in found) else cell
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            pass
    each = cell if isinstance(cell, list) else [] if cell is None else [cell]
    texts = [row.get("answer", row.get("raw")) if isinstance(row, Mapping) else row for row in each]
    different: list[Any] = []
    for text in texts:
        if text not in different:
            different.append(text)
    return different


def _size(cells: Row) -> Size | None:
    """The size that a row tells of its picture."""
    size = cells.get("width"), cells.get("height")
    if "objects" not in cells or not all(isinstance(side, int) and side > 0 for side in size):
        return None
    return size  # type: ignore[return-value]
