"""Every kind of pictures is a function of the kit, the seed and the index."""

from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context

import pytest

from florence2_lab.worlds.kinds import KINDS, records_of
from florence2_lab.worlds.kit import Kit

DRAWN = [name for name, kind in KINDS.items() if kind.source is Kit]


def shown(kit: Kit, name: str, seed: int, index: int) -> list[tuple[bytes, str]]:
    """The pixels and answers of the records of one picture."""
    records = records_of(kit, name, seed, index, side=192, split="train", tasks=())
    return [(record.picture().tobytes(), repr(record.result)) for record in records]


@pytest.mark.parametrize("name", DRAWN)
def test_the_same_arguments_give_the_same_whatever_was_made_before(kit: Kit, name: str) -> None:
    wanted = shown(kit, name, 3, 5)
    for index in range(5):
        shown(kit, name, 3, index)
    assert wanted == shown(Kit(kit.path), name, 3, 5)
    assert wanted != shown(kit, name, 3, 6)
    assert wanted != shown(kit, name, 4, 5)


@pytest.mark.process
def test_workers_make_the_same_as_one_process(kit: Kit) -> None:
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as workers:
        for name in DRAWN:
            made = list(workers.map(partial(shown, kit, name, 11), range(4)))
            assert made == [shown(kit, name, 11, index) for index in range(4)]
