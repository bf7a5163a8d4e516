"""Where a run starts that does not go on: the weights of another run or of a checkpoint."""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from florence2.checkpoints.adapters import merge_adapter
from florence2.checkpoints.layouts import HEAD, SHARED, describe_differences, read_state, shapes
from florence2.checkpoints.sources import find_checkpoint
from florence2.errors import WeightsError
from florence2.model.florence2 import Florence2Model
from florence2.training.checkpoint_files import (
    CHECKPOINT,
    MANIFEST,
    read_checkpoint,
    trained_weights,
)


def load_initial_weights(model: Florence2Model, weights: str | Path | Mapping[str, Tensor]) -> None:
    """Put weights into a model, all of them; nothing is guessed.

    Args:
        weights: folder of a run or its checkpoint file; or a checkpoint as `load_checkpoint` reads
            it, whose rows of the word embedding and head behind the model's vocabulary are left
            out; or a state dict.
    """
    if isinstance(weights, str | Path):
        path = Path(weights)
        weights = trained_weights(path) if _is_run(path) else _checkpoint_weights(model, path)
    _check_names(model, weights)
    model.load_state_dict(dict(weights))


def loss_weights_of(weights: str | Path | Mapping[str, Tensor] | None) -> dict[str, Tensor]:
    """Weights of the loss module of a run, empty for what has none."""
    if not isinstance(weights, str | Path) or not _is_run(Path(weights)):
        return {}
    state = read_checkpoint(Path(weights))
    return {} if state is None else state.get("loss", {})


def _is_run(path: Path) -> bool:
    """Whether this is the folder of a run or its checkpoint, and no model to load."""
    names = (CHECKPOINT, MANIFEST)
    return path.suffix in (".pt", ".json") or any((path / name).exists() for name in names)


def _checkpoint_weights(model: Florence2Model, source: Path) -> dict[str, Tensor]:
    files = find_checkpoint(str(source))
    state = read_state(files.weights)
    if files.adapter is not None:
        state = merge_adapter(state, files.adapter)
    tensors = dict(state.tensors)
    for name in tensors.keys() & {SHARED, HEAD}:
        tensors[name] = tensors[name][: len(model.shared.weight)]
    # Computed tables, which no layout is trusted with.
    return dict(model.named_buffers()) | tensors


def _check_names(model: Florence2Model, weights: Mapping[str, Tensor]) -> None:
    if faults := describe_differences(shapes(model.state_dict()), shapes(weights)):
        raise WeightsError(
            f"the weights to start from do not fit the model: {faults}; use the model's own"
            " configuration and tokenizer, and attach adapters after its weights are in place"
        )
