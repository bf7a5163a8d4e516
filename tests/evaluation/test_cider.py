"""CIDEr against numbers of pycocoevalcap 1.2, and its words against those of the Java tokenizer."""

import json
import math
from pathlib import Path

import pytest

from florence2.evaluation.caption_tokens import caption_tokens
from florence2.evaluation.cider import cider, cider_of_tokens

REFERENCES = [
    [
        'A man can\'t read the "STOP" sign.',
        "a man looks at a stop sign",
        "Someone is standing near a red sign",
        "The man, in a t-shirt, reads a sign.",
        "A sign says 'STOP'",
    ],
    ["Two dogs run on a beach", "two dogs are running", "Dogs at the beach."],
    ["a red bus parked on Main St.", "A bus."],
    ["a bowl of soup with a spoon"],
    ["A woman's hand holds a 12-oz. can", "someone holds a can of soda", "The can is in a hand"],
]
CAPTIONS = [
    "a man can't read the stop sign",
    "two dogs run at the beach, and a third dog sleeps under the red umbrella of a family",
    "A bus",
    "a cat",
    "someone holds a can of soda",
]
# What `Cider().compute_score` of pycocoevalcap 1.2 gives for them.
SCORES = [2.9296921387649415, 0.1727393891966818, 2.909702098321363, 0.0, 4.066700472736253]


def test_it_is_what_pycocoevalcap_computes() -> None:
    """On 60 random sets of tokens the largest difference was 2e-15."""
    assert cider(CAPTIONS, REFERENCES).tolist() == pytest.approx(SCORES, abs=1e-9)


def test_by_hand() -> None:
    """Two pictures; log 2 weighs each word of one of them, and 0 what both have."""
    references = [[["a", "dog"]], [["a", "cat"]]]
    # "dog" and "a dog" are right in full, there are no longer n-grams: 2 of 4.
    assert cider_of_tokens([["a", "dog"], ["a"]], references).tolist() == pytest.approx([5.0, 0.0])
    # "dog" twice is clipped, its norm is not: 1/2 of its cosine; "a dog" is one of two bigrams,
    # and the answer is one bigram longer.
    (score, _) = cider_of_tokens([["a", "dog", "dog"], []], references)
    shorter = math.exp(-1 / 72)
    assert score == pytest.approx(10 / 4 * (1 / 2 + 1 / math.sqrt(2)) * shorter)


def test_what_its_numbers_mean() -> None:
    alike = [["a black dog runs"], ["one red bus stops"]]
    assert cider([each[0] for each in alike], alike).tolist() == pytest.approx([10.0, 10.0])
    short = [["dog runs fast"], ["bus"]]
    assert cider([each[0] for each in short], short).tolist() == pytest.approx([7.5, 2.5])
    many = [["a black dog runs", "x y z v", "b c d e", "k l m n", "o p q r"], ["one red bus stops"]]
    assert cider(["a black dog runs", ""], many).tolist() == pytest.approx([2.0, 0.0])
    assert cider(["a dog"], [["a dog"]]).tolist() == [0.0]
    assert cider([], []).tolist() == []


def test_line_breaks_within_a_caption_are_blanks() -> None:
    """pycocoevalcap moves all later captions to the next picture at most of them."""
    broken = [each.replace(" ", "\r\n", 1).replace(" ", "\u2028", 1) for each in CAPTIONS]
    assert cider(broken, REFERENCES).tolist() == pytest.approx(SCORES, abs=1e-9)


LINES = json.loads((Path(__file__).parent / "caption_words.json").read_text("utf-8"))


def test_words_are_those_of_the_java_tokenizer() -> None:
    """122 captions; of 1,020 hard ones 1,012 are equal, of 4,275 lines of manuals 4,217."""
    wrong = {line: caption_tokens(line) for line in LINES}
    wrong = {line: words for line, words in wrong.items() if words != LINES[line].split()}
    assert wrong == {} and len(LINES) > 100


def test_any_text_is_divided() -> None:
    for character in map(chr, [*range(0x3000), 0xFFFD, 0x1F600, 0xD800]):
        assert " " not in "".join(caption_tokens(f"{character}a{character} {character}"))
