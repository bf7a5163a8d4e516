"""Weight files on disk: safetensors and torch's own format, read by memory map, written."""

import ctypes
import json
import mmap
import re
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from florence2.errors import WeightsError, first_few

_WHOLE_MODEL = "vision_tower."  # in names of the weights of a whole model, in both layouts
_OWN_MEMORY = Path("/proc/self/maps")
_HEADER_BYTES, _HEADER_BYTES_A_WEIGHT = 256, 160  # of safetensors files, at most


def read_weights(paths: Sequence[Path]) -> dict[str, Tensor]:
    """Tensors of one file or of all shards, by public name, paged in only when touched."""
    tensors: dict[str, Tensor] = {}
    for path in paths:
        found = _read_safetensors(path) if path.suffix == ".safetensors" else _read_pickle(path)
        if twice := tensors.keys() & found.keys():
            raise WeightsError(
                f"{str(path)!r} repeats weights of another part ({first_few(sorted(twice))}); fetch"
                " the parts again from one checkpoint"
            )
        tensors |= found
    return tensors


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, RuntimeError) as error:
        if dtype := re.search(r"Dtype not understood: (\w+)", str(error)):
            raise WeightsError(
                f"weights file {str(path)!r} holds numbers of the kind {dtype[1]}, which PyTorch"
                " does not have; use a float16, bfloat16 or float32 checkpoint"
            ) from error
        raise WeightsError(
            f"weights file {str(path)!r} is truncated, damaged or not safetensors"
            f" ({_one_line(error)}); fetch it again"
        ) from error


def _read_pickle(path: Path) -> dict[str, Tensor]:
    try:
        stored = _load_pickle(path)
    except Exception as error:  # damaged pickles raise nearly anything
        if refused := re.search(r"GLOBAL (\S+)", str(error)):
            raise WeightsError(
                f"weights file {str(path)!r} is no plain file of tensors: it asks for"
                f" {refused[1]}, and reading that would run code, so it was refused; save the"
                " model's state_dict() alone, or use a safetensors file"
            ) from error
        raise WeightsError(
            f"weights file {str(path)!r} is truncated, damaged or not a torch file"
            f" ({_one_line(error)}); fetch it again"
        ) from error
    tensors = _tensors_in(stored)
    if tensors is None:
        raise WeightsError(
            f"weights file {str(path)!r} holds a {type(stored).__name__} that is not a flat"
            " dictionary of tensors; save the model's state_dict() alone"
        )
    return tensors


def _tensors_in(stored: Any) -> dict[str, Tensor] | None:
    """The weights in what a training script saved, None if there are none.

    Those of dictionaries within get the keys in front of their names; what is beside them (counts
    of steps, the state of the optimizer) is left out.
    """
    if not isinstance(stored, Mapping):
        return None
    if all(isinstance(value, Tensor) for value in stored.values()):
        return {str(name): value for name, value in stored.items()}
    own = {str(name): value for name, value in stored.items() if isinstance(value, Tensor)}
    found = own if any(_WHOLE_MODEL in name for name in own) else {}
    for key, inner in stored.items():
        tensors = _tensors_in(inner)
        if tensors and any(_WHOLE_MODEL in name for name in tensors):
            found |= {f"{key}.{name}": tensor for name, tensor in tensors.items()}
    return found or None


def _load_pickle(path: Path) -> Any:
    """Only the zip format, which torch writes since 1.6, can be mapped; older files are read."""
    with path.open("rb") as file:
        mappable = file.read(4) == b"PK\x03\x04"
    return torch.load(path, map_location="cpu", weights_only=True, mmap=mappable)


