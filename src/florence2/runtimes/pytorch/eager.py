"""The model as it is written, module by module; on CUDA its steps are captured as graphs."""

from florence2.model.cache import BatchCache
from florence2.model.florence2 import Florence2Model
from florence2.runtimes.pytorch.cuda_graphs import CapturedStep, capture_cuda_graph
from florence2.runtimes.pytorch.runtime import TorchRuntime

PROMPT_ROOM, ANSWER_ROOM = 32, 64  # positions that captured steps begin with; they double


def eager_runtime(model: Florence2Model) -> TorchRuntime:
    """A runtime over a model in evaluation mode, in the dtype and on the device that it has."""

    def new_cache(width: int) -> BatchCache:
        if model.device.type != "cuda":
            return BatchCache(width)
        source = model.config.num_image_tokens(model.config.image_side) + PROMPT_ROOM
        return BatchCache(width, (1, ANSWER_ROOM, source), CapturedStep(capture_cuda_graph))

    return TorchRuntime(model, new_cache)
