"""Pieces of lines as scans show them: the same every time, readable texts, pictures of ink."""

import numpy as np
import pytest

from florence2.errors import DataError
from florence2_lab.worlds.kit import Kit
from florence2_lab.worlds.scan_lines import MAX_CHARS, printed_text, receipt_text, scan_line


def test_a_piece_is_a_function_of_kit_seed_and_number(kit: Kit) -> None:
    one, same, other = scan_line(kit, 3, 5), scan_line(kit, 3, 5), scan_line(kit, 3, 6)
    assert (one.image == same.image).all() and one.text == same.text
    assert one.source == "scan/train/3/5"
    assert other.image.shape != one.image.shape or (other.image != one.image).any()


def test_texts_are_short_and_of_many_kinds(kit: Kit) -> None:
    rng = np.random.default_rng(0)
    texts = [receipt_text(rng, kit, MAX_CHARS) for _ in range(400)]
    assert all(text == " ".join(text.split()) and 0 < len(text) <= MAX_CHARS for text in texts)
    assert len({*texts}) > 300
    for kind in (str.isdigit, str.isupper, str.islower):
        assert sum(map(kind, texts)) > 10
    assert sum("." in text and any(map(str.isdigit, text)) for text in texts) > 20


def test_pieces_are_also_of_books_forms_and_screens(kit: Kit) -> None:
    rng = np.random.default_rng(1)
    texts = [printed_text(rng, kit, MAX_CHARS) for _ in range(600)]
    assert all(text == " ".join(text.split()) and 0 < len(text) <= MAX_CHARS for text in texts)
    signs = ("@", "www.", "/", "_", "’", "é")
    assert all(any(sign in text for text in texts) for sign in signs), signs


def test_pictures_are_pieces_of_a_line_with_ink(kit: Kit) -> None:
    pieces = [scan_line(kit, 1, index) for index in range(60)]
    for piece in pieces:
        height, width, channels = piece.image.shape
        assert piece.image.dtype == np.uint8 and channels == 3
        assert min(height, width) >= 8
    contrasts = [int(piece.image.max()) - int(piece.image.min()) for piece in pieces]
    assert sorted(contrasts)[5] > 25  # faint print is rare, blank pieces rarer


def test_some_pieces_are_no_print(kit: Kit) -> None:
    texts = [scan_line(kit, 2, index).text for index in range(200)]
    assert 4 <= texts.count("") <= 40


def test_held_out_fonts_are_needed_for_held_out_pieces(kit: Kit) -> None:
    families = {split: {font.family for font in kit.fonts_of(split)} for split in ("train", "val")}
    if not families["val"]:
        with pytest.raises(DataError, match="no fonts for split 'val'"):
            scan_line(kit, 1, 1, split="val")
    else:
        assert scan_line(kit, 1, 1, split="val").source == "scan/val/1/1"
        assert not families["train"] & families["val"]