@dataclass(frozen=True)
class MappedPages:
    """Where files are mapped into memory. What was read of them counts as ours until released.

    Attributes:
        ranges: first address and the one behind the last; none where that cannot be known.
    """

    ranges: tuple[tuple[int, int], ...] = ()

    @classmethod
    def of(cls, tensors: Iterable[Tensor]) -> "MappedPages":
        """The files that these tensors are views of (on Linux)."""
        try:
            lines = _OWN_MEMORY.read_text().splitlines()
        except OSError:
            return cls()
        dense = (each for each in tensors if each.layout == torch.strided and not each.is_meta)
        addresses = sorted(tensor.data_ptr() for tensor in dense)
        found = []
        for line in lines:
            span, _, _, _, inode = line.split()[:5]
            start, end = (int(each, 16) for each in span.split("-"))
            if inode != "0" and bisect_left(addresses, start) < bisect_left(addresses, end):
                found.append((start, end))
        return cls(tuple(found))

    def release(self) -> None:
        """Free what was read; it is read again where it is needed again.

        Only for tensors that nobody has written to: these changes would be lost.
        """
        for start, end in self.ranges:
            ctypes.CDLL(None).madvise(
                ctypes.c_void_p(start), ctypes.c_size_t(end - start), mmap.MADV_DONTNEED
            )


def write_weights(public: Mapping[str, Tensor], path: Path) -> None:
    """Write a `.safetensors` or a `.bin` file, by its suffix."""
    if path.suffix == ".safetensors":
        # transformers refuses files that do not name their framework.
        save_file(dict(public), path, metadata={"format": "pt"})
        return
    # torch.save writes whole storages: a view of a mapped file would drag all of it along.
    whole = {id(tensor): _own_storage(tensor) for tensor in public.values()}
    with path.open("wb") as file:  # to a path, PyTorch would not tell why it cannot write
        torch.save({name: whole[id(tensor)] for name, tensor in public.items()}, file)


def write_weights_in_parts(public: Mapping[str, Tensor], path: Path, max_bytes: int) -> None:
    """Write safetensors parts beside `path`, and an index that says which weight is in which part.

    Args:
        path: the name that a single file would have.
        max_bytes: of one part, its header included.

    Raises:
        WeightsError: a weight alone is larger than a part; nothing was written.
    """
    names: dict[str, str] = {}
    for suffix, part in _split(public, max_bytes).items():
        file = path.with_name(f"{path.stem}{suffix or '-00001-of-00001'}{path.suffix}")
        write_weights({name: public[name] for name in part}, file)
        names |= dict.fromkeys(part, file.name)
    total = sum(tensor.nbytes for tensor in public.values())
    index = {"metadata": {"total_size": total}, "weight_map": names}
    text = json.dumps(index, indent=2) + "\n"
    path.with_name(f"{path.name}.index.json").write_text(text, encoding="utf-8")


def _split(public: Mapping[str, Tensor], max_bytes: int) -> dict[str, list[str]]:
    """Names of the weights of each part, by what is added to its file name."""
    from huggingface_hub import split_state_dict_into_shards_factory

    # The header holds the name, the shape and two places of each weight.
    sizes = {n: t.nbytes + len(n.encode()) + _HEADER_BYTES_A_WEIGHT for n, t in public.items()}
    name, size = max(sizes.items(), key=lambda item: item[1])
    if _HEADER_BYTES + size > max_bytes:
        raise WeightsError(
            f"weight {name!r} has {public[name].nbytes:,} bytes, which does not fit into a part of"
            f" {max_bytes:,}; allow parts of {_HEADER_BYTES + size:,} bytes or more, or store a"
            " smaller dtype"
        )
    room = max_bytes - _HEADER_BYTES
    return split_state_dict_into_shards_factory(
        sizes, get_storage_size=int, filename_pattern="{suffix}", max_shard_size=room
    ).filename_to_tensors


def _own_storage(tensor: Tensor) -> Tensor:
    shares = tensor.untyped_storage().nbytes() != tensor.numel() * tensor.element_size()
    return tensor.clone() if shares else tensor


def _one_line(error: BaseException) -> str:
    """The first sentence of a library's message."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].split(". ")[0][:200]
