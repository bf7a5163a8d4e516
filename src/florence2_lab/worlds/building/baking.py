"""Bake web pages: lay our templates out in a browser and keep them with their records."""

import json
import logging
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from florence2.errors import ConfigError, DataError
from florence2_lab.worlds.archive import FORMAT_VERSION, INDEX_FILE, write_archive
from florence2_lab.worlds.building.chromium import Chromium
from florence2_lab.worlds.building.templates import web_page
from florence2_lab.worlds.building.typesetting import SCALE, SIDE, typeset
from florence2_lab.worlds.kit import ATTRIBUTION_FILE, Kit, Split
from florence2_lab.worlds.pixels import Pixels
from florence2_lab.worlds.webpages import BakedPages, line_row, page_files

STREAM = {"train": 12, "val": 13}
VAL_EVERY = 5  # one page of so many is held out
MAX_FAILURES = 20  # in a row, before giving up
LOG_EVERY = 50
LOSSLESS = 101  # what OpenCV calls a quality above 100

logger = logging.getLogger(__name__)


def bake(kit: Kit, path: Path, count: int, seed: int = 0) -> int:
    """Write an archive of pages; returns how many layouts were left out as not exact.

    The same kit, seed and version of Chromium give the same pages.
    """
    if count < 1:
        raise ConfigError(f"the count of pages must be at least 1; got {count!r}")
    path.parent.mkdir(parents=True, exist_ok=True)
    files = {ATTRIBUTION_FILE: kit.read(ATTRIBUTION_FILE)}
    rows: list[dict[str, Any]] = []
    left_out = in_a_row = 0
    with Chromium(SIDE, SCALE) as chromium:
        while len(rows) < count:
            number = len(rows) + left_out
            split: Split = "train" if (number + 1) % VAL_EVERY else "val"
            rng = np.random.default_rng([seed, number, STREAM[split]])
            kind, html = web_page(rng, kit, split)
            made = typeset(chromium, html, kind, f"web/{split}/{seed}/{number}")
            if made is None:
                left_out, in_a_row = left_out + 1, in_a_row + 1
                if in_a_row == MAX_FAILURES:
                    raise DataError(
                        f"{in_a_row} layouts in a row could not be annotated exactly; does"
                        f" {chromium.version} draw the fonts of kit {str(kit.path)!r}?"
                    )
                continue
            in_a_row = 0
            page, letter = made
            picture, letters = page_files(len(rows))
            files |= {picture: _webp(page.image[..., ::-1]), letters: _webp(page.letter_map)}
            row = {"kind": kind, "split": split, "source": page.source, "letter": letter}
            rows.append({**row, "lines": [line_row(line) for line in page.lines]})
            if len(rows) % LOG_EVERY == 0:
                logger.info("%d of %d pages", len(rows), count)
        index = {"format": FORMAT_VERSION, "holds": BakedPages.HOLDS, "browser": chromium.version}
    files[INDEX_FILE] = json.dumps({**index, "seed": seed, "pages": rows}).encode()
    write_archive(path, files)
    return left_out


def _webp(image: Pixels) -> bytes:
    """Compress without loss: a quarter of what PNG needs, and faster to read."""
    return bytes(cv2.imencode(".webp", image, [cv2.IMWRITE_WEBP_QUALITY, LOSSLESS])[1])
