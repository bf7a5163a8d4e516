"""Words with their frequencies, and short phrases, from sources that may be shipped."""

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from florence2_lab.worlds.building.manners import is_fit_to_print
from florence2_lab.worlds.building.packages import Package, fetch_debian

MAX_WORDS = 30_000
MAX_PHRASES = 40_000
PHRASE_CHARS = (12, 60)
ALPHABET = re.compile(r"[ -~]+")
WORD = re.compile(r"[A-Za-z]+(?:'[a-z]+)?")


@dataclass(frozen=True)
class BuiltText:
    """The texts ready for the kit, and the packages they came from."""

    words: str  # one "word<TAB>count" a line, most frequent first
    phrases: str  # one phrase a line
    word_packages: tuple[Package, ...]
    phrase_packages: tuple[Package, ...]


def _glosses(wordnet: Package) -> list[str]:
    """Return definitions and examples of WordNet, in file order."""
    found: list[str] = []
    for part in ("noun", "verb", "adj", "adv"):
        path = wordnet.folder / "usr/share/wordnet" / f"data.{part}"
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            if not line.startswith("  "):  # the licence at the top is indented
                found += (piece.strip(' "\n') for piece in line.partition("|")[2].split(";"))
    return found


def build_text(cache: Path) -> BuiltText:
    """Count the words of WordNet's glosses and Python's manual; keep those in the word list."""
    dictionary = fetch_debian("wamerican", "public domain (SCOWL)", cache)
    wordnet = fetch_debian("wordnet-base", "WordNet-3.0", cache)
    manual = fetch_debian("python3.11-doc", "PSF-2.0", cache)
    glosses = _glosses(wordnet)
    counts = Counter(word.lower() for gloss in glosses for word in WORD.findall(gloss))
    for path in sorted(manual.folder.rglob("*.rst.txt")):
        text = path.read_text(encoding="utf-8", errors="replace")
        counts.update(word.lower() for word in WORD.findall(text))
    words_file = dictionary.folder / "usr/share/dict/american-english"
    known = {
        word
        for word in words_file.read_text(encoding="utf-8").split()
        if WORD.fullmatch(word) and is_fit_to_print(word)
    }
    ranked = sorted(
        ((word, counts[word.lower()]) for word in known if counts[word.lower()]),
        key=lambda row: (-row[1], row[0]),
    )
    shortest, longest = PHRASE_CHARS
    suitable = sorted(
        {
            gloss
            for gloss in glosses
            if shortest <= len(gloss) <= longest
            and ALPHABET.fullmatch(gloss)
            and is_fit_to_print(gloss)
        }
    )
    step = max(1, len(suitable) // MAX_PHRASES)  # spread over the whole alphabet
    return BuiltText(
        words="".join(f"{word}\t{count}\n" for word, count in ranked[:MAX_WORDS]),
        phrases="".join(f"{phrase}\n" for phrase in suitable[::step]),
        word_packages=(dictionary, wordnet, manual),
        phrase_packages=(wordnet,),
    )
