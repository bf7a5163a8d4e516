"""The grammar against the reader of answers, which says what is malformed."""

import itertools
import re
from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_search import SEARCHES, same

from florence2.answers import parse_answer
from florence2.generation.grammar import Grammar, State
from florence2.generation.options import GenerationOptions
from florence2.generation.phrase_trie import PhraseTrie
from florence2.tasks import AnswerKind, Task
from lively_models import LOCATIONS, SPECIAL, VOCABULARY, asked, grammar

TASK_OF = {task.answer_kind: task for task in Task}
MARKS = {SPECIAL.bos: "<s>", SPECIAL.eos: "</s>", 3: "<sep>", 4: "<poly>", 5: "</poly>"}
KINDS = pytest.mark.parametrize("kind", list(AnswerKind), ids=lambda kind: kind.name)


def text_of(tokens: list[int] | tuple[int, ...]) -> str:
    """What the little vocabulary spells; `<x>` is no token for the reader, so never written."""
    parts = [
        f"<loc_{50 * (token - LOCATIONS.start)}>".encode()
        if token in LOCATIONS
        else MARKS[token].encode()
        if token in MARKS
        else VOCABULARY.pieces[token]
        for token in tokens
    ]
    return b"".join(parts).decode()


def is_whole(tokens: list[int], kind: AnswerKind) -> bool:
    """Whether the reader finds no fault, and the boxes have an area."""
    result = parse_answer(text_of(tokens), TASK_OF[kind], (1000, 1000))
    boxes = getattr(result, "boxes", result)
    areas = getattr(boxes, "xyxy", [])
    return result.malformed == 0 and all(x1 < x2 and y1 < y2 for x1, y1, x2, y2 in areas)


def state_after(tokens: list[int], rules: Grammar) -> State:
    state = State()
    for token in tokens:
        state = rules.advance(state, token)
    return state


def permitted(rules: Grammar, state: State, room: int) -> list[int]:
    choice = rules.allowed(state, room)
    return [token for token in range(len(VOCABULARY.pieces) + 2) if rules.allows(choice, token)]


@KINDS
@settings(max_examples=40)
@given(data=st.data())
def test_every_walk_ends_in_time_with_a_whole_answer(kind: AnswerKind, data: st.DataObject) -> None:
    rules = grammar(kind)
    limit = data.draw(st.integers(1, 40))
    state, tokens = State(), []
    while SPECIAL.eos not in tokens:
        room = limit - len(tokens)
        assert room > 0
        hurry = data.draw(st.integers(0, 9)) == 0
        allowed = permitted(rules, state, rules.min_tokens_left(state) if hurry else room)
        assert allowed
        tokens.append(data.draw(st.sampled_from(allowed)))
        state = rules.advance(state, tokens[-1])
    assert is_whole(tokens, kind)


# Marks, a letter and two locations.
FEW = (3, 4, 5, 6, 40, 41)


@KINDS
@pytest.mark.parametrize("length", [*range(5), pytest.param(5, marks=pytest.mark.slow)])
def test_short_answers_are_allowed_exactly_if_the_reader_finds_no_fault(
    kind: AnswerKind, length: int
) -> None:
    """All sequences of so many tokens."""
    rules = grammar(kind)
    for middle in itertools.product(FEW, repeat=length):
        tokens = [*middle, SPECIAL.eos]
        state, allowed = State(), True
        for place, token in enumerate(tokens):
            choice = rules.allowed(state, len(tokens) - place + 40)
            allowed = allowed and rules.allows(choice, token)
            if not allowed:
                break
            state = rules.advance(state, token)
        assert allowed == is_whole(tokens, kind), text_of(tokens)


LOC = list(LOCATIONS)
WHOLE = {
    AnswerKind.TEXT: [6, 7, *LOC[:4]],
    AnswerKind.CLASS_BOXES: [6, *LOC[:4], *LOC[2:6], 7, 8, *LOC[4:8]],
    AnswerKind.PHRASE_BOXES: [6, 16, 7, *LOC[:4], 6, *LOC[:4]],
    AnswerKind.BOXES: [*LOC[:8]],
    AnswerKind.QUADS: [6, *LOC[:8], 7, *LOC[8:16]],
    AnswerKind.POLYGONS: [4, *LOC[:6], 3, *LOC[:8], 5, 4, *LOC[:6], 5],
    AnswerKind.BOXES_OR_POLYGONS: [6, *LOC[:4], 7, 4, *LOC[:6], 5, 4, *LOC[:6], 5, *LOC[:4]],
}


