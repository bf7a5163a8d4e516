"""From what a user names (a folder, a file, a hub id, a short name) to files on this disk."""

import json
import logging
import os
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from florence2.errors import WeightsError, did_you_mean, first_few

SHORT_NAMES = {
    name: f"microsoft/Florence-2-{name}" for name in ("base", "large", "base-ft", "large-ft")
}
NANO = "nano"  # the weights of our own inside the package

CONFIG = "config.json"
GENERATION = "generation_config.json"
PREPROCESSOR = "preprocessor_config.json"
PROCESSOR = "processor_config.json"  # where transformers 5 keeps what the former held
ANSWERS = "florence2.json"  # of this package alone; other programs read over it
TOKENIZER = "tokenizer.json"
TOKENIZER_PIECES = ("vocab.json", "merges.txt", "added_tokens.json")  # instead of the former
# The best first: safetensors carry no code and say when they are incomplete.
WEIGHTS = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
INDEX = ".index.json"
ADAPTER = "adapter_config.json"  # of the PEFT library
ADAPTER_WEIGHTS = ("adapter_model.safetensors", "adapter_model.bin")
_WEIGHTS_SUFFIXES = (".safetensors", ".bin", ".pt", ".pth", ".ckpt")
_RUN_ADAPTER = "adapter"  # where it puts an adapter
_RUN_MODEL = "model"  # where `florence2 train` puts the checkpoint of a run
# Models in the formats of other programs, by the end of a file name.
_OTHER_FORMATS = {
    ".onnx": "ONNX",
    ".gguf": "GGUF (llama.cpp)",
    ".ggml": "GGML (llama.cpp)",
    "tf_model.h5": "TensorFlow",
    ".h5": "TensorFlow",
    ".keras": "Keras",
    "saved_model.pb": "TensorFlow",
    "model.ckpt.index": "TensorFlow",
    ".tflite": "TensorFlow Lite",
    ".msgpack": "Flax",
    "openvino_model.bin": "OpenVINO",
    "_model.xml": "OpenVINO",
    ".engine": "TensorRT",
    ".plan": "TensorRT",
    ".mlmodel": "Core ML",
    ".mlpackage": "Core ML",
    ".npz": "MLX or NumPy",
    ".pdparams": "PaddlePaddle",
    "_model_states.pt": "DeepSpeed (zero_to_fp32.py in that folder makes one file of it)",
    ".distcp": "PyTorch's distributed checkpoints (torch.distributed.checkpoint.format_utils makes"
    " one file of it)",
}
_NO_WEIGHTS = ("optimizer.", "scheduler.", "rng_state", "training_args.", "scaler.", "adapter_")
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_TIMEOUT_S = 10.0  # for the first answer of the hub
_LFS_POINTER = b"version https://git-lfs.github.com/spec/"

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class CheckpointFiles:
    """A checkpoint on this disk.

    Attributes:
        name: what the user asked for.
        folder: holds the configuration and the tokenizer.
        weights: the weights file, or its parts in the order of their names.
        adapter: folder of an adapter that belongs into these weights.
    """

    name: str
    folder: Path
    weights: tuple[Path, ...]
    adapter: Path | None = None

    def path(self, name: str) -> Path | None:
        """The file of that name in the folder, None if there is none."""
        path = self.folder / name
        return path if path.is_file() else None


def find_checkpoint(source: str | Path, adapter: str | Path | None = None) -> CheckpointFiles:
    """Find a checkpoint, fetching it from the hub if need be, and check that its files are there.

    Args:
        source: one of
            a folder, or one weights file beside its `config.json` (a `Path` is always this);
            the folder of an adapter, which names its base model;
            `nano`, the model inside this package;
            `base`, `large`, `base-ft`, `large-ft`, the published models;
            a hub id `owner/name`. Short names and hub ids take `@revision` behind them: a
            branch, a tag or a commit. Write `./base` for a folder that is called like a short
            name.
        adapter: folder or hub id of an adapter that PEFT or `florence2 train` wrote.
    """
    path = locate(source)
    if adapter is None or not is_adapter(path):
        files = files_at(path, str(source))
        return files if adapter is None else replace(files, adapter=locate_adapter(adapter))
    raise WeightsError(
        f"checkpoint {str(source)!r} is an adapter itself, so {str(adapter)!r} cannot be added;"
        " merge it into its base with florence2 merge, and give what that writes"
    )


