"""Start the commands as a shell would, with streams, limits and folders as users have them."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

PATIENCE_S = 300.0


def command(*arguments: object, program: str = "florence2") -> list[Any]:
    """What starts a command; arguments may be bytes."""
    given = [each if isinstance(each, bytes) else str(each) for each in arguments]
    return [sys.executable, "-m", program, *given]


def run(
    *arguments: object,
    program: str = "florence2",
    before: str = "",
    behind: str = "",
    stdout: Any = subprocess.PIPE,
    stderr: Any = subprocess.PIPE,
    **environment: str,
) -> subprocess.CompletedProcess[bytes]:
    """Run a command to its end; it may not take longer than `PATIENCE_S`.

    Args:
        before: shell words in front of the command, such as `ulimit -f 8;`.
        behind: shell words behind it, such as `| head -1`.
    """
    script = [] if not before + behind else ["bash", "-c", f'{before} "$@" {behind}', "bash"]
    return subprocess.run(
        [*script, *command(*arguments, program=program)],
        stdout=stdout,
        stderr=stderr,
        timeout=PATIENCE_S,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
    )


def told(done: subprocess.CompletedProcess[bytes]) -> str:
    """What a command that failed says: its last line, where no line is a traceback's."""
    words = done.stderr.decode()
    assert "Traceback" not in words and "Exception ignored" not in words, words
    return words.strip().splitlines()[-1] if words.strip() else ""


def rows(output: bytes) -> list[dict[str, Any]]:
    """JSON lines, read as strictly as any program reads them."""
    text = output.decode("utf-8")
    text.encode("utf-16")  # no half characters
    return [json.loads(line) for line in text.splitlines()]


def coco(folder: Path, pictures: list[Path]) -> Path:
    """A COCO file of the same box in each picture of 120 x 80 pixels."""
    size = {"width": 120, "height": 80}
    numbered = list(enumerate(pictures, start=1))
    box = {"category_id": 1, "bbox": [20, 10, 60, 60]}
    content = {
        "images": [{"id": number, "file_name": str(path), **size} for number, path in numbered],
        "annotations": [{"id": number, "image_id": number, **box} for number, _ in numbered],
        "categories": [{"id": 1, "name": "orange"}],
    }
    path = folder / "annotations.json"
    path.write_text(json.dumps(content))
    return path
