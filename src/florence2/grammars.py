"""From a question to the grammar of its answer: where the search learns what tokens mean."""

import re
from collections.abc import Iterator
from functools import cached_property

from florence2.answers.tokens import PADDING, TOKEN
from florence2.generation.grammar import WORDS, Grammar, Vocabulary
from florence2.generation.phrases import Phrases
from florence2.locations import NUM_BINS
from florence2.tasks import Task
from florence2.tokenizer import Tokenizer

_SPELLED = "|".join([TOKEN.pattern, *PADDING])
_WORD = re.compile(r"\w+")


class Grammars:
    """Makes the grammars for a tokenizer; what they share is built once, at the first of them.

    Args:
        vocab_size: rows of the word embedding; tokens beyond it cannot be written.
    """

    def __init__(self, tokenizer: Tokenizer, vocab_size: int) -> None:
        self._tokenizer = tokenizer
        self._vocab_size = vocab_size

    def grammar(self, task: Task, text_input: str = "", *, only_asked: bool = False) -> Grammar:
        """The answers that a task can have.

        Args:
            text_input: what is asked about.
            only_asked: labels must be what was asked: in open-vocabulary detection one of the
                classes between `<and>`, in phrase grounding whole words of the caption that
                follow each other. Letter for letter, in any pieces.
        """
        phrases = None
        if only_asked and text_input and task in _ASKED:
            phrases = Phrases(_ASKED[task](text_input), self._ids)
        return Grammar(task.answer_kind, self._vocabulary, phrases)

    @cached_property
    def _vocabulary(self) -> Vocabulary:
        tokenizer = self._tokenizer
        return Vocabulary(
            pieces=tokenizer.token_bytes()[: self._vocab_size],
            spelled_tokens=re.compile(_SPELLED.encode()),
            locations=range(tokenizer.loc_begin, tokenizer.loc_begin + NUM_BINS),
            sep=tokenizer.sep_id,
            poly_start=tokenizer.poly_start_id,
            poly_end=tokenizer.poly_end_id,
            bos=tokenizer.bos_id,
            eos=tokenizer.eos_id,
        )

    @cached_property
    def _ids(self) -> dict[bytes, list[int]]:
        """Ids of the pieces of text, by their bytes."""
        ids: dict[bytes, list[int]] = {}
        pieces = zip(self._vocabulary.pieces, self._vocabulary.kinds, strict=True)
        for token, (piece, kind) in enumerate(pieces):
            if kind & WORDS:
                ids.setdefault(piece, []).append(token)
        return ids


def _classes(text: str) -> Iterator[tuple[bytes, list[int]]]:
    """Each class as a whole."""
    for name in stretches(text):
        yield name.encode(), [len(name.encode())]


def _spans(text: str) -> Iterator[tuple[bytes, list[int]]]:
    """From each word of a caption on, up to the end of that word or of a later one."""
    for caption in stretches(text):
        words = list(_WORD.finditer(caption))
        for place, first in enumerate(words):
            rest = [caption[first.start() : last.end()].encode() for last in words[place:]]
            yield rest[-1], [len(span) for span in rest]


def stretches(text: str) -> list[str]:
    """Stretches of text between `<and>` and other tokens."""
    parts = re.sub(_SPELLED, "\0", text).split("\0")
    return [part.strip() for part in parts if part.strip()]


_ASKED = {
    Task.OPEN_VOCABULARY_DETECTION: _classes,
    Task.CAPTION_TO_PHRASE_GROUNDING: _spans,
}