def files_at(path: Path, name: str) -> CheckpointFiles:
    """The files of a checkpoint that lies in a folder, of one weights file, or of an adapter."""
    if is_adapter(path):
        return _files_of_adapter(_adapter_folder(path), name)
    folder = path if path.is_dir() else path.parent
    try:
        if not path.is_dir() and not (folder / CONFIG).exists():
            _refuse_run_file(path)
        weights = _weights_in(folder, name) if path.is_dir() else (path,)
        for file in weights:
            refuse_placeholder(file)
    except OSError as error:
        raise WeightsError(
            f"checkpoint {name!r} cannot be read ({error.strerror}); check the rights of its files"
        ) from error
    return CheckpointFiles(name, folder, weights)


def is_adapter(path: Path) -> bool:
    """Whether this is an adapter, without the weights of a model beside it."""
    folder = _adapter_folder(path)
    if path.is_file() and folder == path:
        return False
    found = (folder / ADAPTER).is_file()
    return found and not (path == folder and best_weights([each.name for each in folder.iterdir()]))


def _adapter_folder(path: Path) -> Path:
    return path.parent if path.name in (ADAPTER, *ADAPTER_WEIGHTS) else path


def locate_adapter(source: str | Path) -> Path:
    """The folder of an adapter; hub ids are fetched.

    Raises:
        WeightsError: there is no adapter.
    """
    name, _, revision = str(source).partition("@")
    path = Path(source).expanduser()
    is_hub_id = isinstance(source, str) and _HUB_ID.fullmatch(name) and not name.startswith(".")
    if is_hub_id and not path.exists():
        path = _from_hub(name, revision or None, str(source), adapter=True)
    folder = _adapter_folder(path)
    if not (folder / ADAPTER).is_file():
        what = f"has no {ADAPTER}" if path.exists() else "does not exist"
        raise WeightsError(
            f"adapter {str(source)!r} {what}; give the folder that florence2 train --mode lora or"
            " PEFT wrote"
        )
    return folder


def _files_of_adapter(folder: Path, name: str) -> CheckpointFiles:
    """The files of the model that an adapter was made for, with it."""
    settings = read_json(folder / ADAPTER)
    base, revision = settings.get("base_model_name_or_path"), settings.get("revision")
    advice = "give that with the adapter: adapter=DIR in Python, --adapter DIR in commands"
    if not isinstance(base, str) or not base:
        raise WeightsError(
            f"checkpoint {name!r} does not name its base model: it is a LoRA adapter, and its"
            f" {ADAPTER} has no base_model_name_or_path; choose the base model, and {advice}"
        )
    try:
        is_hub_id = _HUB_ID.fullmatch(base) and not os.path.exists(base)
        path = locate(f"{base}@{revision}" if is_hub_id and isinstance(revision, str) else base)
        if is_adapter(path):
            raise WeightsError("it is an adapter too; merge it first with florence2 merge")
        return replace(files_at(path, name), adapter=folder)
    except WeightsError as error:
        raise WeightsError(
            f"checkpoint {name!r} is an adapter of {base!r}, which cannot be used here ({error});"
            f" if its base model lies elsewhere, {advice}"
        ) from error


def locate(source: str | Path) -> Path:
    """The folder or weights file that a source stands for; hub ids are fetched."""
    if isinstance(source, Path):
        return _existing(source.expanduser())
    name, _, revision = source.partition("@")
    if source == NANO:
        return _existing(Path(__file__).parent / NANO)
    if name in SHORT_NAMES:
        return _from_hub(SHORT_NAMES[name], revision or None, source)
    if source and os.path.exists(os.path.expanduser(source)):
        return _existing(Path(source).expanduser())
    if _HUB_ID.fullmatch(name) and not source.startswith("."):
        return _from_hub(name, revision or None, source)
    return _unknown(source)


def absolute(source: str | Path) -> str:
    """A path as another process finds it; short names and hub ids as they are."""
    name = str(source)
    named = name == NANO or name.partition("@")[0] in SHORT_NAMES
    path = os.path.expanduser(name)
    return os.path.abspath(path) if not named and os.path.exists(path) else name


def absolute_adapter(source: str | Path) -> str:
    """An adapter as another process finds it; hub ids as they are."""
    path = Path(source).expanduser()
    return str(path.resolve()) if path.exists() else str(source)


def _existing(path: Path) -> Path:
    if not path.exists():
        raise WeightsError(f"checkpoint {str(path)!r} does not exist; give a folder that holds one")
    if path.is_file() and path.suffix not in _WEIGHTS_SUFFIXES:
        what = f"a {kind} file" if (kind := _format_of([path.name])) else "no weights file"
        raise WeightsError(
            f"checkpoint {str(path)!r} is {what}; give a .safetensors or .bin file, or"
            " the folder of the checkpoint"
        )
    return path


