"""Answer text cut into tokens: words, location tokens, marks, and tokens of no answer."""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from florence2.answers.confidence import ScoredText

SEP, POLY_START, POLY_END = "<sep>", "<poly>", "</poly>"

BOS, EOS, PAD = "<s>", "</s>", "<pad>"
PADDING = (BOS, EOS, PAD)  # around an answer, no part of it

# The last two lines hold the tokens of the vocabulary that no answer has a place for. One of them
# is misspelt in the vocabulary itself.
TOKEN = re.compile(
    r"<loc_(?P<bin>[0-9]{1,4})>"
    rf"|(?P<mark>{SEP}|{POLY_START}|{POLY_END})"
    r"|</?(?:od|ocr|n?cap|dcap|grounding|seg|region_cap|region_to_desciption|proposal)>"
    r"|<(?:and|unk|mask|image)>"
)


class Token(NamedTuple):
    """One token of an answer; words between two others are one token."""

    kind: str  # "words", "bin", "mark" or "unexpected"
    text: str
    logprobs: tuple[float, ...]  # of all that spells it, empty where unknown
    bin: int = 0


class AnswerTokenizer:
    """Cuts an answer, without `<s>`, `</s>` and `<pad>`, into tokens with their probabilities."""

    def __init__(self, pieces: Sequence[ScoredText]) -> None:
        self._pieces = pieces
        self._owners: list[int] = []
        letters: list[str] = []
        for owner, piece in enumerate(pieces):
            for letter in piece.text:
                letters.append(letter)
                self._owners.append(owner)
                if letter == ">":
                    self._drop_padding(letters)
        self.text = "".join(letters)

    def _drop_padding(self, letters: list[str]) -> None:
        """Delete padding at the end, also where deleting one token made another."""
        for token in PADDING:
            if "".join(letters[-len(token) :]) == token:
                del letters[-len(token) :], self._owners[-len(token) :]

    def tokens(self) -> Iterator[Token]:
        """Cut the text; blank text between tokens means nothing and is skipped."""
        start = 0
        for match in TOKEN.finditer(self.text):
            yield from self._words(start, match.start())
            start = match.end()
            logprobs = self._logprobs(match.start(), start)
            if match["bin"]:
                yield Token("bin", match[0], logprobs, int(match["bin"]))
            else:
                yield Token("mark" if match["mark"] else "unexpected", match[0], logprobs)
        yield from self._words(start, len(self.text))

    def _words(self, start: int, end: int) -> Iterator[Token]:
        text = self.text[start:end]
        if words := text.strip():
            start += len(text) - len(text.lstrip())
            yield Token("words", words, self._logprobs(start, start + len(words)))

    def _logprobs(self, start: int, end: int) -> tuple[float, ...]:
        owners = dict.fromkeys(self._owners[start:end])
        return tuple(logprob for owner in owners for logprob in self._pieces[owner].logprobs)
