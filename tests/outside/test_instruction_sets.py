"""Every precision with every instruction set that oneDNN can be held to: right, or refused."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import sys
import numpy as np
from florence2 import ConfigError, Florence2
picture = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
for precision in ("float32", "bfloat16", "int8"):
    try:
        with Florence2.load(sys.argv[1], device="cpu", precision=precision) as model:
            print(precision, model.detect(picture).token_ids)
    except ConfigError as error:
        print(precision, "refused:", error)
"""
SETS = ("SSE41", "AVX", "AVX2", "AVX2_VNNI", "AVX2_VNNI_2", "AVX512_CORE", "AVX512_CORE_VNNI")


def outcomes(folder: Path, **settings: str) -> dict[str, str]:
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(folder)],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "OMP_NUM_THREADS": "1", **settings},
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    return dict(line.split(" ", 1) for line in ended.stdout.splitlines())


@pytest.mark.process
@pytest.mark.parametrize("name", SETS)
def test_a_precision_answers_or_is_refused_in_a_sentence(tiny_folder: Path, name: str) -> None:
    """bfloat16 and int8 ended in oneDNN's own error on processors without AVX-512."""
    found = outcomes(tiny_folder, ONEDNN_MAX_CPU_ISA=name)
    assert found["float32"].startswith("(")
    for precision in ("bfloat16", "int8"):
        if not found[precision].startswith("("):
            assert "refused: precision" in found[precision]
            assert "which this machine has not" in found[precision]
            assert f"ONEDNN_MAX_CPU_ISA={name}" in found[precision]
            assert "choose 'float32'" in found[precision]
    if name != "AVX512_CORE_VNNI":  # products of integers are wrong there
        assert "refused" in found["int8"]
