"""The loop learns, and goes on where it stood as if nothing had happened."""

import csv
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from florence2.errors import ConfigError, DataError
from florence2.model.florence2 import IGNORE_INDEX, Florence2Model
from florence2.tasks import Task
from florence2.training.batches import Batches, Example, collate
from florence2.training.checkpoint_files import read_checkpoint, trained_weights
from florence2.training.freezing import freeze
from florence2.training.lora import Lora, LoraConfig
from florence2.training.recipe import Recipe
from florence2.training.stage import Stage
from florence2.training.targets import answer_loss as loss_of_answers
from florence2.training.trainer import Trainer
from tiny_runs import (
    CONFIG,
    DENSE,
    JOINT,
    LOC_BEGIN,
    TEXT,
    Patches,
    answer_loss,
    new_model,
    new_recipe,
    pretraining_loss,
    resumable_recipe,
)

TESTS = Path(__file__).parents[1]
FINE = Stage("fine", 10, 8, 32, 4e-3, warmup_steps=5)


class Killed(Exception):
    """Stands for a crash."""


def rows(folder: Path) -> list[tuple[str, ...]]:
    """The log without the numbers that depend on the clock."""
    with (folder / "log.csv").open() as file:
        return [
            (row["stage"], row["step"], row["name"], row["value"], row["pictures"])
            for row in csv.DictReader(file)
            if row["name"] != "images_per_s" and not row["name"].startswith("seconds")
        ]


def column(folder: Path, stage: str, name: str) -> list[float]:
    return [float(row[3]) for row in rows(folder) if row[0] == stage and row[2] == name]


def run_until(trainer: Trainer, steps: int) -> None:
    """Die in the step after so many."""
    take_step, taken = trainer.learner.take_step, iter(range(steps))

    def dying_step(*arguments: object) -> None:
        if next(taken, None) is None:
            raise Killed
        take_step(*arguments)  # type: ignore[arg-type]

    trainer.learner.take_step = dying_step  # type: ignore[method-assign,assignment]
    with pytest.raises(Killed):
        trainer.run()


def assert_same_state(one: object, other: object, where: str = "") -> None:
    """Equal to the bit, but for the clock."""
    if isinstance(one, dict):
        assert isinstance(other, dict) and one.keys() == other.keys(), where
        for key in one:
            if not str(key).startswith(("seconds", "log_bytes")):
                assert_same_state(one[key], other[key], f"{where}/{key}")
    elif isinstance(one, torch.Tensor):
        assert isinstance(other, torch.Tensor) and torch.equal(one, other), where
    else:
        assert one == other, where


def assert_alike(expected: dict[str, torch.Tensor], found: dict[str, torch.Tensor]) -> None:
    """Equal within the rounding of sums in another order. Measured: at most 4e-6."""
    assert expected.keys() == found.keys()
    for name, tensor in expected.items():
        assert torch.allclose(tensor, found[name], rtol=0, atol=5e-5), name


def test_all_kinds_of_stage_learn(tmp_path: Path) -> None:
    stages = DENSE, replace(TEXT, steps=25), replace(JOINT, steps=25)
    Trainer(new_model(), replace(new_recipe(*stages), save_every=50), tmp_path).run()
    cells = column(tmp_path, "dense", "dense_cells")
    assert cells[-1] < 0.8 * cells[0]
    for stage in ("text", "joint"):
        loss = column(tmp_path, stage, "loss")
        assert loss[-1] < 0.8 * loss[0]
    where = column(tmp_path, "joint", "dense_referents")
    assert where[-1] < 0.8 * where[0]
    assert column(tmp_path, "joint", "loss_ocr")


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a run with dropout that nothing disturbed."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("unbroken")
    Trainer(new_model(dropout=0.1), resumable_recipe(), folder).run()
    return folder


@pytest.mark.parametrize("steps", [2, 4, 8, 13, 25])
def test_a_broken_run_goes_on_like_an_unbroken_one(
    unbroken: Path, tmp_path: Path, steps: int
) -> None:
    run_until(Trainer(new_model(dropout=0.1), resumable_recipe(), tmp_path), steps)
    Trainer(new_model(dropout=0.1), resumable_recipe(), tmp_path).run()
    assert_same_state(read_checkpoint(unbroken), read_checkpoint(tmp_path))
    assert rows(tmp_path) == rows(unbroken)


