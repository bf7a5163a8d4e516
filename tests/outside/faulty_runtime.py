"""The toy runtime, failing where a test says."""

from collections.abc import Callable, Sequence
from typing import Any

from toy_runtime import ToyBatch, ToyRuntime

Fault = Callable[[str, Sequence[Any]], None]
"""Called before every call into the runtime, with its name and its requests; raises to fail."""


class FaultyRuntime(ToyRuntime):
    fault: Fault = staticmethod(lambda call, requests: None)

    def encode_images(self, pixels_BCHW: Any) -> Any:
        self.fault("encode_images", pixels_BCHW)
        return super().encode_images(pixels_BCHW)

    def prefill(self, images: Any, prompts: Any) -> Any:
        self.fault("prefill", prompts)
        return super().prefill(images, prompts)

    def loglikelihood(self, memories: Any, answers: Any) -> Any:
        self.fault("loglikelihood", [memory.prompt for memory in memories])
        return super().loglikelihood(memories, answers)

    def new_batch(self, num_beams: int) -> ToyBatch:
        self.fault("new_batch", ())
        return FaultyBatch(self, num_beams)


class FaultyBatch(ToyBatch):
    def add(self, memories: Any, prefixes: Any, inputs: Any) -> Any:
        self._call("add", [*self.memories, *memories])
        return super().add(memories, prefixes, inputs)

    def step(self, inputs: Any) -> Any:
        self._call("step", self.memories)
        return super().step(inputs)

    def reorder(self, slots: Any, rows: Any) -> None:
        self._call("reorder", self.memories)
        super().reorder(slots, rows)

    def _call(self, name: str, memories: Sequence[Any]) -> None:
        assert isinstance(self.runtime, FaultyRuntime)
        self.runtime.fault(name, [memory.prompt for memory in memories])
