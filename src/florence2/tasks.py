"""The 15 tasks of Florence-2: one row each, and nothing about a task is written anywhere else."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from numbers import Integral

from florence2.errors import TaskError, did_you_mean

AND = "<and>"  # between the classes that open-vocabulary detection is asked for
OWN_PROMPT = "own prompt"  # in reports, where the token of a task would stand
IMAGE_PLACEHOLDER = "<image>"
_PLACEHOLDER = re.compile(rf"\s*{IMAGE_PLACEHOLDER}\s*")
_REGION_TEXT = re.compile(r"\s*" + r"<loc_([0-9]{1,3})>\s*" * 4)


class InputKind(Enum):
    """What a task needs beside the image."""

    NOTHING = "nothing"
    TEXT = "text"
    REGION = "region"


class AnswerKind(Enum):
    """The grammar of an answer; see `florence2.answers`."""

    TEXT = "text"  # plain text; region tasks may append location tokens
    CLASS_BOXES = "class boxes"  # a label, then all boxes of that class
    PHRASE_BOXES = "phrase boxes"  # a phrase, then its boxes; phrases in their own order
    BOXES = "boxes"  # boxes only
    QUADS = "quads"  # a text, then the four corners around it
    POLYGONS = "polygons"  # polygons only
    BOXES_OR_POLYGONS = "boxes or polygons"  # a label before every box or polygon object


@dataclass(frozen=True)
class _Row:
    """The columns of the task table."""

    token: str  # what users write, "<OD>"; no token of the vocabulary
    template: str  # the sentence sent to the text encoder
    input_kind: InputKind
    answer_kind: AnswerKind


class Task(_Row, Enum):
    """One thing that Florence-2 was trained to do.

    >>> Task.parse("od")
    Task.OD
    >>> Task.OD.token, Task.OD.prompt()
    ('<OD>', 'Locate the objects with category name in the image.')
    """

    CAPTION = (
        "<CAPTION>",
        "What does the image describe?",
        InputKind.NOTHING,
        AnswerKind.TEXT,
    )
    DETAILED_CAPTION = (
        "<DETAILED_CAPTION>",
        "Describe in detail what is shown in the image.",
        InputKind.NOTHING,
        AnswerKind.TEXT,
    )
    MORE_DETAILED_CAPTION = (
        "<MORE_DETAILED_CAPTION>",
        "Describe with a paragraph what is shown in the image.",
        InputKind.NOTHING,
        AnswerKind.TEXT,
    )
    OD = (
        "<OD>",
        "Locate the objects with category name in the image.",
        InputKind.NOTHING,
        AnswerKind.CLASS_BOXES,
    )
    DENSE_REGION_CAPTION = (
        "<DENSE_REGION_CAPTION>",
        "Locate the objects in the image, with their descriptions.",
        InputKind.NOTHING,
        AnswerKind.PHRASE_BOXES,
    )
    REGION_PROPOSAL = (
        "<REGION_PROPOSAL>",
        "Locate the region proposals in the image.",
        InputKind.NOTHING,
        AnswerKind.BOXES,
    )
    OCR = (
        "<OCR>",
        "What is the text in the image?",
        InputKind.NOTHING,
        AnswerKind.TEXT,
    )
    OCR_WITH_REGION = (
        "<OCR_WITH_REGION>",
        "What is the text in the image, with regions?",
        InputKind.NOTHING,
        AnswerKind.QUADS,
    )
    CAPTION_TO_PHRASE_GROUNDING = (
        "<CAPTION_TO_PHRASE_GROUNDING>",
        "Locate the phrases in the caption: {input}",
        InputKind.TEXT,
        AnswerKind.PHRASE_BOXES,
    )
    OPEN_VOCABULARY_DETECTION = (
        "<OPEN_VOCABULARY_DETECTION>",
        "Locate {input} in the image.",
        InputKind.TEXT,
        AnswerKind.BOXES_OR_POLYGONS,
    )
    REFERRING_EXPRESSION_SEGMENTATION = (
        "<REFERRING_EXPRESSION_SEGMENTATION>",
        "Locate {input} in the image with mask",
        InputKind.TEXT,
        AnswerKind.POLYGONS,
    )
    REGION_TO_SEGMENTATION = (
        "<REGION_TO_SEGMENTATION>",
        "What is the polygon mask of region {input}",
        InputKind.REGION,
        AnswerKind.POLYGONS,
    )
    REGION_TO_CATEGORY = (
        "<REGION_TO_CATEGORY>",
        "What is the region {input}?",
        InputKind.REGION,
        AnswerKind.TEXT,
    )
    REGION_TO_DESCRIPTION = (
        "<REGION_TO_DESCRIPTION>",
        "What does the region {input} describe?",
        InputKind.REGION,
        AnswerKind.TEXT,
    )
    REGION_TO_OCR = (
        "<REGION_TO_OCR>",
        "What text is in the region {input}?",
        InputKind.REGION,
        AnswerKind.TEXT,
    )

    def __repr__(self) -> str:
        return f"Task.{self.name}"

    @property
    def needs_text(self) -> bool:
        """Whether the task needs words from the user."""
        return self.input_kind is InputKind.TEXT

    @property
    def needs_region(self) -> bool:
        """Whether the task needs a box."""
        return self.input_kind is InputKind.REGION

    @property
    def needs_input(self) -> bool:
        """Whether the task needs anything beside the image."""
        return self.input_kind is not InputKind.NOTHING

    @property
    def is_caption(self) -> bool:
        """Whether the answer tells in words what the whole image shows."""
        return self in (Task.CAPTION, Task.DETAILED_CAPTION, Task.MORE_DETAILED_CAPTION)

    @property
    def reads_text(self) -> bool:
        """Whether the answer is text that stands in the image."""
        return self in (Task.OCR, Task.OCR_WITH_REGION, Task.REGION_TO_OCR)

    @property
    def asks_phrases(self) -> bool:
        """Whether the user names things that may or may not be there, and boxes answer."""
        return self in (Task.CAPTION_TO_PHRASE_GROUNDING, Task.OPEN_VOCABULARY_DETECTION)

    @classmethod
    def parse(cls, task: "str | Task") -> "Task":
        """Return the task that a user means by `Task.OD`, `"<OD>"` or `"od"`."""
        if isinstance(task, cls):
            return task
        name = ""
        if isinstance(task, str):
            name = task.strip().removeprefix("<").removesuffix(">").upper()
            name = re.sub(r"[\s-]", "_", name)
        if name in cls.__members__:
            return cls[name]
        names = [member.name.lower() for member in cls]
        hint = did_you_mean(name.lower(), names)
        raise TaskError(f"task {task!r} is unknown; choose one of {', '.join(names)}{hint}")

    def prompt(self, text_input: str = "", region_bins: Sequence[int] | None = None) -> str:
        """Fill the template, refusing missing or surplus input.

        Args:
            text_input: the words of a task that needs text; surrounding space is dropped. A
                region may come this way too, written as four location tokens.
            region_bins: `x_min, y_min, x_max, y_max` in bins, for a task that needs a region.

        >>> Task.CAPTION_TO_PHRASE_GROUNDING.prompt("a red car")
        'Locate the phrases in the caption: a red car'
        >>> Task.REGION_TO_CATEGORY.prompt(region_bins=[52, 332, 932, 774])
        'What is the region <loc_52><loc_332><loc_932><loc_774>?'
        """
        words = text_input.strip()
        if not self.needs_region and region_bins is not None:
            raise TaskError(
                f"task {self.token!r} takes no region; got {region_bins!r}; leave the region out"
            )
        if self.needs_region:
            words = self._region(words, region_bins)
        elif self.needs_text and not words:
            raise TaskError(f"task {self.token!r} needs text input; got {text_input!r}; give words")
        elif words and not self.needs_text:
            raise TaskError(
                f"task {self.token!r} takes no text input; got {text_input!r}; leave the text out"
            )
        return self.template.replace("{input}", words)

    def _region(self, words: str, region_bins: Sequence[int] | None) -> str:
        """Write the region of a task that needs one as four location tokens."""
        from florence2.locations import NUM_BINS, location_tokens  # NumPy: not for --help

        if words and region_bins is not None:
            raise TaskError(
                f"task {self.token!r} takes one region; got {words!r} and {region_bins!r}; give "
                "one of the two"
            )
        if region_bins is None and not words:
            raise TaskError(
                f"task {self.token!r} needs a region and got none; give its corners x_min, y_min, "
                "x_max, y_max in pixels, or four location tokens as the text"
            )
        given = words if region_bins is None else list(region_bins)
        if region_bins is None:
            match = _REGION_TEXT.fullmatch(words)
            region_bins = [int(value) for value in match.groups()] if match else []
        bins = [int(value) for value in region_bins if isinstance(value, Integral)]
        inside = len(bins) == len(region_bins) == 4 and 0 <= min(bins) <= max(bins) < NUM_BINS
        if not inside or bins[0] > bins[2] or bins[1] > bins[3]:
            raise TaskError(
                f"task {self.token!r} needs a region; got {given!r}; give x_min, y_min, x_max, "
                f"y_max in bins from 0 to {NUM_BINS - 1}, as four integers or location tokens"
            )
        return location_tokens(bins)


def parse_optional(task: "str | Task | None") -> Task | None:
    """`Task.parse`, or `None` for a prompt of a checkpoint's own that is asked without a task."""
    return None if task is None else Task.parse(task)


