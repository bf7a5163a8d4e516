"""A look at the first batches before the first step, by rules and by eye.

Most failed fine-tunings fail here: answers cut at a length, padding in the loss, coordinates
spelled letter by letter, one answer for everything. `check_batches` refuses them with the reason;
`preview` draws what the model will be taught, from the tensors that it will be taught with.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from florence2.answers import parse_answer
from florence2.answers.tokens import FOREIGN_LOCATION
from florence2.drawing import draw
from florence2.drawing.contact_sheet import GAP, contact_sheet
from florence2.drawing.fonts import ELLIPSIS, TextRenderer, one_line
from florence2.errors import DataError, writing
from florence2.locations import NUM_BINS
from florence2.model.config import Florence2Config
from florence2.model.florence2 import IGNORE_INDEX
from florence2.processing.images import IMAGE_MEAN, IMAGE_STD
from florence2.processing.tokenizer import Tokenizer
from florence2.tasks import Task, asked_words, task_column
from florence2.training.batches import Batch

# So many equal answers are hardly chance, and tasks with fewer rows are not judged.
MIN_ROWS = 8

_SPELLED_LOCATION = re.compile(r"<loc_-?[0-9.]*>?")
_EXCERPT = 60  # characters of an answer in a message

_PAGE_WIDTH = 4 * (768 + GAP) + GAP  # four pictures of the published size
_PREVIEW_ROWS = 16
_FONT_SIZE = 13
_INK, _PAPER = (30, 30, 30), (255, 255, 255)


@dataclass(frozen=True)
class BatchReport:
    """What the first batches hold.

    Attributes:
        rows: rows looked at.
        rows_of_tasks: how many of them ask each task, the most frequent first.
        empty_rows: rows whose answer is nothing, as for a picture without objects.
        longest_prompt, longest_answer: tokens, `<s>` and `</s>` included.
        max_prompt, max_answer: what the model has positions for.
    """

    rows: int
    rows_of_tasks: tuple[tuple[Task | None, int], ...]
    empty_rows: int
    longest_prompt: int
    longest_answer: int
    max_prompt: int
    max_answer: int

    def describe(self) -> str:
        """The findings in plain words, one to a line."""
        counts = self.rows_of_tasks
        tasks = ", ".join(f"{task_column(task)} {count:,}" for task, count in counts)
        return "\n".join(
            (
                f"rows     {self.rows:,} ({tasks})",
                f"prompts  up to {self.longest_prompt:,} of {self.max_prompt:,} tokens",
                f"answers  up to {self.longest_answer:,} of {self.max_answer:,} tokens,"
                f" {self.empty_rows:,} empty",
            )
        )


@dataclass(frozen=True)
class _Row:
    """One row without its padding."""

    place: str
    task: Task | None
    prompt_ids: list[int]
    label_ids: list[int]


def check_batches(
    batches: Sequence[Batch],
    tokenizer: Tokenizer,
    config: Florence2Config,
    varied: Collection[Task | None] = (),
) -> BatchReport:
    """Refuse batches from which the model would learn something else than meant.

    Args:
        varied: tasks whose records have different answers, whatever these batches hold.

    Raises:
        DataError: says what is wrong, with the first row where it is.
    """
    for number, batch in enumerate(batches):
        _check_positions(batch, number, config)
    rows = [row for number, batch in enumerate(batches) for row in _rows(batch, number)]
    if not rows:
        raise DataError("there is no row to look at before training; give at least one batch")
    _check_rows(rows, tokenizer, config)
    _check_variety(rows, tokenizer, varied)
    side = batches[0].pixels.shape[-1]
    positions = config.text.max_position_embeddings
    return BatchReport(
        rows=len(rows),
        rows_of_tasks=tuple(Counter(row.task for row in rows).most_common()),
        empty_rows=sum(len(row.label_ids) == 2 for row in rows),
        longest_prompt=max(len(row.prompt_ids) for row in rows),
        longest_answer=max(len(row.label_ids) for row in rows),
        max_prompt=positions - config.num_image_tokens(side),
        max_answer=positions,
    )


def _rows(batch: Batch, number: int) -> Iterator[_Row]:
    for index, task in enumerate(batch.tasks):
        labels = batch.labels[index].tolist()
        while labels and labels[-1] == IGNORE_INDEX:
            labels.pop()
        prompt = batch.prompt_ids[index][batch.prompt_mask[index].bool()].tolist()
        yield _Row(f"row {index} of batch {number}", task, prompt, labels)


# ---- rules for a batch, for a row, for all rows


def _check_positions(batch: Batch, number: int, config: Florence2Config) -> None:
    """Also padding takes positions."""
    positions = config.text.max_position_embeddings
    if (length := batch.labels.shape[1]) > positions:
        raise DataError(
            f"the longest answer of batch {number} has {length:,} tokens but the decoder has"
            f" {positions:,} positions; leave out or shorten such records (cutting tokens off"
            " would teach the model not to stop)"
        )
    image_tokens = config.num_image_tokens(batch.pixels.shape[-1])
    if (length := batch.prompt_ids.shape[1]) > positions - image_tokens:
        raise DataError(
            f"the longest prompt of batch {number} has {length:,} tokens; beside the"
            f" {image_tokens:,} tokens of a picture the encoder has {positions - image_tokens:,}"
            " positions: shorten the text input or choose a smaller picture side"
        )


def _check_rows(rows: Sequence[_Row], tokenizer: Tokenizer, config: Florence2Config) -> None:
    vocab_size = min(tokenizer.vocab_size, config.text.vocab_size)
    faults = [
        (row, fault)
        for row in rows
        if (fault := _prompt_fault(row.prompt_ids, tokenizer, vocab_size))
        or (fault := _label_fault(row, tokenizer, vocab_size))
    ]
    if faults:
        row, fault = faults[0]
        raise DataError(
            f"{len(faults):,} of {len(rows):,} rows cannot be trained on; the first is {row.place}"
            f" ({task_column(row.task)}, answer {_excerpt(row.label_ids, tokenizer)!r}): {fault}"
        )


def _prompt_fault(ids: Sequence[int], tokenizer: Tokenizer, vocab_size: int) -> str | None:
    if outside := _outside(ids, vocab_size):
        return f"its prompt has the token id {outside[0]}, but the vocabulary has {vocab_size:,}"
    if tokenizer.pad_id in ids:
        return "its prompt has padding that prompt_mask does not hide; set the mask to 0 there"
    if ids[:1] != [tokenizer.bos_id] or ids[-1:] != [tokenizer.eos_id]:
        return "its prompt is not <s> ... </s>, so it was cut or wrapped by another tokenizer"
    if len(ids) == 2:
        return "its prompt is empty, so the model cannot know what is asked"
    return None


def _label_fault(row: _Row, tokenizer: Tokenizer, vocab_size: int) -> str | None:
    ids = row.label_ids
    if not ids:
        return f"it has no label, all are {IGNORE_INDEX}; an empty answer is <s></s>"
    if tokenizer.pad_id in ids:
        return (
            f"its labels hold padding (<pad>, id {tokenizer.pad_id}) that takes part in the loss;"
            f" pad labels with {IGNORE_INDEX}"
        )
    if IGNORE_INDEX in ids:
        return (
            f"its labels are {IGNORE_INDEX} inside the answer, which the decoder would read as"
            " padding; give all tokens of an answer"
        )
    if outside := _outside(ids, vocab_size):
        return (
            f"its labels have the token id {outside[0]}, but the vocabulary has {vocab_size:,};"
            " use the tokenizer of the checkpoint"
        )
    if ids[-1] != tokenizer.eos_id:
        return (
            f"its labels are truncated, they end without </s> after {len(ids):,} tokens, and the"
            " model would learn not to stop; leave such records out or allow longer answers"
        )
    if ids[0] != tokenizer.bos_id:
        return (
            "its labels do not begin with <s>; the model itself puts the start token in front,"
            " once, so give <s> ... </s> unshifted"
        )
    return _text_fault(ids, row.task, tokenizer)


def _text_fault(ids: Sequence[int], task: Task | None, tokenizer: Tokenizer) -> str | None:
    if spelled := _spelled_location(ids, tokenizer):
        return (
            f"{spelled!r} is spelled in letters, it is no location token: these end at"
            f" <loc_{NUM_BINS - 1}> and need the checkpoint's tokenizer; make answers by"
            " format_answer"
        )
    result = parse_answer(tokenizer.decode(ids), task, (NUM_BINS, NUM_BINS))
    if task is not None and result.malformed:
        return (
            f"the answer breaks the grammar of {task.token} ({result.malformed:,} faults), so"
            " that no parser would read it back; make answers by format_answer"
        )
    return None


def _outside(ids: Sequence[int], vocab_size: int) -> list[int]:
    return [each for each in ids if not 0 <= each < vocab_size]


def _spelled_location(ids: Sequence[int], tokenizer: Tokenizer) -> str | None:
    """A location written with ordinary tokens, looked for between the real ones."""
    first, last = tokenizer.loc_begin, tokenizer.loc_begin + NUM_BINS
    words = [tokenizer.eos_id if first <= each < last else each for each in ids]
    text = tokenizer.decode(words)
    found = _SPELLED_LOCATION.search(text) or FOREIGN_LOCATION.search(text)
    return found[0] if found else None


def _check_variety(
    rows: Sequence[_Row], tokenizer: Tokenizer, varied: Collection[Task | None]
) -> None:
    """Answers that are all empty or all the same teach to ignore the picture."""
    groups = [] if varied else [("all tasks", list(rows))]
    for task in dict.fromkeys(row.task for row in rows):
        if task not in varied:
            groups.append((asked_words(task), [row for row in rows if row.task is task]))
    for name, group in groups:
        answers = {tuple(row.label_ids) for row in group}
        whole = len(group) == len(rows)
        if len(answers) > 1 or (len(group) < MIN_ROWS and not (whole and _empty(group))):
            continue
        if _empty(group):
            raise DataError(
                f"all {len(group):,} answers of {name} are empty (<s></s>), and the model would"
                " learn to say nothing; look at how the records are read, or show more batches"
            )
        raise DataError(
            f"all {len(group):,} answers of {name} are the same,"
            f" {_excerpt(group[0].label_ids, tokenizer)!r}, and the model would learn this one"
            " answer to any picture; look at how the records are read, or show more batches if it"
            " is chance"
        )


def _empty(rows: Sequence[_Row]) -> bool:
    return all(len(row.label_ids) == 2 for row in rows)


def _excerpt(ids: Sequence[int], tokenizer: Tokenizer) -> str:
    text = tokenizer.decode(ids)
    return text if len(text) <= _EXCERPT else text[:_EXCERPT] + ELLIPSIS


# ---- for the eye


def preview(batch: Batch, tokenizer: Tokenizer, path: str | Path) -> Path:
    """Write a picture of the first rows of a batch as the model gets them; returns its path.

    Above each picture stands the prompt, on it what its labels say, below it the labels as text.
    """
    tiles = [_tile(batch, index, tokenizer) for index in range(len(batch.tasks))[:_PREVIEW_ROWS]]
    widths = [tile.width + GAP for tile in tiles]
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    width = GAP + max(max(widths), min(sum(widths), _PAGE_WIDTH - GAP))
    with writing(path):
        contact_sheet(tiles, width).save(path)
    return path


def picture_of(pixels_CHW: Tensor) -> Image.Image:
    """Undo the normalisation of a picture."""
    mean, std = (np.array(each)[:, None, None] for each in (IMAGE_MEAN, IMAGE_STD))
    values = pixels_CHW.float().cpu().numpy() * std + mean
    levels: NDArray[np.uint8] = np.clip(np.rint(255 * values), 0, 255).astype(np.uint8)
    return Image.fromarray(levels.transpose(1, 2, 0))


def _tile(batch: Batch, index: int, tokenizer: Tokenizer) -> Image.Image:
    picture, task = picture_of(batch.pixels[index]), batch.tasks[index]
    labels = batch.labels[index]
    answer = tokenizer.decode(labels[labels != IGNORE_INDEX].tolist())
    prompt = tokenizer.decode(batch.prompt_ids[index][batch.prompt_mask[index].bool()].tolist())
    drawn = draw(picture, parse_answer(answer, task, picture.size))
    above = _note(f"{task_column(task)} {prompt}", drawn.width)
    below = _note(answer, drawn.width)
    tile = Image.new("RGB", (drawn.width, above.height + drawn.height + below.height), _PAPER)
    tile.paste(above, (0, 0))
    tile.paste(drawn, (0, above.height))
    tile.paste(below, (0, above.height + drawn.height))
    return tile


def _note(text: str, width: int, max_lines: int = 4) -> Image.Image:
    """A text on white, cut after a few lines."""
    renderer = TextRenderer([text, ELLIPSIS], _FONT_SIZE)
    lines = renderer.wrapped(one_line(text), width)
    if len(lines) > max_lines:
        lines[max_lines - 1 :] = [renderer.ellipsized(lines[max_lines - 1] + ELLIPSIS, width)]
    row = round(1.4 * _FONT_SIZE)
    note = Image.new("RGB", (width, row * len(lines) + row // 2), _PAPER)
    for number, line in enumerate(lines):
        renderer.paint(note, line, (0, row * number + row // 2 + 2), _INK)
    return note
