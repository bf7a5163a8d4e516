"""Words of captions as CIDEr counts them: those of Stanford's PTB tokenizer 3.4.1 in lower case.

The tokenizer of COCO's caption evaluation is a Java program of many rules. These are the ones that
captions meet; at each place the longest match is taken, as there. Every caption is divided by
itself, as before a line that begins in lower case. Punctuation is left out as COCO leaves it out,
which keeps `!!!`, `?!` and `-lrb-`. Lower case comes last, as some rules need capitals.
"""

import html
import re

from florence2.evaluation.text import composed

# Left out by COCO; brackets are written -lrb- by then and stay.
PUNCTUATION = frozenset(["''", "'", "``", "`", ".", "?", "!", ",", ":", "-", "--", "...", ";"])

_APOSTROPHE = "['\u2019]"
_LETTER = r"[^\W\d_]"
_ALNUM = r"[^\W_²³¹¼½¾⅓⅔⅛]"
_CLITIC = rf"{_APOSTROPHE}(?:s|m|d|ll|re|ve)(?![^\W_])"
_NO_MORE = r"(?![^\W_])"  # letters or digits behind
_PATH = r"(?:/[^\s<>\"“”]*[^\s<>\"“”.,;:!?()'’])"
# Whose full stop belongs to them.
_ABBREVIATIONS = (
    "jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec|mon|tues?|wed|thu|thurs|fri|"
    "ala|ariz|ark|calif|colo|conn|dak|del|fla|ga|ill|ind|kans?|ky|la|md|mich|minn|miss|mo|mont|neb|"
    "nev|okla|ore|pa|penn|tenn|tex|va|vt|wash|wisc?|wyo|inc|corp|ltd|cos?|bros|plc|dept|dist|univ|"
    "ave|blvd|rd|bldg|ste?|sr|jr|ph|mrs?|ms|drs?|prof|pres|rev|sen|rep|gov|gen|sgt|capt|lt|col|adm|"
    "maj|cmdr|cpl|hon|fr|pvt|messrs|insp|supt|vs?|etc|al|cf|ca|ft|alex|wm|jos|cie|ed|esq|est|eq|mt|"
    "tel|sq"
)

_RULES = [
    # Addresses, names of the web, marks of HTML.
    rf"(?:https?|ftp):/{_PATH}",
    r"[A-Za-z0-9][^\s@<>\"()]*@(?:[\w-]+\.)*[\w-]*[A-Za-z0-9]",
    rf"(?:[\w-]+\.)+(?:com|org|net|edu|gov|de|uk){_PATH}?{_NO_MORE}",
    r"[@#][A-Za-z_]\w*",
    r"</?[A-Za-z]\w*(?:\s+[\w:-]+(?:=(?:\"[^\"]*\"|'[^']*'|[^\s<>\"']+))?)*\s*/?>",
    # Smileys.
    r"[<>]?[:;=]-?[()DPpdO](?![^\W_])",
    # Numbers, fractions, dates, phones.
    r"[-+]?\d+(?:[.:,]\d+)*",
    r"[-+]?[.:,]?\d+(?:[.:,]\d+)*",
    r"(?:\d{1,4}[- ])?\d{1,4}[/⁄]\d{1,4}(?!/?\d)",
    r"(?:\d{1,4} ?)?[¼½¾⅓⅔]",
    r"\d{1,2}/\d{1,2}/\d{2,4}",
    r"(?:\(\d{2,3}\) ?|\+?(?:\d{2,4}[- ])?\d{2,4}[- ]?)\d{3,4}[- ]?\d{3,5}",
    # Words: with dots inside, with digits, with hyphens and slashes.
    rf"{_LETTER}{_ALNUM}*(?:[.!?]{_LETTER}{_ALNUM}*)*",
    rf"\d+{_LETTER}{_ALNUM}*",
    rf"{_ALNUM}+(?:[-_‐]{_ALNUM}+)+",
    r"[A-Za-z0-9]+(?:-[A-Za-z]+){0,2}(?:/[A-Za-z0-9]+(?:-[A-Za-z]+){0,2}){1,2}",
    r"(?-i:[A-Z]+&[A-Z]+)",
    r"\d+(?:\.\d+)+-[A-Za-z]+",
    # Abbreviations.
    rf"[A-Za-z](?:\.[A-Za-z])+\.?{_NO_MORE}",
    r"(?:[A-Za-z]\.)+[A-Za-z]?-[A-Za-z0-9]+",
    r"[A-Za-z]\.(?![^\W_])",
    rf"(?:{_ABBREVIATIONS})\.(?:-[A-Za-z]+)?",
    r"(?:no|nos|fig|figs|p|pp|art)\.(?=\s?\d)",
    r"(?-i:Mass)\.|ph\.d\.",
    # Words with an apostrophe inside or before.
    rf"[dol]{_APOSTROPHE}(?!(?:s|m|d|ll|re|ve){_NO_MORE}){_LETTER}+",
    rf"(?:s'mores|ma{_APOSTROPHE}am|e'er|y{_APOSTROPHE}(?={_LETTER}))",
    rf"{_APOSTROPHE}(?:em|cause|till?|n|n(?={_APOSTROPHE}))(?![^\W_])",
    rf"{_APOSTROPHE}n{_APOSTROPHE}",
    rf"(?<!\d){_APOSTROPHE}\d\ds?(?![^\W_]|{_APOSTROPHE})",
    r"'t(?=is(?![^\W_])|was)",
    _CLITIC,
    r"n['’‘`]ts?(?![^\W_])",
    # Money, signs that stay together, and all others one by one.
    r"(?:US|HK|[A-Z])?\$|[€£¢]",
    r"_{2,}|#{2,}",
    r"\.{3,}|…|\.\s\.\s\.|[!?]{2,}|[-–—―‒]{2,}|``|''|<<|>>|\*+",
    r"[^\s]",
]
# Words that are cut after so many letters.
_CUT = {"cannot": 3, "gonna": 3, "gotta": 3, "gimme": 3, "lemme": 3, "wanna": 3}
_SPELT = {"€": "$", "£": "#", "¢": "cents", "[": "-lsb-", "]": "-rsb-",
          "{": "-lcb-", "}": "-rcb-", "–": "--", "—": "--", "―": "--", "‒": "--", "…": "...",
          ". . .": "...", "“": "``", "”": "''", "‘": "`", "’": "'", '"': "''", "«": "``",
          "»": "''", "‹": "`", "›": "'", "½": "1/2", "¼": "1/4", "¾": "3/4", "⅓": "1/3",
          "⅔": "2/3"}  # fmt: skip