@KINDS
def test_a_whole_answer_is_never_changed_and_needs_no_more_room_than_it_has(
    kind: AnswerKind,
) -> None:
    rules = grammar(kind)
    tokens = [*WHOLE[kind], SPECIAL.eos]
    for room in (len(tokens), 100):
        state = State()
        for place, token in enumerate(tokens):
            choice = rules.allowed(state, room - place)
            assert rules.allows(choice, token)
            state = rules.advance(state, token)


@pytest.mark.parametrize("options", SEARCHES)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_random_weights_write_whole_answers_only(seed: int, options: GenerationOptions) -> None:
    requests = asked(seed)
    for first in range(0, len(AnswerKind), 4):
        kinds = (list(AnswerKind) * 2)[first : first + 4]
        answers = requests.together(options, grammars=[grammar(kind) for kind in kinds])
        for kind, answer in zip(kinds, answers, strict=True):
            assert is_whole(list(answer.token_ids), kind), text_of(answer.token_ids)
            assert answer.finish_reason in ("stop", "grammar", "length")


def test_a_whole_greedy_answer_is_as_without_the_grammar() -> None:
    """With beams another whole answer may win, where a broken one has left its place."""
    options = GenerationOptions(num_beams=1)
    unchanged = 0
    for seed in range(12):
        free = asked(seed).together(options)
        for kind in AnswerKind:
            rules = [grammar(kind)] * len(free)
            kept = asked(seed).together(options, grammars=rules)
            for one, other in zip(free, kept, strict=True):
                choice_ok = follows(list(one.token_ids), rules[0])
                unchanged += choice_ok
                assert not choice_ok or same(one, other) or other.finish_reason == "grammar"
    assert unchanged > 5


def follows(tokens: list[int], rules: Grammar) -> bool:
    state = State()
    for place, token in enumerate(tokens):
        if not rules.allows(rules.allowed(state, 48 - place), token):
            return False
        state = rules.advance(state, token)
    return True


def test_a_token_is_not_spelled_in_letters() -> None:
    rules = grammar(AnswerKind.TEXT)
    by_piece = {piece: token for token, piece in enumerate(VOCABULARY.pieces)}
    for pieces in ([b"<se"], [b"a", b"<"], [b"< ", b"<"]):
        tokens = [by_piece[piece] for piece in pieces]
        allowed = {VOCABULARY.pieces[t] for t in permitted(rules, state_after(tokens, rules), 30)}
        assert (b"p>" in allowed) == (pieces[-1] != b"<se")
        assert (b"s>" in allowed) == (pieces[-1] != b"<")
        assert b">" in allowed


@pytest.mark.parametrize("kind", [AnswerKind.PHRASE_BOXES, AnswerKind.BOXES_OR_POLYGONS])
def test_only_asked_phrases_are_written_in_any_pieces(kind: AnswerKind) -> None:
    rules = grammar(kind, only_asked=True)
    labels: Counter[str] = Counter()
    spellings: Counter[tuple[bytes, ...]] = Counter()
    generator = torch.Generator().manual_seed(0)
    for _ in range(100):
        state, tokens = State(), []
        while SPECIAL.eos not in tokens:
            allowed = permitted(rules, state, 40 - len(tokens))
            place = int(torch.randint(len(allowed), (1,), generator=generator))
            tokens.append(allowed[place])
            state = rules.advance(state, tokens[-1])
        assert is_whole(tokens, kind)
        labels.update(re.findall(r"[^<>]+(?=<(?:loc_[0-9]+|poly)>)", text_of(tokens)))
        pieces = [VOCABULARY.pieces[token] for token in tokens]
        spellings.update({tuple(group) for at, group in itertools.groupby(pieces, bool) if at})
    assert {*labels} == {"a cat", "cab", "d"}
    assert {*spellings} == {(b"a cat",), (b"c", b"ab"), (b"c", b"a", b"b"), (b"d",)}


def test_phrases_know_what_they_need() -> None:
    phrases = PhraseTrie([(b"ab", [2]), (b"abcd", [2, 4])], {b"a": [1], b"b": [2], b"ab": [3]})
    assert phrases.min_tokens_left(b"") == 1
    assert phrases.min_tokens_left(b"a") == 1
    assert phrases.min_tokens_left(b"ab") == 0
    assert phrases.accepts(b"ab")
    assert phrases.min_tokens_after_next(b"ab") > 1000  # nothing spells "cd"
    assert {*phrases.next_tokens(b"", 0)} == {3}
    assert {*phrases.next_tokens(b"", 1)} == {1, 3}
