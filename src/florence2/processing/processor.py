"""Pictures and questions to arrays and ids, ids to results: the two doors of the model.

pictures -------------------- preprocess -----> pixels_BCHW
task, text, region -- prompt -- tokenizer ----> prompt ids
task, text ----------------------------------> grammar of the answer
result <-- parse_answer -- answer text <-- tokenizer -- token ids
"""

import re
from codecs import getincrementaldecoder
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from florence2.answers import parse_answer
from florence2.answers.confidence import ScoredText
from florence2.answers.tokens import PADDING, TOKEN
from florence2.errors import TaskError
from florence2.generation.grammar import WORDS, Grammar, Vocabulary
from florence2.generation.options import SpecialIds
from florence2.generation.phrase_trie import PhraseTrie
from florence2.geometry import Size
from florence2.locations import NUM_BINS, encode_boxes
from florence2.model.config import Florence2Config
from florence2.processing.images import preprocess
from florence2.processing.tokenizer import Tokenizer, without_lone_surrogates
from florence2.results import Result
from florence2.tasks import Task, asked_words, without_placeholder

_SPELLED = "|".join([TOKEN.pattern, *PADDING])
_WORD = re.compile(r"\w+")
_CONTINUATIONS = {bytes([byte]) for byte in range(0x80, 0xC0)}  # no character of UTF-8 begins so


class GeneratedTokens(Protocol):
    """What the search returns, as far as a result needs it."""

    @property
    def token_ids(self) -> Sequence[int]: ...

    @property
    def finish_reason(self) -> str: ...

    @property
    def token_logprobs(self) -> Sequence[float]: ...


class Processor:
    """What surrounds the tensors of one model: its tokenizer, picture side and limits.

    Attributes:
        tokenizer: of the checkpoint.
        image_side: side in pixels to which pictures are resized.
        max_prompt_tokens: longest prompt that the encoder has positions for, beside a picture.
        special_ids: token ids that have a meaning for the search.
    """

    def __init__(self, tokenizer: Tokenizer, config: Florence2Config) -> None:
        self.tokenizer = tokenizer
        self.image_side = config.image_side
        self._token_bytes = tokenizer.token_bytes()
        self._num_image_tokens = config.num_image_tokens(config.image_side)
        self.max_prompt_tokens = config.text.max_position_embeddings - self._num_image_tokens
        self._vocab_size = config.text.vocab_size
        text, first = config.text, tokenizer.loc_begin
        locations = range(first, first + NUM_BINS)
        self.special_ids = SpecialIds(text.decoder_start_id, text.bos_id, text.eos_id, locations)

    def pixels(self, images: Sequence[Image.Image]) -> NDArray[np.float32]:
        """Pictures as `open_image` returns them to float32 `(B, 3, side, side)`."""
        return np.stack([preprocess(image, self.image_side) for image in images])

    def prompt_ids(
        self,
        task: Task | None,
        text_input: str,
        region: Sequence[float] | None,
        image_size: Size,
        prompt: str | None = None,
    ) -> list[int]:
        """Token ids of one question, `<s>` and `</s>` included.

        Args:
            task: what to do; None where a prompt says it.
            text_input: words for a task that needs them, else empty.
            region: `x_min, y_min, x_max, y_max` in pixels of the original picture, for a task
                that needs one, else None.
            image_size: `(width, height)` of the original picture.
            prompt: words of a checkpoint's own, sent in place of the task's sentence, to the
                letter but for `<image>`, the place of the picture in other programs.

        Raises:
            TaskError: input is missing or surplus, the region is not inside the picture, or the
                prompt is empty or longer than the encoder allows.
        """
        for name, words in (("text_input", text_input), ("prompt", prompt or "")):
            if not isinstance(words, str):
                raise TaskError(f"{name} must be words; got {words!r}; give a str")
        region_bins: Sequence[int] | None = None
        if region is not None:
            if task is None or not task.needs_region:
                raise TaskError(
                    f"{asked_words(task)} takes no region; got {region!r}; leave the region out"
                )
            inside = _checked_region(region, image_size)
            region_bins = encode_boxes(inside, image_size).tolist()
        if prompt is not None:
            words = without_placeholder(prompt)
            if not words.strip():
                raise TaskError(f"prompt {prompt!r} is empty; write a question, or leave it out")
        elif task is not None:
            words = task.prompt(text_input, region_bins)
        else:
            raise TaskError("there is no question; give a task, or a prompt of your own")
        token_ids = self.tokenizer.encode(words)
        if len(token_ids) > self.max_prompt_tokens:
            raise TaskError(
                f"the prompt{f' of task {task.token!r}' if task else ''} has"
                f" {len(token_ids):,} tokens; beside the"
                f" {self._num_image_tokens:,} tokens of a picture this model takes"
                f" {self.max_prompt_tokens:,}; shorten the {'text input' if task else 'prompt'}"
            )
        return token_ids

    def grammar(self, task: Task, text_input: str = "", *, only_asked: bool = False) -> Grammar:
        """The answers that a task can have.

        Args:
            text_input: what is asked about.
            only_asked: labels must be what was asked: in open-vocabulary detection one of the
                classes between `<and>`, in phrase grounding whole words of the caption that
                follow each other. Letter for letter, in any pieces.
        """
        phrases = None
        if only_asked and text_input and task in PHRASES_OF_TASK:
            phrases = PhraseTrie(PHRASES_OF_TASK[task](text_input), self._word_ids)
        return Grammar(task.answer_kind, self._vocabulary, phrases)

    @cached_property
    def _vocabulary(self) -> Vocabulary:
        """The classes of tokens; those without a row in the word embedding cannot be written."""
        tokenizer = self.tokenizer
        return Vocabulary(
            pieces=self._token_bytes[: self._vocab_size],
            spelled_tokens=re.compile(_SPELLED.encode()),
            locations=self.special_ids.locations,
            sep=tokenizer.sep_id,
            poly_start=tokenizer.poly_start_id,
            poly_end=tokenizer.poly_end_id,
            bos=tokenizer.bos_id,
            eos=tokenizer.eos_id,
        )

    @cached_property
    def _word_ids(self) -> dict[bytes, list[int]]:
        """Ids of the pieces of text, by their bytes."""
        ids: dict[bytes, list[int]] = {}
        pieces = zip(self._vocabulary.pieces, self._vocabulary.classes, strict=True)
        for token, (piece, its_class) in enumerate(pieces):
            if its_class & WORDS:
                ids.setdefault(piece, []).append(token)
        return ids

    def scored_text(self, token_ids: Sequence[int], logprobs: Sequence[float]) -> list[ScoredText]:
        """The text of token ids in pieces, with the log-probability of each token.

        Tokens that end in the middle of a character are one piece with the one that ends it;
        where none does, they are a piece of their own.
        """
        decoder = getincrementaldecoder("utf-8")("replace")
        pieces: list[ScoredText] = []
        pending: tuple[float, ...] = ()
        for token_id, logprob in zip(token_ids, logprobs, strict=True):
            known = 0 <= token_id < len(self._token_bytes)
            spelled = self._token_bytes[token_id] if known else b""
            ends = bool(spelled) and spelled[:1] not in _CONTINUATIONS
            if ends and (cut := decoder.decode(b"", final=True)):
                pieces.append(ScoredText(cut, pending))
                pending = ()
            text = decoder.decode(spelled)
            pending += (logprob,) if known else ()
            if text:
                pieces.append(ScoredText(text, pending))
                pending = ()
        if rest := decoder.decode(b"", final=True):
            pieces.append(ScoredText(rest, pending))
        return pieces

    def result(self, generated: GeneratedTokens, task: Task | None, image_size: Size) -> Result:
        """Read what the model wrote about a picture of this size; never raises on any ids."""
        return parse_answer(
            self.scored_text(generated.token_ids, generated.token_logprobs),
            task,
            image_size,
            token_ids=generated.token_ids,
            finish_reason=generated.finish_reason,
        )


