"""Pictures and questions to tensors, token ids to results: the two doors of the model.

pictures -------------------- preprocess -----> pixels_BCHW
task, text, region -- prompt -- tokenizer ----> prompt_ids_BL, prompt_mask_BL
result <-- parse_answer -- answer text <-- tokenizer -- token ids
"""

from codecs import getincrementaldecoder
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from florence2.answers import parse_answer
from florence2.errors import TaskError
from florence2.images import preprocess
from florence2.locations import encode_boxes
from florence2.model.config import Florence2Config
from florence2.results import Result
from florence2.scores import Piece
from florence2.tasks import Task
from florence2.tokenizer import Tokenizer

_CONTINUATIONS = {bytes([byte]) for byte in range(0x80, 0xC0)}  # no character of UTF-8 begins so


class Written(Protocol):
    """What the search returns, as far as a result needs it."""

    @property
    def token_ids(self) -> Sequence[int]: ...

    @property
    def finish_reason(self) -> str: ...

    @property
    def token_logprobs(self) -> Sequence[float]: ...


class Processor:
    """What surrounds the tensors of one model: its tokenizer, picture side and limits.

    Attributes:
        tokenizer: of the checkpoint.
        image_side: side in pixels to which pictures are resized.
        max_prompt_tokens: longest prompt that the encoder has positions for, beside a picture.
    """

    def __init__(self, tokenizer: Tokenizer, config: Florence2Config) -> None:
        self.tokenizer = tokenizer
        self.image_side = config.image_side
        self._token_bytes = tokenizer.token_bytes()
        self._num_image_tokens = config.num_image_tokens(config.image_side)
        self.max_prompt_tokens = config.text.max_position_embeddings - self._num_image_tokens

    def pixels(self, images: Sequence[Image.Image]) -> Tensor:
        """Pictures as `open_image` returns them to float32 `(B, 3, side, side)`."""
        arrays = [preprocess(image, self.image_side) for image in images]
        return torch.from_numpy(np.stack(arrays))

    def prompt_ids(
        self,
        task: Task,
        text_input: str,
        region: Sequence[float] | None,
        image_size: tuple[int, int],
        prompt: str | None = None,
    ) -> list[int]:
        """Token ids of one question, `<s>` and `</s>` included.

        Args:
            task: what to do.
            text_input: words for a task that needs them, else empty.
            region: `x_min, y_min, x_max, y_max` in pixels of the original picture, for a task
                that needs one, else None.
            image_size: `(width, height)` of the original picture.
            prompt: words of a checkpoint's own, sent in place of the task's sentence.

        Raises:
            TaskError: input is missing or surplus, the region is not inside the picture, or the
                prompt is longer than the encoder allows.
        """
        region_bins: Sequence[int] | None = None
        if region is not None:
            if not task.needs_region:
                raise TaskError(
                    f"task {task.token!r} takes no region; got {region!r}; leave the region out"
                )
            inside = _checked_region(region, image_size)
            region_bins = encode_boxes(inside, image_size).tolist()
        token_ids = self.tokenizer.encode(prompt or task.prompt(text_input, region_bins))
        if len(token_ids) > self.max_prompt_tokens:
            raise TaskError(
                f"the prompt of task {task.token!r} has {len(token_ids):,} tokens; beside the"
                f" {self._num_image_tokens:,} tokens of a picture this model takes"
                f" {self.max_prompt_tokens:,}; shorten the text input"
            )
        return token_ids

    def pad_prompts(self, prompts: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
        """Prompts side by side: int64 ids `(B, L)`, padded on the right, and bool mask `(B, L)`."""
        longest = max(map(len, prompts))
        padding = [longest - len(prompt) for prompt in prompts]
        pad_id = self.tokenizer.pad_id
        ids = [[*prompt, *[pad_id] * n] for prompt, n in zip(prompts, padding, strict=True)]
        real = [[True] * (longest - n) + [False] * n for n in padding]
        return torch.tensor(ids), torch.tensor(real)

    def pieces(self, token_ids: Sequence[int], logprobs: Sequence[float]) -> list[Piece]:
        """The text of token ids in pieces, with the log-probability of each token.

        Tokens that end in the middle of a character are one piece with the one that ends it;
        where none does, they are a piece of their own.
        """
        decoder = getincrementaldecoder("utf-8")("replace")
        pieces: list[Piece] = []
        pending: tuple[float, ...] = ()
        for token_id, logprob in zip(token_ids, logprobs, strict=True):
            known = 0 <= token_id < len(self._token_bytes)
            spelled = self._token_bytes[token_id] if known else b""
            if spelled[:1] not in _CONTINUATIONS and (cut := decoder.decode(b"", final=True)):
                pieces.append(Piece(cut, pending))
                pending = ()
            text = decoder.decode(spelled)
            pending += (logprob,) if known else ()
            if text:
                pieces.append(Piece(text, pending))
                pending = ()
        if rest := decoder.decode(b"", final=True):
            pieces.append(Piece(rest, pending))
        return pieces

    def result(self, written: Written, task: Task, image_size: tuple[int, int]) -> Result:
        """Read what the model wrote about a picture of this size; never raises on any ids."""
        return parse_answer(
            self.pieces(written.token_ids, written.token_logprobs),
            task,
            image_size,
            token_ids=written.token_ids,
            finish_reason=written.finish_reason,
        )


def _checked_region(region: Sequence[float], image_size: tuple[int, int]) -> list[float]:
    """The region as four floats, if it is a box inside the picture."""
    width, height = image_size
    allowed = (
        f"give x_min, y_min, x_max, y_max in pixels with 0 <= x_min < x_max <= {width} and"
        f" 0 <= y_min < y_max <= {height}"
    )
    try:
        x_min, y_min, x_max, y_max = map(float, region)
    except (TypeError, ValueError):
        raise TaskError(f"region {region!r} is not four numbers; {allowed}") from None
    if not (0 <= x_min < x_max <= width and 0 <= y_min < y_max <= height):
        raise TaskError(
            f"region {region!r} is not a box inside the picture of {width} x {height} pixels;"
            f" {allowed}"
        )
    return [x_min, y_min, x_max, y_max]
