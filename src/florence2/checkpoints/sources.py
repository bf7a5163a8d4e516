"""From what a user names (a folder, a file, a hub id, a short name) to files on this disk."""

import json
import logging
import os
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
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
_WEIGHTS_SUFFIXES = (".safetensors", ".bin", ".pt", ".pth")
_ADAPTER = "adapter_config.json"
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
    """

    name: str
    folder: Path
    weights: tuple[Path, ...]

    def path(self, name: str) -> Path | None:
        """The file of that name in the folder, None if there is none."""
        path = self.folder / name
        return path if path.is_file() else None


def find_checkpoint(source: str | Path) -> CheckpointFiles:
    """Find a checkpoint, fetching it from the hub if need be, and check that its files are there.

    Args:
        source: one of
            a folder, or one weights file beside its `config.json` (a `Path` is always this);
            `nano`, the model inside this package;
            `base`, `large`, `base-ft`, `large-ft`, the published models;
            a hub id `owner/name`. Short names and hub ids take `@revision` behind them: a
            branch, a tag or a commit. Write `./base` for a folder that is called like a short
            name.
    """
    return files_at(locate(source), str(source))


def files_at(path: Path, name: str) -> CheckpointFiles:
    """The files of a checkpoint that lies in a folder, or of one weights file."""
    folder = path if path.is_dir() else path.parent
    try:
        weights = _weights_in(folder, name) if path.is_dir() else (path,)
        for file in weights:
            refuse_placeholder(file)
    except OSError as error:
        raise WeightsError(
            f"checkpoint {name!r} cannot be read ({error.strerror}); check the rights of its files"
        ) from error
    return CheckpointFiles(name, folder, weights)


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


def _existing(path: Path) -> Path:
    if not path.exists():
        raise WeightsError(f"checkpoint {str(path)!r} does not exist; give a folder that holds one")
    if path.is_file() and path.suffix not in _WEIGHTS_SUFFIXES:
        raise WeightsError(
            f"checkpoint {str(path)!r} is no weights file; give a .safetensors or .bin file, or"
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
        raise WeightsError(f"checkpoint {source!r} holds no weights: {_why_none(present)}")
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


def _why_none(present: Sequence[str]) -> str:
    if not present:
        return "the folder is empty; fetch the checkpoint into it"
    if _ADAPTER in present:
        return (
            "it is a LoRA adapter, which holds changes to a model; merge it into its base model"
            " first"
        )
    odd = [name for name in present if name.endswith(_WEIGHTS_SUFFIXES)]
    if odd:
        return f"none of {', '.join(WEIGHTS)}; to use {odd[0]!r}, give the path of that file"
    return f"it has none of {', '.join(WEIGHTS)}; fetch one of them"


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


def wanted_files(listing: Sequence[str]) -> list[str]:
    """The files of a hub repository that are needed, with one format of weights only."""
    weights = best_weights(listing)
    if weights is None:
        raise WeightsError(f"it holds no weights: {_why_none(listing)}")
    wanted = [CONFIG, GENERATION, PREPROCESSOR, PROCESSOR, weights]
    wanted += [TOKENIZER] if TOKENIZER in listing else TOKENIZER_PIECES
    if weights.endswith(INDEX):
        stem, suffix = weights.removesuffix(INDEX).rsplit(".", 1)
        part = re.compile(rf"{re.escape(stem)}-\d+-of-\d+\.{suffix}")
        wanted += [name for name in listing if part.fullmatch(name)]
    return [name for name in wanted if name in listing]


def _from_hub(repo: str, revision: str | None, source: str) -> Path:
    """The local folder of a hub repository: fetched if the hub answers, else as cached."""
    from huggingface_hub import HfApi, constants, errors, snapshot_download

    cached = _cached(repo, revision)
    if cached and revision and _COMMIT.fullmatch(revision):
        return cached  # a commit never changes: no need to ask
    at = f" at revision {revision!r}" if revision else ""
    where = constants.ENDPOINT
    try:
        info = HfApi().model_info(repo, revision=revision, timeout=_TIMEOUT_S)
        wanted = wanted_files([file.rfilename for file in info.siblings or ()])
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
        config = try_to_load_from_cache(repo, CONFIG, revision=revision)
    except errors.HFValidationError:  # the request that follows reports it
        return None
    if not isinstance(config, str):
        return None
    folder = Path(config).parent
    return folder if best_weights([path.name for path in folder.iterdir()]) else None
