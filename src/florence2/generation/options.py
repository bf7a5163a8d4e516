"""What a caller may choose about writing an answer, and what is written; torch-free.

The defaults are the published ones: three beams, no three-gram twice, no sampling. The ban is
load-bearing: without it, or `end_loops`, the large model can repeat `<s>` for ever.
"""

from dataclasses import dataclass
from math import isfinite
from typing import Literal

from florence2.errors import ConfigError

# Beyond these the arithmetic of scores leaves the range of floats; useful values are near 1.
MAX_LENGTH_PENALTY = 10.0
MIN_TEMPERATURE, MAX_TEMPERATURE = 0.001, 1000.0

FinishReason = Literal["stop", "length", "loop", "grammar"]


@dataclass(frozen=True)
class GenerationOptions:
    """How answers are searched for; impossible values and combinations raise `ConfigError`.

    Attributes:
        num_beams: hypotheses kept side by side; 1 writes the most likely token at each step.
        max_new_tokens: longest answer in tokens, `<s>` and `</s>` included. The model's table of
            positions may allow less.
        min_new_tokens: `</s>` is not written before this many tokens.
        no_repeat_ngram_size: no run of this many tokens occurs twice in an answer; 0 allows all.
        repetition_penalty: scores of tokens that the answer holds already are made worse by this
            factor; 1 leaves them.
        suppress_tokens: ids that are never written, but where they are forced.
        end_loops: `<s>` occurs once, and an answer that goes round in circles is ended. Allows
            repeated words, numbers and coordinates, so set no_repeat_ngram_size=0 with it.
        grammar: keep to the grammar of the task. "repair": an answer that broke it is written
            once more within it, all others stay as they are. True: every answer is written
            within it, and names only what was asked. False: never. None: "repair" for the
            sentences of the tasks, False for a prompt of a checkpoint's own. The search keeps to
            the grammars that it is given; what it is given is the business of `Florence2`.
        length_penalty: beams compare by log-probability / length ** length_penalty, so larger
            values prefer longer answers.
        early_stopping: when a beam search ends. True: as soon as `num_beams` answers are
            finished. False: when the best unfinished one scores no better, at its present
            length, than the worst finished one. "never": the same at the length that favours it.
        temperature: 0 takes the most likely token; above 0 a token is drawn, with logits
            divided by this number. Drawing needs `num_beams=1`.
        top_p: draw from the smallest set of tokens that holds this share of the probability.
        seed: of the draws. With the same seed a request gets the same answer, alone or in any
            batch; use other seeds for other answers.
    """

    num_beams: int = 3
    max_new_tokens: int = 1024
    min_new_tokens: int = 0
    no_repeat_ngram_size: int = 3
    repetition_penalty: float = 1.0
    suppress_tokens: tuple[int, ...] = ()
    end_loops: bool = False
    grammar: bool | Literal["repair"] | None = None
    length_penalty: float = 1.0
    early_stopping: bool | Literal["never"] = True
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        self._check_integer("num_beams", at_least=1)
        self._check_integer("max_new_tokens", at_least=1)
        self._check_integer("min_new_tokens", at_least=0)
        self._check_integer("no_repeat_ngram_size", at_least=0)
        self._check_integer("seed", at_least=0)
        if not isinstance(self.suppress_tokens, tuple) or not all(
            isinstance(token, int) and not isinstance(token, bool) and token >= 0
            for token in self.suppress_tokens
        ):
            raise ConfigError(
                f"suppress_tokens must be token ids from 0 up; got {self.suppress_tokens!r}"
            )
        if self.min_new_tokens > self.max_new_tokens:
            raise ConfigError(
                f"min_new_tokens {self.min_new_tokens!r} is above max_new_tokens"
                f" {self.max_new_tokens!r}; lower the one or raise the other"
            )
        if not isinstance(self.end_loops, bool):
            raise ConfigError(f"end_loops {self.end_loops!r} is unknown; give True or False")
        if not isinstance(self.grammar, bool) and self.grammar not in ("repair", None):
            raise ConfigError(
                f"grammar {self.grammar!r} is unknown; give True, False, 'repair' or None"
            )
        if not isinstance(self.early_stopping, bool) and self.early_stopping != "never":
            raise ConfigError(
                f"early_stopping {self.early_stopping!r} is unknown; give True, False or 'never'"
            )
        self._check_number("length_penalty", -MAX_LENGTH_PENALTY, MAX_LENGTH_PENALTY)
        self._check_number("repetition_penalty", MIN_TEMPERATURE, MAX_TEMPERATURE)
        self._check_number("top_p", 0.0, 1.0)
        if self.top_p == 0:
            raise ConfigError("top_p 0 leaves no token to draw; give a number above 0, at most 1")
        if self.temperature != 0:
            self._check_number("temperature", MIN_TEMPERATURE, MAX_TEMPERATURE, " (or 0: no draws)")
            if self.num_beams != 1:
                raise ConfigError(
                    f"temperature {self.temperature!r} draws one answer token by token, but"
                    f" num_beams is {self.num_beams!r}; set num_beams=1, or temperature=0"
                )

    def _check_integer(self, name: str, at_least: int) -> None:
        value = getattr(self, name)
        if not isinstance(value, int) or isinstance(value, bool) or value < at_least:
            raise ConfigError(f"{name} must be a whole number from {at_least} up; got {value!r}")

    def _check_number(self, name: str, low: float, high: float, note: str = "") -> None:
        value = getattr(self, name)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not (is_number and isfinite(value) and low <= value <= high):
            raise ConfigError(
                f"{name} must be a number from {low:g} to {high:g}{note}; got {value!r}"
            )


@dataclass(frozen=True)
class SpecialIds:
    """The token ids that have a meaning for the search."""

    decoder_start: int  # fed first and never part of the answer
    bos: int  # always the first token of the answer
    eos: int  # ends the answer
    locations: range = range(0)  # ids of the location tokens, for `end_loops`


@dataclass(frozen=True)
class Generated:
    """One answer as the model wrote it.

    Attributes:
        token_ids: from the forced `bos` to `eos`, without `decoder_start`. Padding never occurs.
        finish_reason: "stop" if the model ended the answer; "length" if the limit did, in which
            case the last `eos` was forced; "loop" if the answer went round in circles; "grammar"
            if the limit was so near that another object had no room.
        token_logprobs: the log-probability of each token under the model alone: natural
            logarithms, before bans, temperature and `top_p`, also for the forced tokens.
        sequence_score: what beams are ranked by: the sum of the log-probabilities of the tokens
            that were not forced, divided by `len(token_ids) ** length_penalty`.
    """

    token_ids: tuple[int, ...]
    finish_reason: FinishReason
    token_logprobs: tuple[float, ...]
    sequence_score: float
