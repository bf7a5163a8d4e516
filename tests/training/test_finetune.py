"""From a dataset to a checkpoint: every mode learns, frozen stays frozen, others can load it."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from own_pictures import options_for, write_learner, write_own_pictures, write_told_pictures
from safetensors.torch import load_file
from torch import Tensor
from transformers import Florence2ForConditionalGeneration as Oracle

from florence2.checkpoints.loading import load_checkpoint
from florence2.errors import ConfigError, DataError
from florence2.model.florence2 import Florence2Model
from florence2.tasks import Task
from florence2.training.finetune import Finetuning, prepare
from florence2.training.held_out import HeldOut
from florence2.training.options import FinetuneOptions, WeightedPath
from florence2.training.peft_files import load_lora
from florence2.training.trainer import Trainer
from tiny_models import tiny_batch

TOLERANCE = 2e-4  # the project's
PARTS = ("vision_tower", "projector", "text_encoder", "text_decoder")


def state_of(model: Florence2Model) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def logits_of(model: Florence2Model) -> Tensor:
    pixels, prompt_ids, labels = tiny_batch()
    with torch.inference_mode():
        return model.eval()(pixels, prompt_ids, labels)


def train(ready: Finetuning) -> None:
    Trainer(ready.model, ready.recipe(), ready.options.output).run()


# ---- learning


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"mode": "full", "steps": 40}, id="full"),
        pytest.param({"mode": "frozen-vision", "steps": 40}, id="frozen-vision"),
        # The weights under it are random, so it has to adapt what sees the pictures, too.
        pytest.param(
            {"mode": "lora", "steps": 60, "learning_rate": 1e-2, "targets": PARTS}, id="lora"
        ),
    ],
)
def test_one_batch_is_learnt_by_heart(
    learner: Path, tmp_path: Path, settings: dict[str, Any]
) -> None:
    data = write_told_pictures(tmp_path / "told")
    options = options_for(data, learner, tmp_path / "run", held_out=0.0, augment=False, **settings)
    ready = prepare(options)
    measure = HeldOut(ready.data.stored, ready.maker)
    before = measure(ready.model, ready.side)["held_out_loss"]
    train(ready)
    assert before > 20.0
    assert measure(ready.model, ready.side)["held_out_loss"] < 0.3  # measured: 0.12 at most


def test_frozen_vision_stays_to_the_bit_and_the_rest_learns(
    learner: Path, own: Path, tmp_path: Path
) -> None:
    ready = prepare(options_for(own, learner, tmp_path / "run", mode="frozen-vision"))
    before = state_of(ready.model)
    train(ready)
    for name, parameter in ready.model.named_parameters():
        assert torch.equal(parameter, before[name]) == name.startswith("vision_tower."), name


def test_an_adapter_leaves_every_weight_under_it(learner: Path, own: Path, tmp_path: Path) -> None:
    ready = prepare(options_for(own, learner, tmp_path / "run", mode="lora"))
    before = state_of(ready.model)
    train(ready)
    for name, parameter in ready.model.named_parameters():
        assert torch.equal(parameter, before[name]) == ("lora_" not in name), name


# ---- what is written


def test_a_trained_checkpoint_says_the_same_in_transformers(
    learner: Path, own: Path, tmp_path: Path
) -> None:
    ready = prepare(options_for(own, learner, tmp_path / "run", side=24))
    outcome = ready.run()
    assert outcome.checkpoint is not None
    oracle = Oracle.from_pretrained(outcome.checkpoint).eval()
    loaded = load_checkpoint(outcome.checkpoint)
    assert loaded.model.config.image_side == 24
    assert not torch.equal(loaded.model.shared.weight, load_checkpoint(learner).model.shared.weight)
    model = loaded.model.eval()
    pixels = torch.randn(2, 3, 24, 24, generator=torch.Generator().manual_seed(1))
    _, prompt_ids, token_ids = tiny_batch()
    count = model.config.num_image_tokens(24)
    places = torch.full((len(pixels), count), oracle.config.image_token_id)
    with torch.inference_mode():
        theirs = oracle(
            input_ids=torch.cat((places, prompt_ids), dim=1),
            pixel_values=pixels,
            decoder_input_ids=token_ids,
        ).logits
        ours = model.decode(token_ids, model.encode(model.encode_image(pixels), prompt_ids))
    assert torch.allclose(ours, theirs, atol=TOLERANCE)


def test_a_merged_adapter_equals_the_adapter(learner: Path, own: Path, tmp_path: Path) -> None:
    ready = prepare(options_for(own, learner, tmp_path / "run", mode="lora", merge=True))
    outcome = ready.run()
    assert outcome.checkpoint is not None and outcome.adapter is not None
    adapted = load_checkpoint(learner).model
    plain = logits_of(adapted)
    load_lora(adapted, outcome.adapter)
    merged = load_checkpoint(outcome.checkpoint).model
    assert torch.allclose(logits_of(adapted), logits_of(merged), atol=TOLERANCE)
    assert not torch.allclose(logits_of(merged), plain, atol=10 * TOLERANCE)


def test_weights_keep_the_dtype_of_the_checkpoint(own: Path, tmp_path: Path) -> None:
    half = write_learner(tmp_path / "half", torch.bfloat16)
    ready = prepare(options_for(own, half, tmp_path / "run"))
    assert ready.model.shared.weight.dtype == torch.float32  # while it trains
    outcome = ready.run()
    assert outcome.checkpoint is not None
    stored = load_file(outcome.checkpoint / "model.safetensors")
    assert {tensor.dtype for tensor in stored.values()} == {torch.bfloat16}


# ---- going on


def test_a_run_that_was_stopped_ends_like_an_unbroken_one(
    learner: Path, own: Path, tmp_path: Path
) -> None:
    whole = prepare(options_for(own, learner, tmp_path / "whole", mode="lora")).run()

    class Stopped(Exception):
        pass

    ready = prepare(options_for(own, learner, tmp_path / "broken", mode="lora"))
    ready._lock_run_folder(ready.options.output)
    ready._baseline_metrics(ready.options.output / "before.json")

    def stop(model: Florence2Model, side: int) -> dict[str, float]:
        if (ready.options.output / "checkpoint.pt").exists():
            raise Stopped
        return {}

    recipe = replace(ready.recipe(), save_every=2, evaluate=stop, evaluate_every=1)
    with pytest.raises(Stopped):
        Trainer(ready.model, recipe, ready.options.output).run()
    broken = prepare(options_for(own, learner, tmp_path / "broken", mode="lora")).run()
    assert broken.before == whole.before
    assert broken.after == whole.after
    assert whole.adapter is not None and broken.adapter is not None
    one, other = (
        load_file(folder / "adapter_model.safetensors")
        for folder in (whole.adapter, broken.adapter)
    )
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        pytest.param({"learning_rate": 2e-2}, "learning_rate 0.01, not 0.02", id="rate"),
        pytest.param({"mode": "lora"}, "mode 'full', not 'lora'", id="mode"),
        pytest.param({"tasks": (Task.REGION_PROPOSAL,)}, r"tasks \[\], not", id="task"),
    ],
)
def test_a_folder_with_another_run_is_refused(
    learner: Path, own: Path, tmp_path: Path, change: dict[str, Any], told: str
) -> None:
    options = options_for(own, learner, tmp_path / "run", steps=1)
    first = prepare(options)
    first._lock_run_folder(options.output)
    first._lock_run_folder(options.output)  # the same again may go on
    with pytest.raises(ConfigError, match=told):
        prepare(replace(options, **change))._lock_run_folder(options.output)


def test_a_folder_with_a_run_on_other_data_is_refused(learner: Path, tmp_path: Path) -> None:
    data = write_own_pictures(tmp_path / "own")
    options = options_for(data, learner, tmp_path / "run", steps=1)
    prepare(options)._lock_run_folder(options.output)
    text = data.read_text().replace('"red"', '"rot"')
    data.write_text(text)
    with pytest.raises(ConfigError, match="contents"):
        prepare(options)._lock_run_folder(options.output)


# ---- looking and refusing before the first step


def test_the_look_tells_what_trains_on_what(learner: Path, own: Path, tmp_path: Path) -> None:
    ready = prepare(options_for(own, learner, tmp_path / "run", mode="frozen-vision"))
    told = ready.preflight()
    assert "5 to train on, 1 held out (20% of the pictures)" in told
    assert "frozen" in told and "4 steps of 4 pictures of 32 pixels" in told
    assert (tmp_path / "run" / "preview.png").exists()
    assert not (tmp_path / "run" / "run.json").exists()  # looking begins nothing


def test_a_frozen_part_that_would_train_is_refused(
    learner: Path, own: Path, tmp_path: Path
) -> None:
    ready = prepare(options_for(own, learner, tmp_path / "run", mode="frozen-vision"))
    next(ready.model.vision_tower.parameters()).requires_grad_(True)
    with pytest.raises(ConfigError, match="'vision_tower' is to be frozen, but"):
        ready.preflight()


def write_rows(folder: Path, *suffixes: str) -> Path:
    write_own_pictures(folder, len(suffixes))
    lines = [
        json.dumps({"image": f"{number}.png", "prefix": "<OD>", "suffix": suffix})
        for number, suffix in enumerate(suffixes)
    ]
    (folder / "rows.jsonl").write_text("\n".join(lines))
    return folder / "rows.jsonl"


BOX = "<loc_1><loc_1><loc_500><loc_500>"


def test_answers_without_room_are_skipped_with_count_and_reason(
    learner: Path, tmp_path: Path
) -> None:
    data = write_rows(tmp_path / "own", "a" + BOX, "b" + BOX, "a" + 20 * BOX, "c" + BOX)
    ready = prepare(options_for(data, learner, tmp_path / "run", held_out=0.0))
    assert len(ready.data.stored) == 3
    assert "1 skipped, as the answer has more tokens than the 64 positions" in ready.data.summary


def test_data_of_which_nothing_fits_is_refused(learner: Path, tmp_path: Path) -> None:
    data = write_rows(tmp_path / "own", "a" + 20 * BOX, "b" + 20 * BOX)
    with pytest.raises(DataError, match=r"no record of dataset .* can be trained on: 1 skipped"):
        prepare(options_for(data, learner, tmp_path / "run"))


@pytest.mark.parametrize(
    ("suffixes", "told"),
    [
        pytest.param([""] * 4, "are empty", id="empty"),
        pytest.param(["car" + BOX] * 9, "are the same", id="constant"),
    ],
)
def test_answers_that_teach_nothing_are_refused(
    learner: Path, tmp_path: Path, suffixes: list[str], told: str
) -> None:
    data = write_rows(tmp_path / "own", *suffixes)
    options = options_for(data, learner, tmp_path / "run", held_out=0.0, augment=False)
    with pytest.raises(DataError, match=told):
        prepare(options).preflight()


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        pytest.param({"mode": "half"}, "choose one of full, frozen-vision, lora", id="mode"),
        pytest.param({"epochs": 2.0}, "give one", id="steps and epochs"),
        pytest.param({"learning_rate": 0.0}, "above 0", id="rate"),
        pytest.param({"held_out": 1.0}, r"in \[0, 1\)", id="share"),
        pytest.param({"merge": True}, "writes a whole checkpoint anyway", id="merge"),
        pytest.param({"workers": -1}, "0 or more", id="workers"),
    ],
)
def test_bad_options_are_refused(settings: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        options_for(Path("a.json"), Path("nano"), Path("run"), **settings)
    with pytest.raises(ConfigError, match="nothing to train on"):
        FinetuneOptions((), Path("run"))


@pytest.mark.parametrize(
    ("text", "path", "weight"),
    [
        ("a.json", "a.json", 1.0),
        ("a.json:2", "a.json", 2.0),
        ("C:\\a.json", "C:\\a.json", 1.0),
        ("a.json:0.5", "a.json", 0.5),
    ],
)
def test_a_path_may_carry_a_weight(text: str, path: str, weight: float) -> None:
    assert WeightedPath.parse(text) == WeightedPath(path, weight)
