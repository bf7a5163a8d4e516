"""Configurations of the model: one frozen dataclass per part, two presets, any smaller size.

The numbers of the presets are Table 15 of the paper (arXiv:2311.06242) and the published
`config.json` files. Derived sizes are computed here and checked once, so that no two
literals in the package have to agree.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from math import prod
from typing import Any

from florence2.errors import ConfigError

MIN_PROMPT = 32  # text positions that a larger picture must leave to the question


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ConfigError(message)


@dataclass(frozen=True)
class VisionConfig:
    """DaViT: four stages (or fewer), each a convolution and pairs of attention blocks."""

    embed_dim: tuple[int, ...] = (128, 256, 512, 1024)
    depths: tuple[int, ...] = (1, 1, 9, 1)
    num_heads: tuple[int, ...] = (4, 8, 16, 32)
    num_groups: tuple[int, ...] = (4, 8, 16, 32)
    patch_size: tuple[int, ...] = (7, 3, 3, 3)
    patch_stride: tuple[int, ...] = (4, 2, 2, 2)
    patch_padding: tuple[int, ...] = (3, 1, 1, 1)
    patch_prenorm: tuple[bool, ...] = (False, True, True, True)
    window_size: int = 12
    mlp_ratio: float = 4.0
    qkv_bias: bool = True
    drop_path_rate: float = 0.1
    max_positions: int = 50  # rows of each of the two position tables, hence the largest map side
    max_temporal_positions: int = 100

    def __post_init__(self) -> None:
        stages = len(self.embed_dim)
        for each in fields(self):
            value = getattr(self, each.name)
            if isinstance(value, list):
                object.__setattr__(self, each.name, tuple(value))
                value = tuple(value)
            if isinstance(value, tuple):
                _require(
                    len(value) == stages,
                    f"vision.{each.name} has {len(value)} values {value!r}; it needs one for each"
                    f" of the {stages} stages of embed_dim",
                )
        for dim, heads, groups in zip(self.embed_dim, self.num_heads, self.num_groups, strict=True):
            _require(
                dim % heads == 0 and dim % groups == 0,
                f"vision stage width {dim} must divide by its {heads} heads and {groups} groups",
            )
        _require(
            self.embed_dim[-1] % 2 == 0, "the last vision width must be even (two position tables)"
        )

    @property
    def width(self) -> int:
        """Channels of the feature map that leaves the tower."""
        return self.embed_dim[-1]

    def map_side(self, image_side: int) -> int:
        """Side of the feature map for a square picture of `image_side` pixels."""
        side = image_side
        for size, stride, padding in zip(
            self.patch_size, self.patch_stride, self.patch_padding, strict=True
        ):
            side = (side + 2 * padding - size) // stride + 1
        return side


@dataclass(frozen=True)
class TextConfig:
    """BART encoder-decoder, post-norm, learned positions, tied word embedding.

    `tie_word_embeddings` is false for fine-tunes whose output head is a matrix of its own.
    """

    vocab_size: int = 51289
    d_model: int = 768
    encoder_layers: int = 6
    decoder_layers: int = 6
    encoder_heads: int = 12
    decoder_heads: int = 12
    encoder_ffn_dim: int = 3072
    decoder_ffn_dim: int = 3072
    max_position_embeddings: int = 1024
    dropout: float = 0.1
    attention_dropout: float = 0.1
    activation_dropout: float = 0.1
    init_std: float = 0.02
    bos_id: int = 0
    pad_id: int = 1
    eos_id: int = 2
    decoder_start_id: int = 2
    tie_word_embeddings: bool = True

    def __post_init__(self) -> None:
        for heads in (self.encoder_heads, self.decoder_heads):
            _require(
                self.d_model % heads == 0,
                f"text.d_model {self.d_model} must divide by its {heads} attention heads",
            )


@dataclass(frozen=True)
class Florence2Config:
    """The whole model: tower, projector (whose width is the text width) and text part.

    `image_side` is the side in pixels to which pictures are resized; any side whose feature
    map fits the position tables will run, this is the one the weights were trained for.
    """

    vision: VisionConfig = field(default_factory=VisionConfig)
    text: TextConfig = field(default_factory=TextConfig)
    image_side: int = 768

    def __post_init__(self) -> None:
        self.num_image_tokens(self.image_side)

    def num_image_tokens(self, image_side: int) -> int:
        """Tokens of a square picture: one global mean and one per position of the map."""
        side = self.vision.map_side(image_side)
        _require(
            1 <= side <= self.vision.max_positions,
            f"an image side of {image_side!r} pixels gives a {side} x {side} feature map; the"
            f" position table allows 1 to {self.vision.max_positions} rows: choose a smaller side",
        )
        return 1 + side * side

    def to_dict(self) -> dict[str, Any]:
        """Plain nested dictionary, JSON-safe; the inverse of `from_dict`."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Florence2Config:
        """Build from `to_dict` output; unknown keys are an error that lists them."""
        parts = {"vision": VisionConfig, "text": TextConfig}
        unknown = [key for key in values if key not in {"vision", "text", "image_side"}]
        for part, part_cls in parts.items():
            known = {each.name for each in fields(part_cls)}
            unknown += [f"{part}.{key}" for key in values.get(part, {}) if key not in known]
        _require(not unknown, f"unknown model settings {unknown!r}; are they of a newer version?")
        return cls(
            vision=VisionConfig(**values.get("vision", {})),
            text=TextConfig(**values.get("text", {})),
            image_side=int(values.get("image_side", 768)),
        )


