"""What printed lines say: words, phrases, numbers, prices, dates, times and codes."""

from collections.abc import Callable

import numpy as np

from florence2_lab.worlds.kit import Kit

CODE_CHARS = "ABCDEFGHJKLMNPQRSTUVWXYZ0123456789"
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
TRIES = 12


def random_word(rng: np.random.Generator, kit: Kit) -> str:
    """Draw a word, common ones more often."""
    words, chances = kit.words
    return words[min(int(np.searchsorted(chances, rng.random())), len(words) - 1)]


def _cased(rng: np.random.Generator, text: str) -> str:
    draw = rng.random()
    if draw < 0.55:
        return text
    return text.upper() if draw < 0.75 else text[:1].upper() + text[1:]


def _word(rng: np.random.Generator, kit: Kit) -> str:
    return _cased(rng, random_word(rng, kit))


def _phrase(rng: np.random.Generator, kit: Kit) -> str:
    words = kit.phrases[int(rng.integers(len(kit.phrases)))].split()
    start = int(rng.integers(len(words)))
    return _cased(rng, " ".join(words[start : start + int(rng.integers(2, 6))]))


def _number(rng: np.random.Generator, kit: Kit) -> str:
    number = int(10 ** rng.uniform(0, 7))
    draw = rng.random()
    if draw < 0.6:
        return str(number)
    if draw < 0.8:
        return f"{number:,}"
    return f"{number % 1000}.{rng.integers(100)}" + ("%" if draw > 0.93 else "")


def _price(rng: np.random.Generator, kit: Kit) -> str:
    amount = f"{10 ** rng.uniform(0, 4):,.2f}"
    return f"{('$', '€', '£', '$', '')[int(rng.integers(5))]}{amount}"


def _date(rng: np.random.Generator, kit: Kit) -> str:
    year, month, day = rng.integers(1950, 2036), int(rng.integers(1, 13)), rng.integers(1, 29)
    forms = (
        f"{year}-{month:02}-{day:02}",
        f"{day:02}/{month:02}/{year}",
        f"{month}/{day}/{year % 100:02}",
        f"{day} {MONTHS[month - 1]} {year}",
        f"{MONTHS[month - 1]} {day}, {year}",
    )
    return forms[int(rng.integers(len(forms)))]


def _time(rng: np.random.Generator, kit: Kit) -> str:
    hour, minute = int(rng.integers(24)), rng.integers(60)
    if rng.random() < 0.5:
        return f"{hour:02}:{minute:02}"
    return f"{hour % 12 or 12}:{minute:02} {'AM' if hour < 12 else 'PM'}"


def _code(rng: np.random.Generator, kit: Kit) -> str:
    chars = [CODE_CHARS[i] for i in rng.integers(len(CODE_CHARS), size=int(rng.integers(3, 10)))]
    if len(chars) > 4 and rng.random() < 0.5:
        chars[len(chars) // 2] = "-"
    return "".join(chars)


Writer = Callable[[np.random.Generator, Kit], str]
WRITERS: dict[str, Writer] = {
    "word": _word,
    "phrase": _phrase,
    "number": _number,
    "price": _price,
    "date": _date,
    "time": _time,
    "code": _code,
}


def write(
    rng: np.random.Generator, kit: Kit, kinds: tuple[tuple[str, float], ...], max_chars: int
) -> str:
    """Write a line of one of the weighted kinds, at most `max_chars` long."""
    bounds = np.cumsum([weight for _, weight in kinds])
    text = ""
    for _ in range(TRIES):
        choice = int(np.searchsorted(bounds, rng.random() * bounds[-1], side="right"))
        text = WRITERS[kinds[choice][0]](rng, kit)
        if len(text) <= max_chars:
            return text
    return text[:max_chars].strip()


def stray_text(rng: np.random.Generator, kit: Kit) -> str:
    """Write a word or a number for the background of a picture."""
    return write(rng, kit, (("word", 0.7), ("number", 0.2), ("code", 0.1)), max_chars=14)