# Seen by no rule: emoji, most signs of money, marks without width.
_DROPPED = re.compile("[\U00010000-\U0010ffff\u20a0-\u20ab\u20ad-\u20cf\u203d\ufe0f\u20e3\ufeff]")
_PARTED = re.compile("[\u200b-\u200f\u2060]")
_NEGATED = re.compile("['\u2019\u2018`]ts?(?![^\\W_])", re.IGNORECASE)
_PLAIN = re.compile(rf"(?!(?:{'|'.join(_CUT)})\b)[a-z]+(?= |$)", re.IGNORECASE)
_COMPILED = [re.compile(rule, re.IGNORECASE) for rule in _RULES]


def caption_tokens(caption: str) -> list[str]:
    """The words of a caption.

    >>> caption_tokens("A man can't read the \\"STOP\\" sign.")
    ['a', 'man', 'ca', "n't", 'read', 'the', 'stop', 'sign']
    """
    text = composed(html.unescape(caption.replace("\u00ad", "")))
    text = " ".join(_PARTED.sub(" ", text).split())
    tokens: list[str] = []
    place = 0
    while place < len(text):
        if text[place] == " ":
            place += 1
            continue
        plain = _PLAIN.match(text, place)  # most words: no rule has more to say
        end = plain.end() if plain else _end_of_token(text, place)
        tokens.append(_spelt(text[place:end]))
        place = end
    kept = (_DROPPED.sub("", each.lower()) for each in tokens if each not in PUNCTUATION)
    return " ".join(kept).split()


def _end_of_token(text: str, start: int) -> int:
    """Where the longest match ends; before the n of n't, and within words that are cut."""
    end = max(each.end() for rule in _COMPILED if (each := rule.match(text, start)))
    token = text[start:end].lower()
    if token.isalpha() and token[-1] == "n" and len(token) > 1 and _NEGATED.match(text, end):
        return end - 1
    return start + _CUT.get(token, len(token))


def _spelt(token: str) -> str:
    """As the tokenizer rewrites it: quotes, brackets, money, fractions, typographic clitics."""
    if token in _SPELT:
        return _SPELT[token]
    if re.fullmatch("\u2019(?:s|m|d|ll|re|ve)|n[\u2019\u2018]ts?", token, re.IGNORECASE):
        return token.replace("\u2019", "'").replace("\u2018", "`")
    if token[-1] in "½¼¾⅓⅔":
        return f"{token[:-1].strip()} {_SPELT[token[-1]]}"
    if re.fullmatch("[-\u2012-\u2015]{2,}|\\.{3,}", token):
        return "--" if token[0] != "." else "..."
    return token.replace("(", "-lrb-").replace(")", "-rrb-")
