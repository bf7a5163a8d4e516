"""Names and sentences that are wrong about a mirrored picture, in a dozen languages.

    turn_left, keepRight, pfeil-links, northeast    a side
    speed limit 60, number_7, b                     letters and digits, which a mirror turns round
    license plate, a STOP sign, "exit"              writing that can be seen

Names are divided as people write them: at spaces, `_`, `-`, `.`, digits, and where a capital
follows a small letter. It is better to mirror too little than to teach the opposite, so beginnings
of words count: "droit" in "droite".
"""

import re
import unicodedata
from collections.abc import Sequence

# Beginnings of words, without accents, as `_plain` writes them.
_SIDES = (
    # English, and compass points, which maps show
    *("left", "right", "west", "east", "northw", "northe", "southw", "southe", "clockwise"),
    *("counterclock", "anticlock", "mirror", "revers", "forehand", "backhand"),
    *("links", "linke", "rechts", "rechte", "uhrzeiger"),  # German, Dutch
    *("gauche", "droit", "ouest"),  # French
    *("izquierd", "derech", "oeste"),  # Spanish
    *("sinistr", "destr", "ovest"),  # Italian
    *("esquerd", "direit"),  # Portuguese
    *("vanster", "hoger", "venstre", "hoyre", "hojre"),  # Swedish, Norwegian, Danish
    *("vasen", "vasem", "oikea", "oikeal"),  # Finnish
    *("lewo", "lewy", "lewa", "lewe", "prawo", "prawy", "prawa", "prawe"),  # Polish
    *("vlevo", "vpravo", "levy", "leva", "pravy", "prava"),  # Czech
    *("stang", "dreapt", "αριστερ", "δεξι"),  # Romanian, Greek
    *("balra", "jobbra", "balol", "jobbol"),  # Hungarian
    *("лев", "прав", "налев", "направ", "слев", "справ", "вправ", "влев"),  # Russian
    *("лив", "налив"),  # Ukrainian
)
# Whole words, as others begin alike: at sea, turns, Turkish, Indonesian, Vietnamese.
_SIDE_WORDS = frozenset(
    (
        *("port", "starboard", "cw", "ccw", "izq", "bal", "jobb"),
        *("sol", "sag", "kiri", "kanan", "trai", "phai"),
    )
)
_NO_SIDES = ("bright", "fright", "wright", "upright", "copyright", "cleft")
_SIDES_ANYWHERE = (
    "左",
    "右",
    "왼",
    "오른",
    "좌",
    "우회",
    "يسار",
    "يمين",
    "ซ้าย",
    "ขวา",
    "שמאל",
    "ימין",
)
_WRITING = (
    *(
        "text",
        "letter",
        "word",
        "read",
        "say",
        "spell",
        "writ",
        "plate",
        "licen",
        "number",
        "digit",
    ),
    *(
        "sign",
        "logo",
        "label",
        "speed",
        "limit",
        "barcode",
        "newspaper",
        "title",
        "price",
        "qr",
        "clock",
        "watch",
        "keyboard",
    ),
    *("kennzeichen", "schild", "schrift", "zahl", "ziffer", "buchstab"),
    *("plaque", "texte", "lettre", "chiffre", "panneau", "matricula", "placa", "letra", "numero"),
    *("targa", "lettera", "cifra", "знак", "номер", "текст", "букв", "цифр"),
)
_WRITING_ANYWHERE = ("字", "文", "号", "牌", "글자", "번호")
_QUOTES = re.compile(r'["“”„«»]')
_PARTS = re.compile(r"[^\W\d_]+")
_CAMEL = re.compile(r"(?<=[a-zà-þа-я])(?=[A-ZÀ-ÞА-Я])|(?<=[A-Z])(?=[A-Z][a-z])")
_CAPITALS = re.compile(r"\b[A-ZÀ-Þ]{2,}\b")


def is_one_sided(text: str) -> bool:
    """Whether a name or sentence may be wrong about a mirrored picture.

    >>> [is_one_sided(name) for name in ("turn_left", "keepRight", "speed limit 60", "car")]
    [True, True, True, False]
    """
    text = unicodedata.normalize("NFC", text)
    is_letter = len(text.strip()) <= 2 and all(each < "\u2e80" for each in text)  # no CJK
    if is_letter or any(each.isdigit() for each in text) or _QUOTES.search(text):
        return True  # letters and digits as classes: the mirror of b is d
    if _CAPITALS.search(text) and any(each.islower() for each in text) and " " in text:
        return True  # a sentence that quotes a sign in its capitals
    if any(part in text for part in (*_SIDES_ANYWHERE, *_WRITING_ANYWHERE)):
        return True
    words = [_plain(word) for word in _PARTS.findall(_CAMEL.sub(" ", text))]
    if len(words) > 1 and any(word in ("l", "r") for word in words):
        return True  # hand_l, R arrow
    return any(
        word in _SIDE_WORDS
        or word.startswith((*_SIDES, *_WRITING))
        or (word.endswith(("left", "right")) and not word.endswith(_NO_SIDES))
        for word in words
    )


def one_sided_names(names: Sequence[str], kept: Sequence[str] = ()) -> list[str]:
    """The names that are not mirrored: one-sided ones and those of `kept`, in order, once each."""
    fixed = {_plain(name) for name in kept}
    chosen = (name for name in names if is_one_sided(name) or _plain(name) in fixed)
    return list(dict.fromkeys(chosen))


def _plain(word: str) -> str:
    """Small letters without accents, in one Unicode form."""
    letters = unicodedata.normalize("NFKD", word.casefold().replace("ø", "o").replace("і", "и"))
    return "".join(each for each in letters if not unicodedata.combining(each))
