"""Adapters and untied heads in fine-tuning: what starts from them, and what is read afterwards."""

from pathlib import Path

import peft
import pytest
import torch
from own_pictures import options_for
from safetensors.torch import load_file
from transformers import Florence2ForConditionalGeneration as Oracle

from florence2.checkpoints import load_checkpoint, save_checkpoint
from florence2.errors import ConfigError
from florence2.training.finetune import Outcome, prepare
from florence2.training.warm_start import load_initial_weights
from oracles import TOLERANCE, oracle_logits, our_logits


@pytest.fixture(scope="module")
def trained(learner: Path, own: Path, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    folder = tmp_path_factory.mktemp("lora") / "run"
    return prepare(options_for(own, learner, folder, mode="lora")).run()


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated")
def test_what_train_writes_is_one_model_for_peft_and_for_us(
    learner: Path, trained: Outcome
) -> None:
    assert trained.adapter is not None
    oracle = peft.PeftModel.from_pretrained(Oracle.from_pretrained(learner), trained.adapter).eval()
    ours = load_checkpoint(trained.adapter).model  # on the base that it names
    assert (oracle_logits(oracle) - our_logits(ours)).abs().max() <= TOLERANCE
    assert (our_logits(load_checkpoint(learner).model) - our_logits(ours)).abs().max() > 0.01


def test_a_run_starts_from_a_model_with_an_adapter(
    learner: Path, own: Path, trained: Outcome, tmp_path: Path
) -> None:
    adapter = str(trained.adapter)
    ready = prepare(options_for(own, learner, tmp_path / "run", adapter=adapter))
    expected = our_logits(load_checkpoint(adapter).model)
    assert torch.equal(our_logits(ready.model.eval()), expected)
    fresh = load_checkpoint(learner).model
    load_initial_weights(fresh, adapter)
    assert torch.equal(our_logits(fresh), expected)
    assert ready.settings()["adapter"] == adapter


def test_a_new_adapter_over_an_old_one_is_refused(
    learner: Path, own: Path, trained: Outcome, tmp_path: Path
) -> None:
    assert trained.adapter is not None
    for model, adapter in ((learner, str(trained.adapter)), (trained.adapter, None)):
        options = options_for(own, model, tmp_path / "run", mode="lora", adapter=adapter)
        with pytest.raises(ConfigError, match="run florence2 merge, and start from what it writes"):
            prepare(options)


def test_an_untied_head_learns_and_is_written(learner: Path, own: Path, tmp_path: Path) -> None:
    loaded = load_checkpoint(learner)
    loaded.model.untie_head()
    with torch.no_grad():
        loaded.model.lm_head.weight.mul_(1.1)  # type: ignore[union-attr, operator]
    base = save_checkpoint(loaded.model, tmp_path / "base", tokenizer=loaded.tokenizer)
    outcome = prepare(options_for(own, base, tmp_path / "run")).run()
    assert outcome.checkpoint is not None
    before, after = (
        load_file(folder / "model.safetensors") for folder in (base, outcome.checkpoint)
    )
    assert not torch.equal(before["lm_head.weight"], after["lm_head.weight"])
    ours = load_checkpoint(outcome.checkpoint)
    assert ours.repairs == () and ours.model.lm_head is not None
    oracle = Oracle.from_pretrained(outcome.checkpoint).eval()
    assert (oracle_logits(oracle) - our_logits(ours.model)).abs().max() <= TOLERANCE
