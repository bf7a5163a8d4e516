"""What a user may choose about a fine-tuning; torch-free, so that `--help` is quick."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from florence2.errors import ConfigError
from florence2.tasks import Task

Mode = Literal["full", "frozen-vision", "lora"]
MODES: tuple[str, ...] = get_args(Mode)
MAX_SEED = 2**63 - 1  # the largest that PyTorch takes


@dataclass(frozen=True)
class WeightedPath:
    """A dataset, and how often it is asked in relation to the others."""

    path: str
    weight: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.weight < float("inf"):
            raise ConfigError(f"weight {self.weight!r} of {self.path!r} must be a number above 0")

    @classmethod
    def parse(cls, text: str) -> "WeightedPath":
        """Read `a.json` or `a.json:2`; a path that exists is taken as it stands.

        >>> WeightedPath.parse("a.json:2")
        WeightedPath(path='a.json', weight=2.0)
        """
        path, colon, number = text.rpartition(":")
        if not colon or Path(text).exists():
            return cls(text)
        try:
            weight = float(number)
        except ValueError:
            return cls(text)  # a colon of its own, as behind the drive of Windows
        return cls(path, weight)


@dataclass(frozen=True)
class FinetuneOptions:
    """A fine-tuning from data to checkpoint; `None` means the default for this model and data.

    Attributes:
        data: datasets of any format that `open_dataset` reads.
        output: folder of the run; see `docs/training.md` for what it holds afterwards.
        model: what `Florence2.load` takes.
        tokenizer: see `Florence2.load`.
        mode: which weights train: all, all but the vision tower, or an adapter.
        tasks: what is asked about each picture; what the dataset is made for if there is none.
        held_out: share of the pictures to measure on, where a dataset has no part "val".
        split: the part to train on, where a dataset is divided; "train" or "trainval" if `None`.
        voc_origin: see `open_dataset`.
        steps, epochs: how long; at most one of the two.
        side: pixels to which pictures are resized.
        augment: mirror, cut and brighten pictures where the answer stays right.
        mirror: whether mirroring is among these.
        no_mirror_names: names whose records are not mirrored, beside those with sides or writing.
        rank, alpha, targets: of the adapter, see `LoraConfig`.
        merge: with an adapter, also write the checkpoint that contains it.
        adapter: an earlier one, which is merged into the model before the start.
        workers: processes that read pictures.
        device: see `Florence2.load`.
    """

    data: tuple[WeightedPath, ...]
    output: Path
    model: str = "nano"
    tokenizer: str | None = None
    mode: Mode = "full"
    tasks: tuple[Task, ...] = ()
    held_out: float = 0.2
    split: str | None = None
    voc_origin: int | None = None
    steps: int | None = None
    epochs: float | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    side: int | None = None
    seed: int = 0
    augment: bool = True
    mirror: bool = True
    no_mirror_names: tuple[str, ...] = ()
    rank: int = 16
    alpha: float = 32.0
    targets: tuple[str, ...] = ()
    merge: bool = False
    adapter: str | None = None
    workers: int = 1
    device: str | None = None

    def __post_init__(self) -> None:
        if not self.data:
            raise ConfigError("there is nothing to train on; name at least one dataset")
        if self.mode not in MODES:
            raise ConfigError(f"mode {self.mode!r} is unknown; choose one of {', '.join(MODES)}")
        if self.steps is not None and self.epochs is not None:
            raise ConfigError(
                f"both steps ({self.steps!r}) and epochs ({self.epochs!r}) were given; give one"
            )
        for name in ("steps", "epochs", "batch_size", "learning_rate", "side"):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise ConfigError(f"{name} {value!r} must be a number above 0")
        if not 0 <= self.held_out < 1:
            raise ConfigError(f"held_out {self.held_out!r} must be a share in [0, 1)")
        if self.workers < 0:
            raise ConfigError(f"workers {self.workers!r} must be 0 or more")
        if not 0 <= self.seed <= MAX_SEED:
            raise ConfigError(f"seed {self.seed!r} must be from 0 to {MAX_SEED}")
        if self.merge and self.mode != "lora":
            raise ConfigError(
                f"merge is for mode 'lora'; mode {self.mode!r} writes a whole checkpoint anyway"
            )

    def settings(self) -> dict[str, Any]:
        """What decides on the weights that come out, as JSON; the rest may change on a resume."""
        values = asdict(self)
        for name in ("output", "tokenizer", "workers", "device", "merge"):
            del values[name]
        values["tasks"] = [task.token for task in self.tasks]
        values["data"] = [[each.path, each.weight] for each in self.data]
        values["targets"] = list(self.targets)
        values["no_mirror_names"] = list(self.no_mirror_names)
        return values


def first_difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> str | None:
    """Name the first setting of two runs that differs, with both values.

    >>> first_difference({"seed": 0, "side": 128}, {"seed": 1, "side": 128})
    'seed 0, not 1'
    """
    for name in [*new, *(name for name in old if name not in new)]:
        if old.get(name) != new.get(name):
            return f"{name} {old.get(name)!r}, not {new.get(name)!r}"
    return None
