"""What does nano learn from a folder of pictures of things that it does not know?

    python benchmarks/fine_tuning.py KIT.zip FOLDER [--cache .kit-cache] [--model nano]

Makes 100 pictures of five things in two styles of drawing, none of which training knows (OpenMoji
and EmojiOne v1, for measuring only), and runs `florence2 train` on them as a user would: all
weights, then an adapter. 40 pictures are trained on, 60 are held out. Prints the table of
docs/results.md; the time is of processors.
"""

import argparse
import json
import resource
import subprocess
import sys
from pathlib import Path

from florence2.data.formats.coco import write_coco
from florence2.tasks import Task
from florence2_lab.worlds.building.categories import Emoji
from florence2_lab.worlds.building.kit import KitWriter
from florence2_lab.worlds.building.sprites import TEST_STYLES, build_sprites
from florence2_lab.worlds.describe import scene_records
from florence2_lab.worlds.kit import Kit
from florence2_lab.worlds.scenes import SceneOptions, scene

THINGS = {"anchor": "⚓", "hammer": "🔨", "light bulb": "💡", "snail": "🐌", "trophy": "🏆"}
PICTURES, HELD_OUT, SIDE, SEED = 100, 0.6, 320, 5
SCENES = SceneOptions(min_objects=1, max_objects=4)
MODES = ("full", "lora")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("kit", type=Path, help="of the training, for its fonts and grounds")
    parser.add_argument("folder", type=Path, help="where pictures and runs belong")
    parser.add_argument("--cache", type=Path, default=Path(".kit-cache"))
    parser.add_argument("--model", default="nano")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    data = arguments.folder / "annotations.json"
    if not data.exists():
        kit = unknown_things(Kit(arguments.kit), arguments.folder, arguments.cache.resolve())
        write_pictures(kit, data)
    print("| command | held-out F1 at IoU 0.5 | the same without names | CPU time |")
    print("|---|---|---|---|")
    for mode in MODES:
        numbers, seconds = trained(data, arguments.folder / mode, mode, arguments.model)
        if mode == MODES[0]:
            print(row("as it comes", numbers["before"], ""))
        print(row(f"--mode {mode}", numbers["after"], f"{seconds:.0f} s"))


def unknown_things(base: Kit, folder: Path, cache: Path) -> Kit:
    """A kit of the five things, with everything else from another one."""
    emoji = {name: (Emoji(f"{ord(sign):x}", name),) for name, sign in THINGS.items()}
    writer = KitWriter()
    sprites = [writer.add_sprite(each, "val") for each in build_sprites(emoji, TEST_STYLES, cache)]
    writer.add_rest(base)
    writer.write(folder / "things.zip", sprites, base.fonts, base.textures)
    return Kit(folder / "things.zip")


def write_pictures(kit: Kit, data: Path) -> None:
    """Scenes with their boxes as a COCO file."""
    made = (
        scene(kit, SEED, index, side=SIDE, split="val", options=SCENES) for index in range(PICTURES)
    )
    write_coco((record for each in made for record in scene_records(each, (Task.OD,))), data)


def trained(
    data: Path, output: Path, mode: str, model: str
) -> tuple[dict[str, dict[str, float]], float]:
    """What `florence2 train` printed, and the seconds of processor time that it took."""
    command = ["train", str(data), "--output", str(output), "--mode", mode, "--model", model]
    command += ["--held-out", str(HELD_OUT)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-m", "florence2", *command], stdout=subprocess.PIPE, text=True, check=True
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return json.loads(done.stdout), seconds


def row(name: str, numbers: dict[str, float], time: str) -> str:
    return f"| {name} | {numbers['od_f1']:.2f} | {numbers['od_box_f1']:.2f} | {time} |"


if __name__ == "__main__":
    main()
