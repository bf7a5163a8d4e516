"""Join weights that were cut in parts to travel, or cut them.

python scripts/join_weights.py PART.safetensors ... --to MODEL.safetensors
python scripts/join_weights.py --split MODEL.safetensors FOLDER
"""

import argparse
from pathlib import Path

from safetensors.torch import load_file, save_file


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", type=Path, nargs="*")
    parser.add_argument("--to", type=Path)
    parser.add_argument("--split", type=Path, nargs=2, metavar=("MODEL", "FOLDER"))
    arguments = parser.parse_args()
    if arguments.split:
        weights = load_file(arguments.split[0])
        names = sorted(weights)
        for number, part in enumerate((names[::2], names[1::2])):
            path = arguments.split[1] / f"part-{number}.safetensors"
            save_file({name: weights[name] for name in part}, path, {"format": "pt"})
        return
    joined = {name: each for part in arguments.parts for name, each in load_file(part).items()}
    save_file(joined, arguments.to, {"format": "pt"})


if __name__ == "__main__":
    main()
