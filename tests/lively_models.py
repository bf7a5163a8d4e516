"""Tiny random models that behave: answers depend on the prompt, and many end by themselves."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from florence2.generation.batch import generate
from florence2.generation.grammar import Grammar, Vocabulary
from florence2.generation.options import Generated, GenerationOptions, SpecialIds
from florence2.generation.phrase_trie import PhraseTrie
from florence2.generation.runtime import ImageTokens
from florence2.model.cache import BatchCache
from florence2.model.florence2 import Florence2Model
from florence2.runtimes.pytorch.runtime import TensorModel, TorchImageTokens, TorchRuntime
from florence2.tasks import AnswerKind
from tiny_models import SMALLEST

LOCATIONS = range(40, 60)
SPECIAL = SpecialIds(decoder_start=2, bos=0, eos=2, locations=LOCATIONS)
# Ids 3 to 5 are <sep>, <poly> and </poly>; the others up to the locations are letters and pairs.
PIECES = tuple(f"{letter}".encode() for letter in "abcdefghij klmn<>") + tuple(
    pair.encode() for pair in ("ab", "cd", "a cat", " d", "é", "  ", "< ", "s>", "p>", "<se")
)
VOCABULARY = Vocabulary(
    pieces=(*[b""] * 6, *PIECES, *[b""] * (60 - 6 - len(PIECES))),
    spelled_tokens=re.compile(b"<(?:sep|s|x)>"),
    locations=LOCATIONS,
    sep=3,
    poly_start=4,
    poly_end=5,
    bos=0,
    eos=2,
)


@dataclass(frozen=True)
class Asked:
    """A model and requests with prompts of unequal length."""

    model: TensorModel
    image_tokens: Tensor
    prompts: tuple[tuple[int, ...], ...]
    special: SpecialIds = SPECIAL
    new_cache: Callable[[int], BatchCache] = BatchCache

    @property
    def runtime(self) -> TorchRuntime:
        return TorchRuntime(self.model, self.new_cache)

    def images(self, places: Sequence[int]) -> list[ImageTokens]:
        """Image tokens of these requests."""
        return [TorchImageTokens(self.image_tokens[place : place + 1]) for place in places]

    def together(
        self,
        options: GenerationOptions,
        order: list[int] | None = None,
        grammars: list[Grammar | None] | None = None,
    ) -> list[Generated]:
        """Answers of all requests, or of those in `order`, as one batch."""
        order = list(range(len(self.prompts))) if order is None else order
        prompts = [self.prompts[place] for place in order]
        return generate(self.runtime, self.images(order), prompts, options, self.special, grammars)

    def alone(self, place: int, options: GenerationOptions) -> Generated:
        (answer,) = self.together(options, [place])
        return answer

    def inputs(self, place: int) -> tuple[Tensor, Tensor]:
        """Image tokens and unpadded prompt of one request."""
        return self.image_tokens[place : place + 1], torch.tensor([self.prompts[place]])


def grammar(kind: AnswerKind, only_asked: bool = False) -> Grammar:
    """A grammar of the little vocabulary; asked for are `a cat`, `cab` and `d`."""
    ids: dict[bytes, list[int]] = {}
    for token, piece in enumerate(VOCABULARY.pieces):
        if piece:
            ids.setdefault(piece, []).append(token)
    phrases = PhraseTrie([(b"a cat", [5]), (b"cab", [3]), (b"d", [1])], ids) if only_asked else None
    return Grammar(kind, VOCABULARY, phrases)


@cache
def asked(seed: int) -> Asked:
    """Model and requests of a seed."""
    generator = torch.Generator().manual_seed(seed)
    model = Florence2Model(SMALLEST).double().eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.normal_(0.0, 0.3, generator=generator)
            if "norm" in name and name.endswith("weight"):
                parameter.add_(1.0)
        # The last norm's bias is in every hidden state, so a word along it is likely everywhere.
        bias = model.text_decoder.layers[-1].final_layer_norm.bias
        pull = 1.0 + 2.0 * torch.rand((), generator=generator)
        model.shared.weight[SPECIAL.eos] += pull * bias / bias.norm()
    vocab_size = SMALLEST.text.vocab_size
    prompts = tuple(
        tuple(torch.randint(3, vocab_size, (length,), generator=generator).tolist())
        for length in (6, 1, 9, 4)
    )
    images = torch.randn(len(prompts), 5, SMALLEST.text.d_model, generator=generator).double()
    return Asked(model, images, prompts)
