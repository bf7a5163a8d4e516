"""Does a warm-up pay? The same minutes for four ways to begin, and what each can do at their end.

    python recipes/warmup_comparison.py KIT.zip runs/warmup --minutes 20

nano from nothing each time, one after another: all of it at once; the same with the dense heads
beside; the tower alone with the dense heads first; after the tower the text side alone, on
damaged answers. The minutes are of processor time, which two threads use up twice as fast: what a
step of each kind costs is measured first, and the steps are counted out from that, so that
every schedule comes to its end. Start it again to go on where it was stopped.
"""

import argparse
import json
import logging
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
from nano import DENSE, SHORT, STAGES, examples_of, new_model, tokenizer_of

from florence2.evaluation.suites import Suite
from florence2.model.florence2 import Florence2Model
from florence2.processing.processor import Processor
from florence2.processing.tokenizer import Tokenizer
from florence2.training.held_out import HeldOut
from florence2.training.mixtures import ExampleMaker
from florence2.training.recipe import Recipe
from florence2.training.targets import TargetEncoder
from florence2.training.trainer import Trainer
from florence2_lab.pretraining.examples import NUM_LETTERS
from florence2_lab.pretraining.loss import PretrainingLoss, PretrainingStage
from florence2_lab.suites.worlds_suites import Materials, build_suites
from florence2_lab.worlds.kit import Kit

BATCH = 16  # small, as the runs are short
TOWER, JOINT = (replace(stage, batch_size=BATCH) for stage in STAGES)
KINDS = {
    "plain": replace(JOINT, name="plain", dense_weight=0.0),
    "joint": JOINT,
    "tower": TOWER,
    "text": PretrainingStage(
        "text", 1, BATCH, JOINT.image_side, JOINT.learning_rate, trains="text"
    ),
}
# Shares of the time.
ARMS: Mapping[str, Mapping[str, float]] = {
    "at-once": {"plain": 1.0},
    "heads-beside": {"joint": 1.0},
    "tower-first": {"tower": 0.4, "joint": 0.6},
    "tower-then-text": {"tower": 0.4, "text": 0.1, "joint": 0.5},
}
MEASURED = 4, 16  # steps of the two runs whose difference is what a step costs
ROUNDS = 3


class Comparison:
    """The kit and the folder of all arms, with one vocabulary."""

    def __init__(self, kit: Kit, folder: Path, count: int):
        self.kit, self.folder, self.count = kit, folder, count
        self.tokenizer: Tokenizer = tokenizer_of(kit, folder)

    def train(self, stages: Mapping[str, int], folder: Path) -> Florence2Model:
        """Run stages of so many steps."""
        model = new_model(self.tokenizer)
        recipe = Recipe(
            stages=tuple(
                replace(KINDS[kind], steps=steps, warmup_steps=steps // 10)
                for kind, steps in stages.items()
            ),
            examples=lambda stage: examples_of(
                stage, (DENSE if stage.trains == "tower" else SHORT,), self.kit, self.tokenizer
            ),
            loss=lambda model: PretrainingLoss(
                model, self.tokenizer.loc_begin, len(self.kit.categories), NUM_LETTERS
            ),
            ema_decay=0.998,
            workers=0,  # so that making pictures counts
        )
        Trainer(model, recipe, folder).run()
        return model

    def plan(self, minutes: float) -> dict[str, dict[str, int]]:
        """Steps of each stage of each arm; those of before if there are any."""
        path = self.folder / "plan.json"
        if not path.exists():
            rounds = [{kind: self._cost(kind) for kind in KINDS} for _ in range(ROUNDS)]
            # Whatever runs beside makes a step dearer, never cheaper.
            cost = {kind: min(each[kind] for each in rounds) for kind in KINDS}
            steps = {
                arm: {
                    kind: max(1, round(60 * minutes * share / cost[kind]))
                    for kind, share in shares.items()
                }
                for arm, shares in ARMS.items()
            }
            path.write_text(json.dumps(steps, indent=2))
        return dict(json.loads(path.read_text()))

    def _cost(self, kind: str) -> float:
        """Seconds of processor time of a step."""
        used = []
        for steps in MEASURED:
            with TemporaryDirectory() as folder:
                started = time.process_time()
                self.train({kind: steps}, Path(folder))
                used.append(time.process_time() - started)
        return max(used[1] - used[0], 1e-3) / (MEASURED[1] - MEASURED[0])

    def run(self, arm: str, stages: Mapping[str, int]) -> dict[str, float]:
        """Train and measure one arm, unless that is done."""
        folder = self.folder / arm
        path = folder / "numbers.json"
        if not path.exists():
            started, begun = time.process_time(), (folder / "log.csv").exists()
            model = self.train(stages, folder)
            used = float("nan") if begun else (time.process_time() - started) / 60
            pictures = BATCH * sum(steps for kind, steps in stages.items() if kind != "text")
            numbers = {"minutes": used, "pictures": pictures, **self._measured(model)}
            path.write_text(json.dumps(numbers, indent=2))
        return dict(json.loads(path.read_text()))

    def _measured(self, model: Florence2Model) -> dict[str, float]:
        """Losses and what is answered, on pictures that no training has drawn."""
        maker = ExampleMaker(Processor(self.tokenizer, model.config), TargetEncoder(self.tokenizer))
        numbers: dict[str, float] = {}
        for suite in build_suites(Materials(self.kit), ("reading", "detection", "grounding")):
            if isinstance(suite, Suite):
                records = tuple(suite.records(self.count))
                measured = HeldOut(records, maker)(model, model.config.image_side)
                task = f"{records[0].task.name.lower()}_"
                for name, value in measured.items():
                    suite_name = f"{suite.group}, {suite.material}"
                    numbers[f"{suite_name}: {name.removeprefix(task)}"] = value
        return numbers


def table(numbers: Mapping[str, Mapping[str, float]]) -> str:
    """A column for each arm."""
    first = next(iter(numbers.values()))
    lines = ["| | " + " | ".join(numbers) + " |", "|---" * (1 + len(numbers)) + "|"]
    for name in first:
        digits = 0 if name == "pictures" else 3
        values = (f"{each[name]:,.{digits}f}" for each in numbers.values())
        lines.append(f"| {name} | " + " | ".join(values) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kit", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=float, default=20.0, help="of each arm (default 20)")
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=[*ARMS], help="default: all")
    parser.add_argument("--count", type=int, default=200, help="pictures a suite (default 200)")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    cv2.setNumThreads(1)
    comparison = Comparison(Kit(arguments.kit), arguments.folder, arguments.count)
    plan = comparison.plan(arguments.minutes)
    logging.info("steps: %s", plan)
    print(table({arm: comparison.run(arm, plan[arm]) for arm in arguments.arms}))


if __name__ == "__main__":
    main()
