"""Fixtures that several test files share."""

from pathlib import Path

import pytest
import torch
from PIL import Image, ImageDraw

from florence2.checkpoints import save_checkpoint
from florence2.model.config import Florence2Config, TextConfig, VisionConfig
from florence2.model.florence2 import Florence2Model
from florence2.tasks import Task
from florence2.tokenizer import Tokenizer
from florence2.worlds.kit import Kit
from tiny_kit import write_tiny_kit


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Tiny matrices are slower on many threads than on one."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of random weights that answers nonsense, quickly."""
    tokenizer = Tokenizer.train([task.template for task in Task] * 3, vocab_size=300)
    config = Florence2Config(
        vision=VisionConfig(
            embed_dim=(16, 32),
            depths=(1, 1),
            num_heads=(1, 2),
            num_groups=(1, 2),
            patch_size=(7, 3),
            patch_stride=(8, 2),
            patch_padding=(3, 1),
            patch_prenorm=(False, True),
            window_size=4,
        ),
        text=TextConfig(
            vocab_size=tokenizer.vocab_size,
            d_model=32,
            encoder_layers=1,
            decoder_layers=1,
            encoder_heads=2,
            decoder_heads=2,
            encoder_ffn_dim=64,
            decoder_ffn_dim=64,
            max_position_embeddings=128,
        ),
        image_side=64,
    )
    generator = torch.Generator().manual_seed(5)
    model = Florence2Model(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0.0, 0.3, generator=generator)
    return save_checkpoint(model, tmp_path_factory.mktemp("tiny"), tokenizer=tokenizer)


@pytest.fixture(scope="session")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small picture file."""
    path = tmp_path_factory.mktemp("pictures") / "shapes.png"
    image = Image.new("RGB", (120, 80), "navy")
    ImageDraw.Draw(image).ellipse((20, 10, 80, 70), fill="orange")
    image.save(path)
    return path


@pytest.fixture(scope="session")
def kit_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A kit of three drawn shapes."""
    path = tmp_path_factory.mktemp("kit") / "kit.zip"
    write_tiny_kit(path)
    return path


@pytest.fixture(scope="session")
def kit(kit_path: Path) -> Kit:
    return Kit(kit_path)
