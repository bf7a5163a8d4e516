"""Fork, spawn, copies, the end of Python: a loaded model answers there, or says why not."""

import copy
import gc
import json
import os
import pickle
import subprocess
import sys
import weakref
from pathlib import Path

import numpy as np
import pytest

from florence2 import EngineError, EngineLimits, Florence2

PATIENCE_S = 120.0
PICTURE = np.full((64, 64, 3), 90, dtype=np.uint8)


def run(script: str, *arguments: object) -> list[str]:
    """What a script prints, a line each; it has to end by itself, well and without a word."""
    ended = subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
    )
    assert (ended.returncode, ended.stderr) == (0, ""), ended.stderr
    return ended.stdout.splitlines()


HEAD = """
import multiprocessing, os, sys, threading
import numpy as np
import torch
from florence2 import EngineError, Florence2
PICTURE = np.full((64, 64, 3), 90, dtype=np.uint8)
torch.set_num_threads({threads})
model = Florence2.load(sys.argv[1], device="cpu")
def work(_=0): return model.caption(PICTURE).text
"""
FORK = """
first = work()
with multiprocessing.get_context("fork").Pool(2) as pool:
    print(pool.map_async(work, range(4)).get(timeout=60) == [first] * 4)
print(work() == first)
"""
LOADER = """
first = work()
class Asked(torch.utils.data.Dataset):
    def __len__(self): return 3
    def __getitem__(self, index): return work()
loader = torch.utils.data.DataLoader(
    Asked(), batch_size=None, num_workers=1, timeout=60, multiprocessing_context="fork"
)
print(list(loader) == [first] * 3)
"""
IN_FLIGHT = """
from florence2 import GenerationOptions, Request
first = work()
long = GenerationOptions(num_beams=1, max_new_tokens=900, min_new_tokens=900, grammar=False)
future = model.engine.submit(Request(PICTURE, "od", generation=long))
child = os.fork()
if child == 0:
    try:
        future.result(timeout=30)
    except EngineError as error:
        print("forked" in str(error), work() == first, flush=True)
    os._exit(0)
print(os.waitpid(child, 0)[1] == 0)
future.cancel()
"""
AT_EXIT = """
import atexit
work()
@atexit.register
def late():
    try:
        print(work())
    except EngineError as error:
        print("takes no more questions" in str(error))
"""
THREAD_AT_EXIT = """
def keep_asking():
    try:
        while True:
            work()
    except EngineError:
        print("told", flush=True)
work()
threading.Thread(target=keep_asking).start()
"""


@pytest.mark.process
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("script", [FORK, LOADER, IN_FLIGHT], ids=["pool", "loader", "in_flight"])
def test_forked_children_answer(tiny_folder: Path, script: str, threads: int) -> None:
    """They waited for threads of their parent, for ever."""
    printed = run(HEAD.format(threads=threads) + script, tiny_folder)
    assert printed and set(" ".join(printed).split()) == {"True"}


@pytest.mark.process
def test_questions_at_the_end_of_python_are_told(tiny_folder: Path) -> None:
    assert run(HEAD.format(threads=1) + AT_EXIT, tiny_folder) == ["True"]


@pytest.mark.process
def test_a_thread_that_asks_while_python_ends_is_told(tiny_folder: Path) -> None:
    assert run(HEAD.format(threads=1) + THREAD_AT_EXIT, tiny_folder) == ["told"]


@pytest.mark.process
def test_spawned_children_load_the_model_again(tiny_folder: Path, tmp_path: Path) -> None:
    """By a path from here, though they may run elsewhere; encoded pictures go with it."""
    script = tmp_path / "asks.py"
    script.write_text(
        "import multiprocessing, os, sys\n"
        "import numpy as np\n"
        "from florence2 import Florence2\n"
        "def ask(model, picture):\n"
        "    return model.caption(picture).text\n"
        "if __name__ == '__main__':\n"
        "    picture = np.full((64, 64, 3), 90, dtype=np.uint8)\n"
        "    with Florence2.load(sys.argv[1], device='cpu') as model:\n"
        "        seen = model.encode_image(picture)\n"
        "        os.chdir('/')\n"
        "        with multiprocessing.get_context('spawn').Pool(1) as pool:\n"
        "            found = pool.starmap(ask, [(model, picture), (model, seen)])\n"
        "        print(found == [model.caption(picture).text] * 2)\n"
    )
    ended = subprocess.run(
        [sys.executable, str(script), tiny_folder.name],
        cwd=tiny_folder.parent, capture_output=True, text=True, timeout=PATIENCE_S,
    )  # fmt: skip
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "True\n", "")


def test_a_copy_is_loaded_again_with_its_options(tiny_folder: Path) -> None:
    limits = EngineLimits(max_running=3)
    with Florence2.load(tiny_folder, device="cpu", limits=limits, image_side=24) as model:
        answer = model.caption(PICTURE)
        for again in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
            with again:
                assert again.name == model.name and again.engine.limits == limits
                assert again.processor.image_side == 24
                assert again.caption(PICTURE) == answer
                assert again.caption(model.encode_image(PICTURE)).text == answer.text


def test_what_was_not_loaded_cannot_be_copied(tiny_folder: Path) -> None:
    with Florence2.load(tiny_folder, device="cpu") as loaded:
        made = Florence2(loaded.runtime, loaded.processor, name="made")
        with made, pytest.raises(EngineError, match="not made by Florence2"):
            copy.copy(made)


@pytest.mark.parametrize("how", ["close", "forget"])
def test_memory_comes_back(tiny_folder: Path, how: str) -> None:
    model = Florence2.load(tiny_folder, device="cpu")
    model.caption(PICTURE)
    weights = weakref.ref(model.runtime)
    encoded = weakref.ref(model.engine.images)
    if how == "close":
        model.close()
        with pytest.raises(EngineError, match="is closed"):
            model.caption(PICTURE)
    else:
        del model
    gc.collect()
    assert weights() is None
    assert how == "close" or encoded() is None


def test_results_and_errors_pickle(tiny_folder: Path) -> None:
    with Florence2.load(tiny_folder, device="cpu") as model:
        result = model.detect(PICTURE)
        assert pickle.loads(pickle.dumps(result)) == result
    try:
        model.caption(PICTURE)
    except EngineError as error:
        again = pickle.loads(pickle.dumps(error))
        assert (type(again), str(again)) == (EngineError, str(error))
    assert json.loads(json.dumps(result.to_dict()))
