"""Put the weights of a training run into the package, in the native layout and bfloat16.

python scripts/export_nano.py RUN_FOLDER
python scripts/calibrate_nano.py KIT.zip PHOTOGRAPHS/    # then: thresholds are of the weights
"""

import argparse
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from florence2.checkpoints import save_checkpoint
from florence2.generation.options import GenerationOptions
from florence2.model.config import nano
from florence2.model.florence2 import Florence2Model
from florence2.processing.tokenizer import Tokenizer
from florence2.training.checkpoint_files import trained_weights

PACKAGE = Path(__file__).parents[1] / "src" / "florence2" / "checkpoints" / "nano"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--to", type=Path, default=PACKAGE)
    parser.add_argument("--keep", type=float, default=0.0, help="share of the weights of before")
    arguments = parser.parse_args()
    tokenizer = Tokenizer.from_file(arguments.run / "tokenizer.json")
    model = Florence2Model(nano(tokenizer.vocab_size))
    model.load_state_dict(trained_weights(arguments.run))
    weights = arguments.to / "model.safetensors"
    before = load_file(weights) if arguments.keep else {}
    save_checkpoint(
        model,
        arguments.to,
        tokenizer=tokenizer,
        dtype=torch.bfloat16,
        # Texts are spelled, so three equal letters in a row are no loop: detect real ones instead.
        generation=GenerationOptions(max_new_tokens=256, no_repeat_ngram_size=0, end_loops=True),
    )
    if arguments.keep:
        with safe_open(weights, "pt") as file:
            metadata = file.metadata()
        mixed = {
            name: torch.lerp(weight.float(), before[name].float(), arguments.keep).to(weight.dtype)
            for name, weight in load_file(weights).items()
        }
        save_file(mixed, weights, metadata)


if __name__ == "__main__":
    main()