def _unknown(source: str) -> Path:
    names = [NANO, *SHORT_NAMES]
    hint = did_you_mean(source.lower().removeprefix("florence-2-"), names)
    raise WeightsError(
        f"checkpoint {source!r} is no folder or file here and no known name; give a path, a hub"
        f" id such as 'microsoft/Florence-2-base', or one of {', '.join(names)}{hint}"
    )


def _weights_in(folder: Path, source: str) -> tuple[Path, ...]:
    present = [path.name for path in folder.iterdir()]
    name = best_weights(present)
    if name is None:
        inside = _checkpoints_inside(folder)
        below = [f"{path.parent.name}/{path.name}" for path in folder.glob("*/*")]
        why = f"{inside}; give that folder" if inside else _why_none(present, below)
        raise WeightsError(f"checkpoint {source!r} holds no weights: {why}")
    if not name.endswith(INDEX):
        return (folder / name,)
    index = read_json(folder / name)
    parts = index.get("weight_map")
    if not isinstance(parts, dict) or not parts:
        raise WeightsError(f"{str(folder / name)!r} has no 'weight_map'; fetch it again")
    files = sorted({str(part) for part in parts.values()})
    if missing := [file for file in files if not (folder / file).is_file()]:
        raise WeightsError(
            f"checkpoint {source!r} lacks {len(missing)} of the {len(files)} parts of its weights"
            f" ({first_few(missing)}); fetch them"
        )
    return tuple(folder / file for file in files)


def best_weights(names: Collection[str]) -> str | None:
    """The weights file to prefer among the files of a checkpoint."""
    return next((name for name in WEIGHTS if name in names), None)


def _checkpoints_inside(folder: Path) -> str:
    """Which folder within a folder to give instead, in words; empty if there is none."""
    folders = [path for path in folder.iterdir() if path.is_dir()]
    inside = [path for path in folders if best_weights([each.name for each in path.iterdir()])]
    steps = {
        int(match[1]): path
        for path in inside
        if (match := re.fullmatch(r"checkpoint-(\d+)", path.name))
    }
    if folder / _RUN_MODEL in inside:
        return f"it is the folder of a run, whose checkpoint is {str(folder / _RUN_MODEL)!r}"
    if (folder / _RUN_ADAPTER / ADAPTER).exists():
        return f"it is the folder of a run, whose adapter is {str(folder / _RUN_ADAPTER)!r}"
    if steps:
        return (
            f"it is the output of a Trainer with {len(steps):,} checkpoints, the newest of which is"
            f" {str(steps[max(steps)])!r}"
        )
    if inside:
        names = first_few([str(path) for path in sorted(inside)])
        return f"there is a checkpoint in the folder {names} inside"
    return ""


def _refuse_run_file(path: Path) -> None:
    """Point from the state of a training run to the checkpoint that the run wrote."""
    if (path.parent / _RUN_MODEL / CONFIG).exists():
        raise WeightsError(
            f"{str(path)!r} is the state of a training run, whose checkpoint is"
            f" {str(path.parent / _RUN_MODEL)!r}; give that folder"
        )


def _why_none(present: Sequence[str], below: Sequence[str] = ()) -> str:
    """Why a folder holds no weights, by the names in it and in the folders in it."""
    if not present:
        return "the folder is empty; fetch the checkpoint into it"
    if kind := _format_of([*present, *below]):
        return (
            f"it is a model in the format of {kind}; fetch one of {', '.join(WEIGHTS)} of the"
            " same model"
        )
    odd = [
        name
        for name in present
        if name.endswith(_WEIGHTS_SUFFIXES) and not name.startswith(_NO_WEIGHTS)
    ]
    if odd:
        return f"none of {', '.join(WEIGHTS)}; to use {odd[0]!r}, give the path of that file"
    return f"it has none of {', '.join(WEIGHTS)}; fetch one of them"


def _format_of(names: Iterable[str]) -> str | None:
    """The format of another program that one of the file names has."""
    return next(
        (
            kind
            for name in sorted(names)
            for end, kind in _OTHER_FORMATS.items()
            if name.endswith(end)
        ),
        None,
    )