@pytest.mark.process
def test_a_process_killed_twice_goes_on_like_an_unbroken_one(
    unbroken: Path, tmp_path: Path
) -> None:
    command = [sys.executable, str(TESTS / "tiny_runs.py"), str(tmp_path)]
    path = os.pathsep.join(map(str, (TESTS, *sys.path)))
    environment = {**os.environ, "PYTHONPATH": path}
    for stage in ("text", "joint"):
        process = subprocess.Popen([*command, "slow"], env=environment)
        try:
            wait_for_row(tmp_path, stage, process)
        finally:
            process.kill()
        assert process.wait() == -signal.SIGKILL, "it had ended before it was killed"
    subprocess.run(command, env=environment, check=True, timeout=600)
    assert_same_state(read_checkpoint(unbroken), read_checkpoint(tmp_path))
    assert rows(tmp_path) == rows(unbroken)


def wait_for_row(folder: Path, stage: str, process: "subprocess.Popen[bytes]") -> None:
    """Until the log has a row of a stage."""
    log = folder / "log.csv"
    for _ in range(30_000):
        if log.exists() and f"\n{stage}," in log.read_text():
            return
        assert process.poll() is None, "the run ended"
        time.sleep(0.02)
    raise AssertionError("the run was too slow")


def test_pieces_of_a_batch_train_as_the_whole(tmp_path: Path) -> None:
    """Pieces with few or no targets of a kind must not weigh more than in the whole."""
    stages = replace(DENSE, steps=4), replace(JOINT, steps=4)
    recipe = replace(new_recipe(*stages), bf16=False)
    Trainer(new_model(), recipe, tmp_path / "whole").run()
    Trainer(new_model(), replace(recipe, gradient_accumulation=3), tmp_path / "pieces").run()
    assert_alike(trained_weights(tmp_path / "whole"), trained_weights(tmp_path / "pieces"))
    for one, other in zip(rows(tmp_path / "whole"), rows(tmp_path / "pieces"), strict=True):
        if not one[2].endswith(("accuracy", "spread")):  # means over pieces
            assert float(one[3]) == pytest.approx(float(other[3]), rel=1e-3), one


def test_batches_are_the_same_for_any_number_of_processes() -> None:
    def numbers(size: int, pieces: int) -> list[list[float]]:
        made = [Batches(Patches(), JOINT, 1, 3, pieces, rank, size) for rank in range(size)]
        assert len(made[0]) == (JOINT.steps - 3) * pieces
        return [
            [
                row
                for part in made
                for piece in range(pieces)
                for row in part[step * pieces + piece].pixels[:, 0, 0, 0].tolist()
            ]
            for step in range(2)
        ]

    assert numbers(1, 1) == numbers(2, 1) == numbers(3, 2)
    with pytest.raises(ConfigError, match="too few for 3 processes with 4 pieces"):
        Batches(Patches(), JOINT, 1, pieces=4, size=3)


def test_what_is_frozen_stays_and_the_run_goes_on(tmp_path: Path) -> None:
    recipe = replace(new_recipe(FINE), loss=answer_loss)

    def frozen_model() -> Florence2Model:
        model = new_model()
        freeze(model, ("vision_tower",))
        return model

    run_until(Trainer(frozen_model(), recipe, tmp_path), 7)
    resumed = Trainer(frozen_model(), recipe, tmp_path)
    assert (resumed.stage_index, resumed.step) == (0, 5)
    assert not list(resumed.learner.objective.loss.parameters())
    resumed.run()
    before, after = new_model().state_dict(), trained_weights(tmp_path)
    moved = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert moved == {"projector", "shared", "text_encoder", "text_decoder"}
    with pytest.raises(ConfigError, match="trained before and are frozen now"):
        Trainer(new_model(), recipe, tmp_path)


def test_a_text_stage_trains_the_text_side_alone(tmp_path: Path) -> None:
    recipe = new_recipe(replace(TEXT, steps=4))
    Trainer(new_model(), recipe, tmp_path).run()
    before, after = new_model().state_dict(), trained_weights(tmp_path)
    moved = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert moved == {"shared", "text_encoder", "text_decoder"}


