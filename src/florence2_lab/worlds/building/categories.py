"""Which emoji become which category.

The first categories are chosen by hand: everyday things that look different from each other at
a few dozen pixels, under names a child would use. Beyond them, Unicode's own labels follow.
"""

import json
from dataclasses import dataclass
from pathlib import Path

# Animals & nature, food & drink, travel & places, activities, objects.
OBJECT_GROUPS = (3, 4, 5, 6, 7)

CHOSEN = {
    "airplane": "✈",
    "apple": "🍎🍏",
    "ball": "⚽🏀",
    "balloon": "🎈",
    "banana": "🍌",
    "bee": "🐝",
    "bell": "🔔",
    "bicycle": "🚲",
    "boat": "⛵",
    "book": "📕📗📘📙",
    "bread": "🍞",
    "bus": "🚌",
    "cake": "🍰🎂",
    "camera": "📷",
    "car": "🚗🚙",
    "cat": "🐈🐱",
    "clock": "⏰",
    "corn": "🌽",
    "cow": "🐄🐮",
    "dog": "🐕🐶",
    "elephant": "🐘",
    "fish": "🐟🐠",
    "frog": "🐸",
    "gift": "🎁",
    "grapes": "🍇",
    "guitar": "🎸",
    "hamburger": "🍔",
    "hat": "🎩",
    "heart": "❤💙💚💛💜",
    "helicopter": "🚁",
    "horse": "🐎🐴",
    "house": "🏠🏡",
    "key": "🔑",
    "mushroom": "🍄",
    "penguin": "🐧",
    "pig": "🐖🐷",
    "pineapple": "🍍",
    "pizza": "🍕",
    "rabbit": "🐇🐰",
    "rocket": "🚀",
    "scissors": "✂",
    "star": "⭐",
    "strawberry": "🍓",
    "train": "🚂",
    "tree": "🌳🌲",
    "turtle": "🐢",
    "umbrella": "☂☔🌂",
    "watermelon": "🍉",
}
NUM_CATEGORIES = len(CHOSEN)  # raise this (up to about 800) to add Unicode's labels


@dataclass(frozen=True)
class Emoji:
    """One emoji: code points without the variation selector, and Unicode's label."""

    code: str  # "1f408"
    label: str  # "cat"


def _code(hexcode: str) -> str:
    return hexcode.lower().replace("-fe0f", "")


def read_categories(emojibase: Path, count: int = NUM_CATEGORIES) -> dict[str, tuple[Emoji, ...]]:
    """Return the first `count` categories in alphabetical order, each with its emoji."""
    rows = json.loads((emojibase / "en" / "data.json").read_text(encoding="utf-8"))
    emoji = {_code(row["hexcode"]): Emoji(_code(row["hexcode"]), row["label"]) for row in rows}
    table = {
        name: tuple(emoji[f"{ord(char):x}"] for char in chars) for name, chars in CHOSEN.items()
    }
    used = {item.code for items in table.values() for item in items}
    for row in rows:
        code, label = _code(row["hexcode"]), row["label"].lower()
        if row.get("group") in OBJECT_GROUPS and code not in used and label not in table:
            table[label] = (emoji[code],)
    return dict(sorted(list(table.items())[:count]))