def refuse_placeholder(path: Path) -> None:
    """Raise for an empty file and for the text that git leaves where git-lfs is missing."""
    with path.open("rb") as file:
        start = file.read(len(_LFS_POINTER))
    if start == _LFS_POINTER:
        raise WeightsError(
            f"{str(path)!r} is a git-lfs pointer of {path.stat().st_size} bytes, not the file"
            " itself; run 'git lfs pull' in that folder, or download the file"
        )
    if not start:
        raise WeightsError(f"{str(path)!r} is empty; fetch it again")


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object."""
    if not path.is_file():
        raise WeightsError(
            f"checkpoint folder {str(path.parent)!r} has no {path.name}; fetch the one that"
            " belongs to the weights"
        )
    try:
        refuse_placeholder(path)
        values = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise WeightsError(
            f"{str(path)!r} cannot be read as JSON ({error}); fetch it again"
        ) from error
    if not isinstance(values, dict):
        raise WeightsError(
            f"{str(path)!r} holds a {type(values).__name__}, not a JSON object; fetch it again"
        )
    return values


# ---- the hub


def wanted_files(listing: Sequence[str], adapter: bool = False) -> list[str]:
    """The files of a hub repository that are needed, with one format of weights only.

    Args:
        adapter: of an adapter, which may lie beside a model.
    """
    weights = best_weights(listing)
    if ADAPTER in listing and (adapter or weights is None):
        return [name for name in (ADAPTER, *ADAPTER_WEIGHTS) if name in listing]
    if weights is None:
        raise WeightsError(f"it holds no weights: {_why_none(listing)}")
    wanted = [CONFIG, GENERATION, ANSWERS, PREPROCESSOR, PROCESSOR, weights]
    wanted += [TOKENIZER] if TOKENIZER in listing else TOKENIZER_PIECES
    if weights.endswith(INDEX):
        stem, suffix = weights.removesuffix(INDEX).rsplit(".", 1)
        part = re.compile(rf"{re.escape(stem)}-\d+-of-\d+\.{suffix}")
        wanted += [name for name in listing if part.fullmatch(name)]
    return [name for name in wanted if name in listing]


def _from_hub(repo: str, revision: str | None, source: str, adapter: bool = False) -> Path:
    """The local folder of a hub repository: fetched if the hub answers, else as cached."""
    from huggingface_hub import HfApi, constants, errors, snapshot_download

    cached = _cached(repo, revision)
    if cached and revision and _COMMIT.fullmatch(revision):
        return cached  # a commit never changes: no need to ask
    at = f" at revision {revision!r}" if revision else ""
    where = constants.ENDPOINT
    try:
        info = HfApi().model_info(repo, revision=revision, timeout=_TIMEOUT_S)
        wanted = wanted_files([file.rfilename for file in info.siblings or ()], adapter)
        return Path(snapshot_download(repo, revision=revision, allow_patterns=wanted))
    except WeightsError as error:
        raise WeightsError(f"hub repository {repo!r}{at} cannot be used: {error}") from None
    except errors.HFValidationError as error:
        raise WeightsError(f"checkpoint {source!r} is no valid hub id: {error}") from error
    except errors.GatedRepoError as error:
        raise WeightsError(
            f"hub repository {repo!r} is open to approved users only; ask for access on {where},"
            " then run 'hf auth login'"
        ) from error
    except errors.RevisionNotFoundError as error:
        raise WeightsError(
            f"hub repository {repo!r} has no revision {revision!r}; give a branch, a tag or a full"
            " commit hash"
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise WeightsError(
            f"hub repository {repo!r} does not exist on {where} or is private, and there is no"
            f" folder {repo!r} here; check the spelling, or run 'hf auth login'"
        ) from error
    except Exception as error:  # each major version of the library has its own network errors
        if cached:
            logger.info("no answer from %s; %s is taken from the local cache", where, repo)
            return cached
        here = "" if repo in SHORT_NAMES.values() else " is no folder here and"
        raise WeightsError(
            f"checkpoint {source!r}{here} cannot be fetched: no answer from {where} for {repo}{at}"
            f" ({type(error).__name__}), and the cache {constants.HF_HUB_CACHE!r} holds no whole"
            f" copy; connect once, or give a folder that holds the files, or use {NANO!r}, which"
            " needs no network"
        ) from error


def _cached(repo: str, revision: str | None) -> Path | None:
    """The folder of an earlier download, None unless configuration and weights are in it."""
    from huggingface_hub import errors, try_to_load_from_cache

    try:
        found = [try_to_load_from_cache(repo, n, revision=revision) for n in (CONFIG, ADAPTER)]
    except errors.HFValidationError:  # the request that follows reports it
        return None
    folder = next((Path(each).parent for each in found if isinstance(each, str)), None)
    if folder is None:
        return None
    names = [path.name for path in folder.iterdir()]
    return folder if best_weights(names) or ADAPTER in names else None