def base() -> Florence2Config:
    """Florence-2-base: 231,414,016 parameters."""
    return Florence2Config()


def large(positions: int = 1024) -> Florence2Config:
    """Florence-2-large: 770,173,952 parameters.

    Args:
        positions: text positions; 1024 as in the paper, 4096 in the weights that replaced
            them in December 2024.
    """
    vision = VisionConfig(
        embed_dim=(256, 512, 1024, 2048), num_heads=(8, 16, 32, 64), num_groups=(8, 16, 32, 64)
    )
    text = TextConfig(
        d_model=1024,
        encoder_layers=12,
        decoder_layers=12,
        encoder_heads=16,
        decoder_heads=16,
        encoder_ffn_dim=4096,
        decoder_ffn_dim=4096,
        max_position_embeddings=positions,
    )
    return Florence2Config(vision=vision, text=text)


def nano(vocab_size: int) -> Florence2Config:
    """The small model of our own that the package carries.

    The last stage keeps the resolution of the third (stride 1): at 128 pixels an 8 x 8 map
    of 16-pixel cells, which small objects and letters need more than a coarser fourth stage.
    """
    vision = VisionConfig(
        embed_dim=(32, 64, 128, 256),
        depths=(1, 1, 3, 1),
        num_heads=(1, 2, 4, 8),
        num_groups=(1, 2, 4, 8),
        patch_stride=(4, 2, 2, 1),
        window_size=8,
        drop_path_rate=0.0,
    )
    text = TextConfig(
        vocab_size=vocab_size,
        d_model=256,
        encoder_layers=2,
        decoder_layers=3,
        encoder_heads=4,
        decoder_heads=4,
        encoder_ffn_dim=1024,
        decoder_ffn_dim=1024,
        max_position_embeddings=512,
        dropout=0.0,
        attention_dropout=0.0,
        activation_dropout=0.0,
    )
    return Florence2Config(vision=vision, text=text, image_side=128)


def with_vocab_size(config: Florence2Config, vocab_size: int) -> Florence2Config:
    """The same configuration with another number of word-embedding rows."""
    return replace(config, text=replace(config.text, vocab_size=vocab_size))


def with_own_head(config: Florence2Config) -> Florence2Config:
    """The same configuration with an output head that is not the word embedding."""
    return replace(config, text=replace(config.text, tie_word_embeddings=False))


def with_image_side(config: Florence2Config, image_side: int) -> Florence2Config:
    """The same configuration for pictures of another side, for which the tables have room."""
    step = prod(config.vision.patch_stride)
    allowed = [side for side in range(step, 4096, step) if _fits(config, side)]
    _require(
        image_side in allowed,
        f"an image side of {image_side!r} pixels does not suit this model; give a multiple of"
        f" {step} from {allowed[0]} to {allowed[-1]}, such as its own {config.image_side}",
    )
    return replace(config, image_side=image_side)


def _fits(config: Florence2Config, image_side: int) -> bool:
    """Whether there are positions for each cell of the map, and beside its tokens for a prompt."""
    side = config.vision.map_side(image_side)
    room = config.text.max_position_embeddings - (1 + side * side)
    return side <= config.vision.max_positions and (
        room >= MIN_PROMPT or image_side <= config.image_side
    )
