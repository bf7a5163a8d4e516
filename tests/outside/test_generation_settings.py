"""Settings of generation wherever a checkpoint states them: used, or named; never passed over."""

import json
import logging

import pytest

from florence2 import GenerationOptions
from florence2.checkpoints import inspect_checkpoint, load_checkpoint, save_checkpoint
from florence2.errors import ConfigError
from tiny_checkpoints import add_side_files, tiny_oracle, tiny_tokenizer, write_json

GENERATION = "generation_config.json"


@pytest.fixture(scope="module")
def tokenizer():
    return tiny_tokenizer()


@pytest.fixture(scope="module")
def oracle(tokenizer):
    return tiny_oracle(tokenizer.vocab_size + -tokenizer.vocab_size % 64)


@pytest.fixture
def folder(tmp_path, oracle, tokenizer):
    oracle.save_pretrained(tmp_path / "checkpoint")
    (tmp_path / "checkpoint" / GENERATION).unlink()
    return add_side_files(tmp_path / "checkpoint", tokenizer)


def in_config(folder, text=(), **values) -> None:
    config = json.loads((folder / "config.json").read_text()) | values
    config["text_config"] |= dict(text)
    write_json(folder / "config.json", config)


def unused(folder) -> str:
    found = [note for note in inspect_checkpoint(folder).notes if "have no effect" in note]
    assert len(found) <= 1
    return "".join(found)


@pytest.mark.parametrize("place", ["text_config", "config.json", GENERATION])
@pytest.mark.parametrize(
    ("stated", "used"),
    [
        ({"num_beams": 1, "no_repeat_ngram_size": 0}, {"num_beams": 1, "no_repeat_ngram_size": 0}),
        ({"early_stopping": False, "length_penalty": 0.5},) * 2,
        # The decoder's start token counts in the lengths of transformers.
        ({"max_length": 30, "min_length": 8}, {"max_new_tokens": 29, "min_new_tokens": 7}),
        ({"max_length": 30, "max_new_tokens": 12}, {"max_new_tokens": 12}),
        ({"min_length": 3, "min_new_tokens": 9}, {"min_new_tokens": 9}),
        ({"do_sample": True}, {"num_beams": 1, "temperature": 1.0}),
        (
            {"do_sample": True, "num_beams": 1, "temperature": 0.7, "top_p": 0.9},
            {"num_beams": 1, "temperature": 0.7, "top_p": 0.9},
        ),
        ({"repetition_penalty": 1.3},) * 2,
        ({"suppress_tokens": [5, 7]}, {"suppress_tokens": (5, 7)}),
        ({"bad_words_ids": [[5], [2], [9]]}, {"suppress_tokens": (5, 9)}),  # never the end
    ],
)
def test_what_there_is_an_option_for_is_used(folder, tokenizer, place, stated, used):
    if place == "text_config":
        in_config(folder, stated)
    elif place == "config.json":
        in_config(folder, **stated)
    else:
        write_json(folder / GENERATION, stated)
    loaded = load_checkpoint(folder)
    assert loaded.generation == GenerationOptions(**used)
    assert not unused(folder)
    for layout in ("native", "original"):  # and is there again in what is saved
        saved = save_checkpoint(
            loaded.model,
            folder / layout,
            tokenizer=tokenizer,
            layout=layout,
            generation=loaded.generation,
        )
        limited = {"max_new_tokens": 40} if "max_new_tokens" not in used else {}
        again = load_checkpoint(saved).generation
        assert again == GenerationOptions(**(used | limited))


def test_generation_config_outranks_config_and_config_its_text_part(folder):
    in_config(folder, {"num_beams": 5, "length_penalty": 2.0, "min_new_tokens": 4}, num_beams=4)
    assert load_checkpoint(folder).generation.num_beams == 4
    write_json(folder / GENERATION, {"num_beams": 2, "length_penalty": None})
    expected = GenerationOptions(num_beams=2, length_penalty=2.0, min_new_tokens=4)
    assert load_checkpoint(folder).generation == expected
    notes = inspect_checkpoint(folder).notes
    assert "generation settings of config.json are used: length_penalty 2.0, min_new_tokens 4" in (
        notes
    )


def test_the_defaults_that_transformers_once_wrote_into_config_change_nothing(folder):
    """A dump of all its defaults, among them a length of 20 that nobody asked for."""
    dump = {
        "max_length": 20, "min_length": 0, "do_sample": False, "temperature": 1.0, "top_k": 50,
        "top_p": 1.0, "typical_p": 1.0, "repetition_penalty": 1.0, "num_beam_groups": 1,
        "diversity_penalty": 0.0, "encoder_no_repeat_ngram_size": 0, "bad_words_ids": None,
        "num_return_sequences": 1, "remove_invalid_values": False, "suppress_tokens": None,
        "exponential_decay_length_penalty": None, "forced_bos_token_id": 0,
        "forced_eos_token_id": 2, "num_beams": 3, "no_repeat_ngram_size": 3, "early_stopping": True,
    }  # fmt: skip
    in_config(folder, dump)
    assert load_checkpoint(folder).generation == GenerationOptions()
    assert not unused(folder)


@pytest.mark.parametrize("place", ["text_config", GENERATION])
@pytest.mark.parametrize(
    ("stated", "named"),
    [
        ({"num_beam_groups": 3, "diversity_penalty": 0.5}, ["num_beam_groups 3", "penalty 0.5"]),
        ({"encoder_no_repeat_ngram_size": 3}, ["encoder_no_repeat_ngram_size 3"]),
        ({"begin_suppress_tokens": [4]}, ["begin_suppress_tokens [4]"]),
        ({"bad_words_ids": [[4, 5]]}, ["bad_words_ids [[4, 5]]"]),
        ({"forced_bos_token_id": 9}, ["forced_bos_token_id 9"]),
        ({"do_sample": True, "num_beams": 3}, ["do_sample True"]),
        ({"do_sample": True, "top_k": 5, "min_p": 0.1}, ["top_k 5", "min_p 0.1"]),
        ({"temperature": 0.7}, ["temperature 0.7"]),  # without do_sample
        ({"stop_strings": ["."], "guidance_scale": 2.0}, ["stop_strings ['.']", "guidance_scale"]),
    ],
)
def test_the_rest_is_named_in_doctor_and_once_in_the_log(folder, caplog, place, stated, named):
    if place == GENERATION:
        write_json(folder / GENERATION, stated)
    else:
        in_config(folder, stated)
    with caplog.at_level(logging.WARNING, "florence2"):
        load_checkpoint(folder)
    (logged,) = [each for each in caplog.messages if "have no effect" in each]
    assert all(each in logged and each in unused(folder) for each in named)
    assert place.replace("text_config", "text_config in config.json") in logged


@pytest.mark.parametrize(
    "stated",
    [
        {"max_length": "long"},
        {"min_length": -1},
        {"suppress_tokens": 5},
        {"suppress_tokens": ["<s>"]},
        {"bad_words_ids": {"a": 1}},
        {"do_sample": True, "temperature": "hot"},
        {"repetition_penalty": 0},
        {"min_length": 30, "max_length": 20},
    ],
)
def test_settings_that_cannot_be_are_one_sentence(folder, stated):
    write_json(folder / GENERATION, stated)
    with pytest.raises(ConfigError, match=r"generation_config.json: ") as caught:
        load_checkpoint(folder)
    assert str(caught.value) in inspect_checkpoint(folder).problems
