"""How a checkpoint wants its answers searched for: read from where it says so, and written.

Other tools state these settings in generation_config.json; the published code reads them from
`text_config` in config.json. The former outranks the latter, and what neither says is as published.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from florence2.checkpoints.sources import CONFIG, GENERATION
from florence2.errors import ConfigError
from florence2.generation.options import GenerationOptions
from florence2.model.config import TextConfig

_Stated = dict[str, tuple[Any, str]]  # value and place of each key

# The same names there and in GenerationOptions.
_SAME_NAMES = (
    "num_beams",
    "no_repeat_ngram_size",
    "early_stopping",
    "length_penalty",
    "max_new_tokens",
    "min_new_tokens",
    "repetition_penalty",
    "end_loops",  # of this package alone; other tools read over it
)
_ALWAYS_WRITTEN = _SAME_NAMES[:5]
_COUNTING_START = {"max_length": "max_new_tokens", "min_length": "min_new_tokens"}
# What config.json holds without anybody having asked for it: transformers once wrote all defaults.
_UNASKED_MAX_LENGTH = 20
# Settings that there is no option for, and the values at which they change nothing.
_NEUTRAL: dict[str, tuple[Any, ...]] = {
    "encoder_repetition_penalty": (1.0,),
    "encoder_no_repeat_ngram_size": (0,),
    "begin_suppress_tokens": ([],),
    "sequence_bias": ([], {}),
    "num_beam_groups": (1,),
    "diversity_penalty": (0.0,),
    "exponential_decay_length_penalty": (),
    "force_words_ids": ([],),
    "constraints": ([],),
    "forced_decoder_ids": ([],),
    "guidance_scale": (1.0,),
    "penalty_alpha": (0.0,),
    "dola_layers": (),
    "watermarking_config": (),
    "stop_strings": ([],),
    "max_time": (),
    "token_healing": (False,),
    "num_return_sequences": (1,),
    "remove_invalid_values": (False,),
    "renormalize_logits": (False,),
}
# Likewise, and only where tokens are drawn.
_NEUTRAL_DRAWS: dict[str, tuple[Any, ...]] = {
    "top_k": (0,),
    "min_p": (0.0,),
    "top_h": (1.0,),
    "typical_p": (1.0,),
    "epsilon_cutoff": (0.0,),
    "eta_cutoff": (0.0,),
}


def read_generation(
    config: Mapping[str, Any], generation: Mapping[str, Any], text: TextConfig
) -> tuple[GenerationOptions, tuple[str, ...], tuple[str, ...]]:
    """The options that a checkpoint asks for, what of config.json is among them, what is not used.

    Args:
        config: config.json.
        generation: generation_config.json, empty where there is none.
        text: ids of the special tokens.

    Returns:
        The options; settings taken from config.json; sentences on settings without effect.
    """
    inner = config.get("text_config")
    places: dict[str, Mapping[str, Any]] = {
        f"text_config in {CONFIG}": inner if isinstance(inner, Mapping) else {},
        CONFIG: config,
        GENERATION: generation,
    }
    stated: _Stated = {}
    for place, values in places.items():
        stated |= {key: (value, place) for key, value in values.items() if value is not None}
    if stated.get("max_length") in [(_UNASKED_MAX_LENGTH, place) for place in [*places][:2]]:
        del stated["max_length"]
    options, unused = _options(stated, text)
    used = tuple(
        f"{key} {value!r}"
        for key, (value, place) in stated.items()
        if key in _SAME_NAMES and place != GENERATION
    )
    if unused:
        named = ", ".join(f"{key} {stated[key][0]!r}" for key in unused)
        where = " and ".join(sorted({stated[key][1] for key in unused}))
        return options, used, (f"settings of {where} have no effect here: {named}",)
    return options, used, ()


def _options(stated: _Stated, text: TextConfig) -> tuple[GenerationOptions, list[str]]:
    """The options, and the keys of settings that are not among them."""
    values = {key: stated[key][0] for key in _SAME_NAMES if key in stated}
    for key, field in _COUNTING_START.items():
        if key in stated:
            length = _whole_number(key, *stated[key]) - 1  # the decoder's start token counts there
            if field == "min_new_tokens":
                values[field] = max(values.get(field, 0), length)
            else:
                values.setdefault(field, length)
    unused = [key for key, neutral in _NEUTRAL.items() if _is_changed(stated, key, neutral)]
    draws, unused_draws = _draws(stated)
    values |= draws
    suppressed, unused_words = _suppressed(stated, text.eos_id)
    if suppressed:  # ids behind the vocabulary are never written anyway
        behind = [each for each in suppressed if isinstance(each, int) and each >= text.vocab_size]
        values["suppress_tokens"] = tuple(each for each in suppressed if each not in behind)
    ids = {"forced_bos_token_id": text.bos_id, "forced_eos_token_id": text.eos_id}
    unused += [key for key, id_ in ids.items() if _is_changed(stated, key, (id_, [id_]))]
    try:
        options = replace(GenerationOptions(), **values)
    except ConfigError as error:
        places = sorted({stated[key][1] for key in stated if key in _used_keys()})
        raise ConfigError(f"{' and '.join(places)}: {error}") from error
    return options, unused + unused_draws + unused_words


def _used_keys() -> tuple[str, ...]:
    return (*_SAME_NAMES, *_COUNTING_START, "do_sample", "temperature", "top_p", "suppress_tokens")


def _whole_number(key: str, value: Any, place: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ConfigError(f"{place}: {key} must be a whole number from 0 up; got {value!r}")
    return max(value, 1)


def _list(key: str, value: Any, place: str) -> list[Any]:
    if not isinstance(value, list):
        raise ConfigError(f"{place}: {key} must be a list; got {value!r}")
    return value


def _is_changed(stated: _Stated, key: str, neutral: tuple[Any, ...]) -> bool:
    return key in stated and stated[key][0] not in neutral


def _draws(stated: _Stated) -> tuple[dict[str, Any], list[str]]:
    """How tokens are drawn, if they are, and what of it has no effect."""
    if not stated.get("do_sample", (False,))[0]:
        changed = [key for key in ("temperature", "top_p") if _is_changed(stated, key, (1.0, 0.0))]
        return {}, changed
    if stated.get("num_beams", (1,))[0] != 1:
        return {}, ["do_sample"]  # beams that are drawn
    unused = [key for key, neutral in _NEUTRAL_DRAWS.items() if _is_changed(stated, key, neutral)]
    draws = {key: stated[key][0] for key in ("temperature", "top_p") if key in stated}
    return {"num_beams": 1, "temperature": 1.0} | draws, unused


def _suppressed(stated: _Stated, eos: int) -> tuple[tuple[int, ...], list[str]]:
    """Tokens that are never written, and keys of words that cannot be kept out."""
    tokens, words = (
        _list(key, *stated.get(key, ([], ""))) for key in ("suppress_tokens", "bad_words_ids")
    )
    singles = [word[0] for word in words if isinstance(word, list) and len(word) == 1]
    suppressed = (*tokens, *(token for token in singles if token != eos))
    return suppressed, ["bad_words_ids"] if len(singles) < len(words) else []


def generation_config(text: TextConfig, options: GenerationOptions) -> dict[str, Any]:
    """generation_config.json for both layouts."""
    # Other tools do not stop by themselves at the end of the position table.
    longest = min(options.max_new_tokens, text.max_position_embeddings)
    return {
        "bos_token_id": text.bos_id,
        "pad_token_id": text.pad_id,
        "eos_token_id": text.eos_id,
        "decoder_start_token_id": text.decoder_start_id,
        "forced_bos_token_id": text.bos_id,
        "forced_eos_token_id": text.eos_id,
        **stated_options(options),
        "max_new_tokens": longest,
    }


def stated_options(options: GenerationOptions) -> dict[str, Any]:
    """The settings that others read too, as they call them, and those that are not as published."""
    published = GenerationOptions()
    stated = {
        key: getattr(options, key)
        for key in _SAME_NAMES
        if key in _ALWAYS_WRITTEN or getattr(options, key) != getattr(published, key)
    }
    if options.temperature > 0:
        draws = {"temperature": options.temperature, "top_p": options.top_p}
        stated |= {"do_sample": True, **draws, "top_k": 0}  # where it is not stated it is 50
    if options.suppress_tokens:
        stated["suppress_tokens"] = list(options.suppress_tokens)
    return stated