def _checked_region(region: Sequence[float], image_size: Size) -> list[float]:
    """The region as four floats, if it is a box inside the picture."""
    width, height = image_size
    allowed = (
        f"give x_min, y_min, x_max, y_max in pixels with 0 <= x_min < x_max <= {width} and"
        f" 0 <= y_min < y_max <= {height}"
    )
    try:
        x_min, y_min, x_max, y_max = map(float, region)
    except (TypeError, ValueError):
        raise TaskError(f"region {region!r} is not four numbers; {allowed}") from None
    if not (0 <= x_min < x_max <= width and 0 <= y_min < y_max <= height):
        raise TaskError(
            f"region {region!r} is not a box inside the picture of {width} x {height} pixels;"
            f" {allowed}"
        )
    return [x_min, y_min, x_max, y_max]


def split_text_input(text: str) -> list[str]:
    """Stretches of text between `<and>` and other tokens."""
    parts = re.sub(_SPELLED, "\0", without_lone_surrogates(text)).split("\0")
    return [part.strip() for part in parts if part.strip()]


def _classes(text: str) -> Iterator[tuple[bytes, list[int]]]:
    """Each class as a whole."""
    for name in split_text_input(text):
        yield name.encode(), [len(name.encode())]


def _caption_spans(text: str) -> Iterator[tuple[bytes, list[int]]]:
    """From each word of a caption on, up to the end of that word or of a later one."""
    for caption in split_text_input(text):
        words = list(_WORD.finditer(caption))
        for place, first in enumerate(words):
            rest = [caption[first.start() : last.end()].encode() for last in words[place:]]
            yield rest[-1], [len(span) for span in rest]


PHRASES_OF_TASK = {
    Task.OPEN_VOCABULARY_DETECTION: _classes,
    Task.CAPTION_TO_PHRASE_GROUNDING: _caption_spans,
}