def asked_words(task: Task | None) -> str:
    """What messages call a task, or a prompt without one.

    >>> asked_words(Task.OD), asked_words(None)
    ("task '<OD>'", 'a prompt without a task')
    """
    return "a prompt without a task" if task is None else f"task {task.token!r}"


def task_column(task: Task | None) -> str:
    """What reports call a task, or a prompt without one: `<OD>` or `own prompt`."""
    return OWN_PROMPT if task is None else task.token


def task_name(task: Task | None) -> str:
    """What files and numbers call a task, or a prompt without one: `od` or `prompt`."""
    return "prompt" if task is None else task.name.lower()


def without_placeholder(prompt: str) -> str:
    """A prompt without the `<image>` that other programs put where the picture goes.

    This model gets the picture apart, in front of every prompt. The space around the placeholder
    goes with it; all else stays to the letter.

    >>> without_placeholder("<image>\\nWhat is the total? ")
    'What is the total? '
    """
    return _PLACEHOLDER.sub(_joined, prompt)


def _joined(match: re.Match[str]) -> str:
    """Nothing at an end of the prompt, a space inside it."""
    inside = match.start() > 0 and match.end() < len(match.string)
    return " " if inside and match[0] != IMAGE_PLACEHOLDER else ""


CAPTION_TASKS = tuple(task for task in Task if task.is_caption)


def join_classes(names: Iterable[str]) -> str:
    """The text that asks open-vocabulary detection for classes; `split_classes` is the inverse.

    >>> join_classes(["car", "bus"])
    'car<and>bus'
    """
    return AND.join(checked_names(names))


def checked_names(names: Iterable[str], what: str = "classes") -> list[str]:
    """A list of names, which tables, such as those of pandas, like to mix with other things.

    >>> checked_names(["car", None])
    Traceback (most recent call last):
    florence2.errors.TaskError: classes are names; got None among them; give texts alone
    """
    if isinstance(names, str | bytes) or not isinstance(names, Iterable):
        raise TaskError(f"{what} are a list of names; got {names!r}; give a list of texts")
    found = list(names)
    for name in found:
        if not isinstance(name, str):
            raise TaskError(f"{what} are names; got {name!r} among them; give texts alone")
    return found


def split_classes(text_input: str) -> list[str]:
    """The classes that a text asks open-vocabulary detection for.

    >>> split_classes("car <and> bus")
    ['car', 'bus']
    """
    return [name.strip() for name in text_input.split(AND)]
