"""The JSON files beside the weights: configuration, picture side, generation; read and written.

Both public dialects of `config.json` are known: the one of Microsoft's remote code (`dim_embed`,
`image_pos_embed`, ...) and the one of transformers (`embed_dim`, ...). Keys that a file leaves
out take the defaults of the classes that wrote it, which skip values equal to their defaults.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from florence2.answers.compat import GENERIC_PHRASES
from florence2.answers.defaults import AnswerDefaults
from florence2.checkpoints.answer_settings import read_answer_settings
from florence2.checkpoints.generation_settings import read_generation, stated_options
from florence2.checkpoints.sources import (
    ANSWERS,
    CONFIG,
    GENERATION,
    PREPROCESSOR,
    PROCESSOR,
    CheckpointFiles,
    read_json,
)
from florence2.errors import ConfigError, WeightsError
from florence2.generation.options import GenerationOptions
from florence2.model.config import Florence2Config, TextConfig, VisionConfig, base, large
from florence2.processing.images import IMAGE_MEAN, IMAGE_STD
from florence2.processing.tokenizer import Tokenizer

DEFAULT_IMAGE_SIDE = 768
BICUBIC = 3  # Pillow's number


def _same(*names: str) -> dict[str, str]:
    return {name: name for name in names}


# Our field and its key; a dot goes into a nested object.
_TEXT_KEYS = {
    **_same("vocab_size", "d_model", "encoder_layers", "decoder_layers"),
    "encoder_heads": "encoder_attention_heads",
    "decoder_heads": "decoder_attention_heads",
    **_same("encoder_ffn_dim", "decoder_ffn_dim", "max_position_embeddings"),
    **_same("dropout", "attention_dropout", "activation_dropout", "init_std"),
    "decoder_start_id": "decoder_start_token_id",
}
_ID_KEYS = {"bos_id": "bos_token_id", "pad_id": "pad_token_id", "eos_id": "eos_token_id"}
_VISION_KEYS = {
    **_same("depths", "num_heads", "num_groups", "window_size", "drop_path_rate"),
    **_same("patch_size", "patch_stride", "patch_padding", "patch_prenorm"),
}
_NATIVE_VISION_KEYS = _VISION_KEYS | {
    **_same("embed_dim", "mlp_ratio", "qkv_bias"),
    "max_positions": "max_position_embeddings",
    "max_temporal_positions": "max_temporal_embeddings",
}
_ORIGINAL_VISION_KEYS = _VISION_KEYS | {
    "embed_dim": "dim_embed",
    "max_positions": "image_pos_embed.max_pos_embeddings",
    "max_temporal_positions": "visual_temporal_embedding.max_temporal_embeddings",
}
_MAY_BE_ZERO = ("patch_padding", "decoder_start_token_id")
_LARGEST = 1_000_000  # far beyond any Florence-2; larger numbers are damage
# What this package computes one way only; another value would give wrong answers in silence.
_FIXED_TEXT = {
    "activation_function": "gelu",
    "scale_embedding": False,
    "normalize_before": False,
    "add_final_layer_norm": False,
}
_FIXED_VISION = {
    "activation_function": "gelu",
    "in_channels": 3,
    "image_pos_embed.type": "learned_abs_2d",
    "visual_temporal_embedding.type": "COSINE",
    "image_feature_source": ["spatial_avg_pool", "temporal_avg_pool"],
}


@dataclass(frozen=True)
class Settings:
    """What the JSON files of a checkpoint say, put right where they are known to be wrong.

    Attributes:
        answers: of florence2.json.
        unused: sentences on generation settings that there is no option for.
    """

    config: Florence2Config
    generation: GenerationOptions
    answers: AnswerDefaults
    repairs: tuple[str, ...]
    notes: tuple[str, ...]
    unused: tuple[str, ...]


def read_settings(files: CheckpointFiles, tokenizer: Tokenizer | None) -> Settings:
    """Read the JSON files of a checkpoint.

    Args:
        tokenizer: decides on the ids of `<s>`, `<pad>` and `</s>` where the files say otherwise,
            as those of many fine-tunes do; None stands for BART's ids, which all published
            models have.
    """
    raw = read_json(files.folder / CONFIG)
    if raw.get("model_type") != "florence2":
        raise WeightsError(
            f"{str(files.folder / CONFIG)!r} is that of a {raw.get('model_type')!r} model, not of"
            " 'florence2'; give a Florence-2 checkpoint"
        )
    side, notes = _image_side(files)
    path = files.path(GENERATION)
    raw_generation = read_json(path) if path else {}
    ids = {field: getattr(tokenizer or TextConfig(), field) for field in _ID_KEYS}
    try:
        config = _config(raw, side)
        config = replace(config, text=replace(config.text, **ids))
        generation, taken, unused = read_generation(raw, raw_generation, config.text)
    except ConfigError as error:
        raise ConfigError(f"the settings in {str(files.folder)!r} cannot be: {error}") from error
    if taken:
        notes.append(f"generation settings of {CONFIG} are used: {', '.join(taken)}")
    if path is None:
        rest = "other" if taken else "published"
        notes.append(f"no {GENERATION}: the {rest} generation settings are the published ones")
    places = {
        CONFIG: raw,
        f"text_config in {CONFIG}": _section(raw, "text_config"),
        GENERATION: raw_generation,
    }
    return Settings(
        config=config,
        generation=generation,
        answers=read_answer_settings(files.path(ANSWERS), config.text.d_model),
        repairs=_wrong_ids(places, ids),
        notes=tuple(notes),
        unused=unused,
    )


def _section(values: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    section = values.get(key)
    if not isinstance(section, Mapping):
        raise ConfigError(f"it has no object {key!r}; use the config.json of a Florence-2 model")
    return section


def _config(raw: Mapping[str, Any], image_side: int) -> Florence2Config:
    vision, text = _section(raw, "vision_config"), _section(raw, "text_config")
    is_original = "dim_embed" in vision or vision.get("model_type") == "davit"
    defaults = replace(
        large(),
        # Left-out keys: remote code has the large tower's sizes, transformers the base tower's;
        # both have the large text part's, without these dropouts.
        vision=large().vision if is_original else base().vision,
        text=replace(large().text, attention_dropout=0.0, activation_dropout=0.0),
    )
    keys = _ORIGINAL_VISION_KEYS if is_original else _NATIVE_VISION_KEYS
    _check_fixed("vision_config", vision, _FIXED_VISION)
    _check_fixed("text_config", text, _FIXED_TEXT)
    config = Florence2Config(
        vision=VisionConfig(**_fields(vision, keys, defaults.vision)),
        text=TextConfig(
            **_fields(text, _TEXT_KEYS, defaults.text),
            tie_word_embeddings=_is_tied(raw, text if is_original else {}),
        ),
        image_side=image_side,
    )
    width = vision.get("projection_dim", config.text.d_model)
    if width != config.text.d_model:
        raise ConfigError(
            f"projection_dim {width!r} must equal the text width d_model {config.text.d_model!r}"
        )
    return config


def _is_tied(*sections: Mapping[str, Any]) -> bool:
    """Whether the output head is the word embedding: by default, as published."""
    return all(section.get("tie_word_embeddings") is not False for section in sections)


def _lookup(section: Mapping[str, Any], key: str) -> Any:
    """Value of a dotted key, None if any part is absent."""
    value: Any = section
    for part in key.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _check_fixed(name: str, section: Mapping[str, Any], fixed: Mapping[str, Any]) -> None:
    for key, allowed in fixed.items():
        value = _lookup(section, key)
        if value is not None and value != allowed:
            raise ConfigError(
                f"{name}.{key} is {value!r}; Florence-2 as published has {allowed!r}, and nothing"
                " else is supported"
            )


def _fields(
    section: Mapping[str, Any], keys: Mapping[str, str], defaults: VisionConfig | TextConfig
) -> dict[str, Any]:
    """Our fields from a section of config.json, each with the type of its default."""
    values = {}
    for field, key in keys.items():
        default, value = getattr(defaults, field), _lookup(section, key)
        if value is None:
            value = default
        elif isinstance(default, tuple):
            if not isinstance(value, list):
                raise ConfigError(f"{key} must be a list; got {value!r}")
            value = tuple(_checked(key, each, type(default[0])) for each in value)
        else:
            value = _checked(key, value, type(default))
        values[field] = value
    return values


def _checked(key: str, value: Any, kind: type) -> Any:
    """A truth value, a fraction or a size within reason, as the type of its default says."""
    if kind is bool:
        fits, allowed = isinstance(value, bool), "true or false"
    else:
        lowest = 0 if kind is float or key in _MAY_BE_ZERO else 1
        number = isinstance(value, int | float) and not isinstance(value, bool)
        whole = kind is float or isinstance(value, int)
        fits = number and whole and lowest <= value <= _LARGEST
        allowed = f"{'a' if kind is float else 'a whole'} number from {lowest} to {_LARGEST:,}"
    if not fits:
        raise ConfigError(f"{key} has the value {value!r}; it must be {allowed}")
    return kind(value)


def _image_side(files: CheckpointFiles) -> tuple[int, list[str]]:
    """Side in pixels to which pictures are resized, and notes."""
    raw: Any = {}
    if path := files.path(PREPROCESSOR):
        raw = read_json(path)
    elif path := files.path(PROCESSOR):
        raw = read_json(path).get("image_processor")
    if not isinstance(raw, dict) or "size" not in raw:
        note = f"no size in {PREPROCESSOR}: pictures are resized to {DEFAULT_IMAGE_SIDE} pixels"
        return DEFAULT_IMAGE_SIDE, [note]
    for key, values in (("image_mean", IMAGE_MEAN), ("image_std", IMAGE_STD)):
        if raw.get(key) not in (None, list(values)):
            raise ConfigError(
                f"{str(path)!r}: {key} is {raw[key]!r}; Florence-2 has {list(values)!r}, and"
                " nothing else is supported"
            )
    size = raw["size"]
    height, width = (
        (size.get("height"), size.get("width")) if isinstance(size, dict) else (size, size)
    )
    if not isinstance(height, int) or isinstance(height, bool) or height != width:
        raise ConfigError(
            f"{str(path)!r}: size is {size!r}; one height and the same width are needed"
        )
    return height, []


def _wrong_ids(places: Mapping[str, Mapping[str, Any]], ids: Mapping[str, int]) -> tuple[str, ...]:
    """A sentence for each file whose special ids are not the right ones."""
    repairs = []
    for place, values in places.items():
        stated = {field: values.get(key) for field, key in _ID_KEYS.items()}
        wrong = [field for field, id_ in stated.items() if id_ not in (None, ids[field])]
        if wrong:
            says = ", ".join(f"{_ID_KEYS[field]} {stated[field]!r}" for field in wrong)
            right = ", ".join(str(ids[field]) for field in wrong)
            repairs.append(f"{place} says {says}; the tokenizer has {right} and was followed")
    return tuple(repairs)


# ---- writing


def native_config(config: Florence2Config, image_id: int, dtype: str) -> dict[str, Any]:
    """config.json as transformers writes it."""
    # Of the text part: ties the words of encoder and decoder, which stay tied.
    text = _text_section(config.text) | {"model_type": "bart", "tie_word_embeddings": True}
    vision = _vision_section(config, _NATIVE_VISION_KEYS)
    return {
        "architectures": ["Florence2ForConditionalGeneration"],
        "model_type": "florence2",
        "dtype": dtype,
        "image_token_id": image_id,
        "is_encoder_decoder": True,
        "tie_word_embeddings": config.text.tie_word_embeddings,
        "text_config": text,
        "vision_config": vision
        | {"model_type": "florence_vision", "activation_function": "gelu", "in_channels": 3},
    }


def original_config(
    config: Florence2Config, dtype: str, generation: GenerationOptions | None = None
) -> dict[str, Any]:
    """config.json as Microsoft published it, without the entries that fetch code."""
    if config.vision.mlp_ratio != 4.0 or not config.vision.qkv_bias:
        raise ConfigError(
            f"the original layout cannot express mlp_ratio {config.vision.mlp_ratio!r} with"
            f" qkv_bias {config.vision.qkv_bias!r}, only 4.0 with True; save in the native layout"
        )
    text = config.text
    vision = _vision_section(config, _ORIGINAL_VISION_KEYS) | {"model_type": "davit"}
    vision["image_pos_embed"]["type"] = "learned_abs_2d"
    vision["visual_temporal_embedding"]["type"] = "COSINE"
    vision["image_feature_source"] = _FIXED_VISION["image_feature_source"]
    ids = {key: getattr(text, field) for field, key in _ID_KEYS.items()}
    untied = {} if text.tie_word_embeddings else {"tie_word_embeddings": False}
    return {
        "architectures": ["Florence2ForConditionalGeneration"],
        "model_type": "florence2",
        "torch_dtype": dtype,
        **untied,
        "is_encoder_decoder": True,
        "projection_dim": text.d_model,
        "vocab_size": text.vocab_size,
        **ids,
        # The remote code reads its generation settings from here.
        "text_config": _text_section(text)
        | untied
        | {"forced_bos_token_id": text.bos_id}
        | stated_options(generation or GenerationOptions()),
        "vision_config": vision,
    }


def _text_section(text: TextConfig) -> dict[str, Any]:
    section = {key: getattr(text, field) for field, key in (_TEXT_KEYS | _ID_KEYS).items()}
    return section | {
        "activation_function": "gelu",
        "scale_embedding": False,
        "is_encoder_decoder": True,
        "num_hidden_layers": text.encoder_layers,
        "forced_eos_token_id": text.eos_id,
    }


def _vision_section(config: Florence2Config, keys: Mapping[str, str]) -> dict[str, Any]:
    section: dict[str, Any] = {"projection_dim": config.text.d_model}
    for field, key in keys.items():
        value = getattr(config.vision, field)
        *outer, last = key.split(".")
        target = section.setdefault(outer[0], {}) if outer else section
        target[last] = list(value) if isinstance(value, tuple) else value
    return section


def processor_config() -> dict[str, Any]:
    """processor_config.json: how transformers parses answers, without which it refuses to.

    Its patterns are built in, so an empty entry stands for each kind of answer.
    """
    kinds: dict[str, Any] = {
        kind: {}
        for kind in (
            *("pure_text", "ocr", "description_with_bboxes", "description_with_polygons"),
            *("polygons", "bboxes", "description_with_bboxes_or_polygons"),
        )
    }
    kinds["phrase_grounding"] = {"banned_grounding_tokens": sorted(GENERIC_PHRASES)}
    return {"processor_class": "Florence2Processor", "post_processor_config": kinds}


def preprocessor_config(config: Florence2Config) -> dict[str, Any]:
    """preprocessor_config.json for both layouts."""
    square = {"height": config.image_side, "width": config.image_side}
    return {
        "image_processor_type": "CLIPImageProcessor",
        "processor_class": "Florence2Processor",
        "do_convert_rgb": True,
        "do_resize": True,
        "size": square,
        "resample": BICUBIC,
        "do_center_crop": False,
        "crop_size": square,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": list(IMAGE_MEAN),
        "image_std": list(IMAGE_STD),
        "image_seq_length": config.num_image_tokens(config.image_side),
    }
