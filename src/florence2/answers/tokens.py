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


# What is meant as a location and is none of the vocabulary, so that it would be spelled in letters:
# <loc_1000>, <loc_007>, <loc_-1>, PaliGemma's <loc0100> and <seg012>.
FOREIGN_LOCATION = re.compile(
    r"<(?!(?-i:loc_(?:0|[1-9][0-9]{0,2})>))loc[_ -]?-?[0-9][0-9.]*>|<seg[0-9]{3}>", re.IGNORECASE
)
_PALIGEMMA = re.compile(r"<loc[0-9]{4}>|<seg[0-9]{3}>")


def foreign_location_words(token: str) -> str:
    """Why a token that `FOREIGN_LOCATION` found is no location, and what to do."""
    if _PALIGEMMA.fullmatch(token):
        return (
            f"{token}, a token of PaliGemma, which this vocabulary has not; write the locations of"
            " Florence-2: <loc_N> with N = floor(1000 * x / width), x before y (PaliGemma has 1,024"
            " bins and y before x)"
        )
    return (
        f"{token}, which no vocabulary has: locations are <loc_0> to <loc_999>, without leading"
        " zeros, and bins are floor(1000 * x / width); make the file again with a kit that floors"
    )


class Token(NamedTuple):
    """One token of an answer; words between two others are one token."""

    kind: str  # "words", "bin", "mark" or "unexpected"
    text: str
    logprobs: tuple[float, ...]  # of all that spells it, empty where unknown
    bin: int = 0
    start: int = 0  # in the text


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
        for token in self.written():
            if token.kind != "words":
                yield token
            elif words := token.text.strip():
                start = token.start + len(token.text) - len(token.text.lstrip())
                logprobs = self._logprobs(start, start + len(words))
                yield Token("words", words, logprobs, start=start)

    def written(self) -> Iterator[Token]:
        """Cut the text; all space is kept, so the texts of the tokens in a row are the text."""
        start = 0
        for match in TOKEN.finditer(self.text):
            yield from self._words(start, match.start())
            start = match.end()
            kind = "bin" if match["bin"] else "mark" if match["mark"] else "unexpected"
            logprobs = self._logprobs(match.start(), start)
            yield Token(kind, match[0], logprobs, int(match["bin"] or 0), match.start())
        yield from self._words(start, len(self.text))

    def _words(self, start: int, end: int) -> Iterator[Token]:
        if start < end:
            yield Token("words", self.text[start:end], self._logprobs(start, end), start=start)

    def _logprobs(self, start: int, end: int) -> tuple[float, ...]:
        owners = dict.fromkeys(self._owners[start:end])
        return tuple(logprob for owner in owners for logprob in self._pieces[owner].logprobs)