def test_a_run_of_an_adapter_goes_on(tmp_path: Path) -> None:
    recipe = replace(new_recipe(FINE), loss=answer_loss)

    def adapted_model() -> Florence2Model:
        torch.manual_seed(0)
        model = new_model()
        Lora(model, LoraConfig(rank=2))
        return model

    Trainer(adapted_model(), recipe, tmp_path / "whole").run()
    run_until(Trainer(adapted_model(), recipe, tmp_path / "broken"), 7)
    Trainer(adapted_model(), recipe, tmp_path / "broken").run()
    whole = read_checkpoint(tmp_path / "whole")
    assert_same_state(whole, read_checkpoint(tmp_path / "broken"))
    assert whole is not None and all("lora_" in name for name in whole["trained"])


def test_a_run_starts_from_the_weights_of_another(tmp_path: Path) -> None:
    recipe = replace(resumable_recipe(), stages=(replace(JOINT, steps=6),), ema_decay=0.5)
    Trainer(new_model(), recipe, tmp_path / "first").run()
    wanted = trained_weights(tmp_path / "first")
    for name, weights in (
        ("folder", tmp_path / "first"),
        ("file", tmp_path / "first" / "checkpoint.pt"),
        ("state", wanted),
    ):
        trainer = Trainer(new_model(), recipe, tmp_path / name, weights=weights)
        assert (trainer.stage_index, trainer.step) == (0, 0)
        assert not trainer.learner.optimizer.state
        assert_same_state(dict(trainer.model.state_dict()), wanted)


def test_heads_of_the_other_run_are_taken_where_they_fit(tmp_path: Path) -> None:
    recipe = new_recipe(replace(JOINT, steps=2))
    Trainer(new_model(), recipe, tmp_path / "first").run()
    recipe = replace(recipe, loss=partial(pretraining_loss, num_classes=5), seed=1)

    def heads(folder: str, weights: Path | None) -> dict[str, torch.Tensor]:
        trainer = Trainer(new_model(), recipe, tmp_path / folder, weights=weights)
        return trainer.learner.objective.loss.state_dict()

    state = read_checkpoint(tmp_path / "first")
    assert state is not None
    taken, fresh = heads("taken", tmp_path / "first"), heads("fresh", None)
    for name, weights in taken.items():
        source = fresh if name.startswith("heads.cells.") else state["loss"]
        assert torch.equal(weights, source[name]), name


def test_evaluation_and_the_end_use_the_average(tmp_path: Path) -> None:
    recipe = resumable_recipe()
    trainer = Trainer(new_model(), recipe, tmp_path)
    trainer.run()
    state, used = read_checkpoint(tmp_path), trained_weights(tmp_path)
    assert state is not None
    assert not torch.equal(state["model"]["shared.weight"], used["shared.weight"])
    assert_same_state(dict(trainer.model.state_dict()), used)
    assert recipe.evaluate is not None
    expected = recipe.evaluate(trainer.model, 32)["held_out_size"]
    assert column(tmp_path, "joint", "held_out_size")[-1] == pytest.approx(expected, rel=1e-4)


