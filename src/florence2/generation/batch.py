"""Requests answered side by side, one token a step; they join and leave between steps.

prompt memory -- add --> candidates --+
                                      +--> advance each search --> slots follow the survivors,
last tokens ---- step -> candidates --+                            finished requests leave
"""

import math
from collections.abc import Sequence

from florence2.errors import ConfigError
from florence2.generation.grammar import Grammar
from florence2.generation.options import Generated, GenerationOptions, SpecialIds
from florence2.generation.runtime import Candidate, ImageTokens, PromptMemory, Runtime
from florence2.generation.search import Search, decoder_input, finished, new_search
from florence2.model.config import Florence2Config


class DecodingBatch:
    """The answers that one runtime is writing, with equally many beams each.

    Attributes:
        searches: of the requests that are not done; the one in slot `i` is the i-th.
    """

    def __init__(self, runtime: Runtime, num_beams: int, special: SpecialIds) -> None:
        self.searches: list[Search] = []
        self._decoder = runtime.new_batch(num_beams)
        self._num_beams, self._start = num_beams, special.decoder_start

    def add(self, memories: Sequence[PromptMemory], searches: Sequence[Search]) -> None:
        """Begin to answer; searches that are done at once leave at once."""
        prefixes = [[self._start, *search.running[0].tokens] for search in searches]
        opened = self._decoder.add(memories, prefixes, [decoder_input(each) for each in searches])
        self.searches += searches
        for search, (logprobs, candidates) in zip(searches, opened, strict=True):
            _refuse_nan(candidates)
            search.running[0].logprobs += logprobs
            if not search.done:
                search.advance(candidates)
        self._drop_done(follow=False)  # all rows of a slot are still the same

    def step(self) -> None:
        """Write one more token in each answer; searches that become done leave."""
        candidates = self._decoder.step([decoder_input(search) for search in self.searches])
        self._advance(candidates)
        self._drop_done()

    def cancel(self, search: Search) -> None:
        """Stop writing an answer; its slot is free at once."""
        self._remove([each is search for each in self.searches], follow=False)

    def _advance(self, candidates: Sequence[Sequence[Candidate]]) -> None:
        for search, its_candidates in zip(self.searches, candidates, strict=True):
            _refuse_nan(its_candidates)
            search.advance(its_candidates)

    def _drop_done(self, follow: bool = True) -> None:
        done = [search.done for search in self.searches]
        if follow or any(done):
            self._remove(done, follow)

    def _remove(self, leaving: Sequence[bool], follow: bool = True) -> None:
        """Let requests leave; beam reorder: the others' rows follow their hypotheses."""
        width, searches = self._num_beams, self.searches
        stay = [place for place, leaves in enumerate(leaving) if not leaves]
        # The last ones take the places of those that leave.
        movers = [place for place in stay if place >= len(stay)]
        slots = [movers.pop() if leaving[place] else place for place in range(len(stay))]
        unmoved = range(width)
        rows = [
            place * width + parent
            for place in slots
            for parent in (searches[place].parents if follow else unmoved)
        ]
        self._decoder.reorder(slots, rows)
        self.searches = [searches[place] for place in slots]


def _refuse_nan(candidates: Sequence[Candidate]) -> None:
    """Raise where the best candidate's probability is no number: nothing it says means anything."""
    if math.isnan(candidates[0].logprob) or math.isnan(candidates[0].score):
        raise FloatingPointError(
            "the model computed no numbers (NaN): its weights, or this precision, overflow;"
            " try precision 'float32'"
        )


def generate(
    runtime: Runtime,
    images: Sequence[ImageTokens],
    prompts: Sequence[Sequence[int]],
    options: GenerationOptions,
    special: SpecialIds,
    grammars: Sequence[Grammar | None] | None = None,
) -> list[Generated]:
    """Write one answer for each request; an answer does not depend on the rest of the batch.

    Args:
        images: from `runtime.encode_images`, one for each request.
        prompts: token ids of the prompts.
        options: how to search.
        special: ids of the start, of the forced first token and of the last token.
        grammars: what the answer of each request is made of, None for any tokens.
    """
    limit = answer_limit(runtime.config, options)
    searches = [
        new_search(options, special, limit, grammar)
        for grammar in grammars or [None] * len(prompts)
    ]
    if not searches:
        return []
    batch = DecodingBatch(runtime, options.num_beams, special)
    batch.add(runtime.prefill(images, prompts), searches)
    while batch.searches:
        batch.step()
    return [finished(search) for search in searches]


def answer_limit(config: Florence2Config, options: GenerationOptions) -> int:
    """Tokens an answer may have: each but the last is fed back and needs a position."""
    vocab_size = config.text.vocab_size
    if 2 * options.num_beams > vocab_size:
        raise ConfigError(
            f"num_beams {options.num_beams!r} is too many for a vocabulary of {vocab_size:,}"
            f" tokens; give {vocab_size // 2:,} at most"
        )
    if unknown := [token for token in options.suppress_tokens if token >= vocab_size]:
        raise ConfigError(
            f"suppress_tokens has {unknown[0]!r}, but the vocabulary has only {vocab_size:,}"
            " tokens; leave it out"
        )
    return min(options.max_new_tokens, config.text.max_position_embeddings)
