"""Every record once an epoch, every source by its weight, and nothing depends on what was asked."""

import pickle
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from florence2.answers import parse_answer
from florence2.data.records import Record
from florence2.errors import ConfigError, DataError
from florence2.model.config import with_vocab_size
from florence2.processing.processor import Processor
from florence2.processing.tokenizer import Tokenizer
from florence2.results import Boxes, Text
from florence2.tasks import Task
from florence2.training.augmentation import Augmentation
from florence2.training.mixtures import (
    BLOCK,
    ExampleMaker,
    MixedExamples,
    Mixture,
    StoredRecords,
)
from florence2.training.targets import TargetEncoder
from tiny_models import CONFIG

SIZE = (40, 20)


def captions(prefix: str, count: int) -> StoredRecords:
    image = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
    records = [
        Record(image, Task.CAPTION, "", None, Text(f"{prefix}{n}", image_size=SIZE), "test")
        for n in range(count)
    ]
    return StoredRecords(records)


def words(record: Record) -> str:
    assert isinstance(record.result, Text)
    return record.result.text


@pytest.fixture(scope="module")
def maker() -> ExampleMaker:
    tokenizer = Tokenizer.train([task.template for task in Task], vocab_size=300)
    config = with_vocab_size(CONFIG, tokenizer.vocab_size)
    return ExampleMaker(Processor(tokenizer, config), TargetEncoder(tokenizer))


def test_every_record_comes_once_an_epoch_in_a_new_order() -> None:
    source = captions("a", 7)
    epochs = [[words(source.record(7 * e + n)) for n in range(7)] for e in range(3)]
    assert all(sorted(epoch) == [f"a{n}" for n in range(7)] for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]


def test_in_a_mixture_too_every_record_comes_once_an_epoch() -> None:
    mixture = Mixture((captions("a", 30), captions("b", 50)), (3.0, 1.0))
    seen = [words(mixture.record(index)) for index in range(2 * BLOCK)]
    for prefix, count in (("a", 30), ("b", 50)):
        mine = [each for each in seen if each[0] == prefix]
        for start in range(0, len(mine) - count, count):
            assert len(set(mine[start : start + count])) == count


def test_sources_get_their_shares_in_every_block() -> None:
    mixture = Mixture((captions("a", 3), captions("b", 3), captions("c", 3)), (1.0, 2.0, 5.0))
    for block in (0, 1):
        seen = Counter(words(mixture.record(block * BLOCK + n))[0] for n in range(BLOCK))
        assert seen == {"a": 126, "b": 250, "c": 624}  # within one in a thousand
    first = [words(mixture.record(n))[0] for n in range(20)]
    assert len(set(first)) > 1  # mixed, not one after the other


def test_a_tiny_weight_is_not_lost() -> None:
    mixture = Mixture((captions("a", 3), captions("b", 3)), (1.0, 1e-6))
    assert Counter(words(mixture.record(n))[0] for n in range(BLOCK)) == {"a": BLOCK - 1, "b": 1}


def test_a_record_depends_on_its_index_alone() -> None:
    def mixture(seed: int) -> Mixture:
        return Mixture((captions("a", 9), captions("b", 4)), (1.0, 1.0), seed)

    forwards = [words(mixture(1).record(index)) for index in range(50)]
    one = mixture(1)
    backwards = [words(one.record(index)) for index in reversed(range(50))]
    assert forwards == backwards[::-1]
    assert forwards != [words(mixture(2).record(index)) for index in range(50)]


def test_a_worker_gets_the_same_examples(maker: ExampleMaker) -> None:
    examples = MixedExamples(Mixture((captions("a", 3),), (1.0,)), maker)
    example, again = examples[0], pickle.loads(pickle.dumps(examples))[0]
    assert np.array_equal(example.pixels, again.pixels)
    assert example.label_ids == again.label_ids and not example.extras


@pytest.mark.parametrize("augment", [False, True])
def test_labels_decode_back_to_the_records(
    tmp_path: Path, maker: ExampleMaker, augment: bool
) -> None:
    """With changes too: the answer in the labels covers the pixels in the example."""
    rng = np.random.default_rng(0)
    records = []
    for number in range(8):
        left, top = (int(value) for value in rng.integers(0, 12, 2))
        picture = Image.new("RGB", (32, 32), (20, 20, 20))
        picture.paste((240, 60, 60), (left, top, left + 16, top + 16))
        picture.save(tmp_path / f"{number}.png")
        boxes = Boxes([[left, top, left + 16, top + 16]], ["box"], image_size=(32, 32))
        records.append(Record(tmp_path / f"{number}.png", Task.OD, "", None, boxes, "test"))
    mixture = Mixture((StoredRecords(records),), (1.0,))
    examples = MixedExamples(mixture, maker, augment=Augmentation() if augment else None)
    tokenizer = maker.processor.tokenizer
    for index in range(24):
        example = examples[index]
        assert tokenizer.decode(example.prompt_ids) == f"<s>{Task.OD.template}</s>"
        found = parse_answer(tokenizer.decode(example.label_ids), Task.OD, (32, 32))
        assert isinstance(found, Boxes)
        assert (found.malformed, found.labels) == (0, ("box",))
        red = example.pixels[0] - example.pixels[1]
        y, x = np.nonzero(red > (red.max() + red.min()) / 2)
        seen = [x.min(), y.min(), x.max() + 1, y.max() + 1]
        assert np.abs(found.xyxy[0] - seen).max() < 1.0  # resizing blurs edges


def test_a_picture_that_changed_meanwhile_is_refused(maker: ExampleMaker) -> None:
    other = Record(
        np.zeros((9, 9, 3), np.uint8), Task.CAPTION, "", None, Text("a", image_size=SIZE), "1.png"
    )
    with pytest.raises(DataError, match="was the file changed"):
        MixedExamples(Mixture((StoredRecords([other]),), (1.0,)), maker)[0]


def test_bad_mixtures_are_refused() -> None:
    with pytest.raises(DataError, match="without records"):
        StoredRecords([])
    with pytest.raises(ConfigError, match="one for each"):
        Mixture((captions("a", 1),), (1.0, 2.0))
    with pytest.raises(ConfigError, match="above 0"):
        Mixture((captions("a", 1),), (0.0,))