def changed_recipes() -> Iterator[tuple[str, Recipe, str]]:
    recipe = resumable_recipe()
    *others, last = recipe.stages
    yield "stage", replace(recipe, stages=(*others, replace(last, name="x"))), "stage 'joint'"
    other = partial(pretraining_loss, num_classes=5)
    yield "classes", replace(recipe, loss=other), "another loss.*cells"


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a run that died in its last stage."""
    folder = tmp_path_factory.mktemp("broken")
    run_until(Trainer(new_model(), resumable_recipe(), folder), 17)
    return folder


@pytest.mark.parametrize(
    ("recipe", "message"),
    [pytest.param(recipe, message, id=name) for name, recipe, message in changed_recipes()],
)
def test_another_recipe_does_not_go_on(broken: Path, recipe: Recipe, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Trainer(new_model(), recipe, broken)


def test_a_loss_that_is_no_number_ends_the_run_before_it_is_saved(tmp_path: Path) -> None:
    run_until(Trainer(new_model(), resumable_recipe(), tmp_path), 6)
    trainer = Trainer(new_model(), resumable_recipe(), tmp_path)
    with torch.no_grad():
        trainer.model.vision_tower.convs[0].conv.weight.fill_(torch.nan)
    with pytest.raises(DataError, match="the loss is nan at step 5 of stage 'dense'"):
        trainer.run()
    state = read_checkpoint(tmp_path)
    assert state is not None and state["step"] == 4
    assert all(torch.isfinite(each).all() for each in state["model"].values())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param({"stages": ()}, "no stages", id="no stage"),
        pytest.param({"ema_decay": 1.0}, "between 0 and 1", id="decay"),
        pytest.param({"gradient_accumulation": 0}, "gradient_accumulation is 0", id="accumulation"),
    ],
)
def test_a_recipe_that_cannot_be_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        replace(new_recipe(DENSE), **change)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param({"steps": 0}, "'joint' has steps 0", id="steps"),
        pytest.param({"trains": "txt"}, "trains 'txt'; choose among all, tower, text", id="trains"),
    ],
)
def test_a_stage_that_cannot_be_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        replace(JOINT, **change)  # type: ignore[arg-type]


def test_the_rate_warms_up_and_falls() -> None:
    stage = Stage("x", 100, 8, 32, 1.0, warmup_steps=10, final_share=0.1)
    rates = [stage.learning_rate_at(step) for step in range(100)]
    assert rates[:2] == [0.1, 0.2] and max(rates) == rates[10] == 1.0
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert 0.1 < rates[-1] < 0.11


def test_padding_takes_no_part_in_the_loss() -> None:
    short = Example(np.zeros((3, 32, 32), np.float32), Task.OCR, [0, 2], [0, 5, 2])
    long = replace(short, prompt_ids=[0, 7, 8, 2], label_ids=[0, 5, 6, LOC_BEGIN + 3, 9, 2])
    batch = collate([short, long], pad_id=1)
    assert batch.labels[0].tolist() == [0, 5, 2, *[IGNORE_INDEX] * 3]
    assert batch.prompt_mask.tolist() == [[1, 1, 0, 0], [1, 1, 1, 1]]
    logits = torch.randn(2, 6, 1040, generator=torch.Generator().manual_seed(0))
    _, rows = loss_of_answers(logits, batch.labels, LOC_BEGIN)
    _, alone = loss_of_answers(logits[:1, :3], batch.labels[:1, :3], LOC_BEGIN)
    assert torch.allclose(rows[0], alone[0])


def test_a_near_bin_costs_less_than_a_far_one() -> None:
    labels = torch.tensor([[LOC_BEGIN + 500]])
    costs = []
    for guess in (500, 503, 520):
        logits = torch.zeros(1, 1, CONFIG.text.vocab_size)
        logits[0, 0, LOC_BEGIN + guess] = 8.0
        costs.append(loss_of_answers(logits, labels, LOC_BEGIN)[0].item())
    assert costs[0] < costs[1] < costs[2]


def test_a_stage_ends_with_its_time_at_the_lowest_rate() -> None:
    stage = Stage("short", 1000, 4, 32, 1e-3, warmup_steps=0, seconds=10.0)
    assert stage.learning_rate_at(0, 0.0) == 1e-3
    assert stage.learning_rate_at(10, 5.0) == pytest.approx(5e-4)
    assert stage.learning_rate_at(10, 10.0) == pytest.approx(0.0)
    assert stage.learning_rate_at(500, 1.0) == pytest.approx(5e-4)  # whichever is nearer its end
    assert not stage.is_over(999, 9.9)
    assert stage.is_over(1000, 0.0) and stage.is_over(1, 10.0)


def test_the_time_of_a_stage_counts_over_its_sessions(tmp_path: Path) -> None:
    """The schedule of a stage that ends by time goes on where it was, and does not begin anew."""
    recipe = resumable_recipe()
    trainer = Trainer(new_model(), recipe, tmp_path)
    run_until(trainer, 6)
    trainer.elapsed_s = 123.0
    trainer.save()
    resumed = Trainer(new_model(), recipe, tmp_path)
    assert resumed.elapsed_s == 123.0
    stage = replace(recipe.stages[resumed.stage_index], seconds=100.0)
    resumed._run_stage(stage)  # its time is over: no step is taken
    assert resumed.step == 6
