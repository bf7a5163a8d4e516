"""Training runs where only torch, numpy, opencv, pillow, tokenizers and safetensors are."""

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent

CODE = """
import importlib, importlib.util, pkgutil, sys
from pathlib import Path

ALLOWED = {"torch", "torchgen", "functorch", "numpy", "cv2", "PIL", "tokenizers", "safetensors",
           "yaml"}
OF_TORCH = {"typing_extensions", "sympy", "mpmath", "networkx", "jinja2", "markupsafe", "fsspec",
            "filelock", "setuptools", "_distutils_hack"}
OURS = {"florence2", "tiny_runs", "tiny_models", "__main__"}

class OnlyThese:
    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        known = top in sys.stdlib_module_names | ALLOWED | OF_TORCH | OURS
        if known or top.startswith(("_sysconfigdata", "__editable__")):
            return self.finder.find_spec(name, path, target)
        return None

sys.meta_path[:] = map(OnlyThese, sys.meta_path)
for name in ("huggingface_hub", "rapidfuzz", "tqdm", "matplotlib", "transformers"):
    assert importlib.util.find_spec(name) is None
import florence2.evaluation, florence2.training, florence2_lab.worlds
for package in (florence2.training, florence2_lab.worlds):
    for module in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
        if not module.ispkg:
            importlib.import_module(module.name)
for name in ("evaluation.worlds", "evaluation.text", "evaluation.detection", "checkpoints.saving"):
    importlib.import_module("florence2." + name)

import torch
from dataclasses import replace
from florence2.training.loop import Trainer
from tiny_runs import JOINT, new_model, new_recipe
torch.set_num_threads(1)
recipe = replace(new_recipe(replace(JOINT, steps=2)), checkpoint_part_bytes=100_000)
Trainer(new_model(), recipe, Path(sys.argv[1])).run()
"""


def test_training_needs_no_other_libraries(tmp_path: Path) -> None:
    path = os.pathsep.join(map(str, (HERE.parent, HERE, *sys.path)))
    run = subprocess.run(
        [sys.executable, "-c", CODE, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert run.returncode == 0, run.stderr
    parts = list(tmp_path.glob("*.part*"))
    assert len(parts) > 3 and all(path.stat().st_size <= 100_000 for path in parts)
    assert (tmp_path / "curves.png").exists()
