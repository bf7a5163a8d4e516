"""Fine-tuning and measuring on COCO need nothing of the lab and none of its libraries."""

import json
import subprocess
import sys
from pathlib import Path

CODE = """
import sys

for name in ("cv2", "florence2_lab", "fontTools", "resvg_py", "rapidfuzz", "transformers", "peft"):
    sys.modules[name] = None  # an import of it fails
from florence2.cli.main import main

own, learner, run = sys.argv[1:]
short = "--steps 2 --batch-size 4 --workers 0 --device cpu".split()
code = main(["train", own, "--model", learner, "--output", run, *short])
sys.exit(code or main(["eval", "--data", own, "--model", f"{run}/model", "--device", "cpu"]))
"""


def test_a_coco_file_is_trained_on_and_measured(learner: Path, own: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(own), str(learner), str(tmp_path / "run")],
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    trained, measured = map(json.loads, done.stdout.splitlines())
    assert "od_f1" in trained["after"]
    assert [(row["group"], row["count"]) for row in measured["rows"]] == [("od", 6)]
    assert (tmp_path / "run" / "curves.png").exists()
