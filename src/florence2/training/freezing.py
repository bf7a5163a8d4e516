"""Freezing parts of the model, and the proof that what is said to be frozen stays as it is.

A frozen part is one whose parameters have `requires_grad` false: no other attribute has an effect.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from florence2.errors import ConfigError, did_you_mean, first_few
from florence2.model.florence2 import Florence2Model

PARTS = ("vision_tower", "projector", "text_encoder", "text_decoder", "embedding")

# The word embedding is the input of both and, transposed, the output layer of the decoder.
_PARTS_WITH_WORDS = ("text_encoder", "text_decoder")


@dataclass(frozen=True)
class TrainableReport:
    """How many values the model has, and the optimizer will change, by part and in "total".

    The tied word embedding is a part of its own.
    """

    parameters: Mapping[str, int]
    trainable: Mapping[str, int]

    def describe(self) -> str:
        """A table, one part to a line."""
        lines = [f"{'part':<14}{'parameters':>15}{'trainable':>15}{'share':>9}"]
        for part, count in self.parameters.items():
            trainable = self.trainable[part]
            share = f"{trainable / count:.1%}" if trainable else "frozen"
            lines.append(f"{part:<14}{count:>15,}{trainable:>15,}{share:>9}")
        return "\n".join(lines)


def freeze(model: Florence2Model, parts: Collection[str]) -> TrainableReport:
    """Freeze the named parts and let all others train.

    Args:
        parts: from `PARTS`; none of them to train everything.

    Raises:
        ConfigError: a part is unknown, nothing would be left to train, an adapter is attached
            (it has frozen all but itself), or see `check_frozen`.
    """
    parts = {parts} if isinstance(parts, str) else set(parts)
    for part in parts:
        _check_known(part)
    if parts == set(PARTS):
        raise ConfigError("all parts were named to be frozen, so nothing would train; name fewer")
    if any("lora_A" in name for name, _ in model.named_parameters()):
        raise ConfigError(
            "a LoRA adapter is attached, which has frozen all weights but its own; choose what"
            " trains by the adapter's targets, or remove the adapter first"
        )
    for name, parameter in model.named_parameters():
        frozen = part_of(name) in parts
        parameter.requires_grad_(not frozen)
        if frozen:
            parameter.grad = None  # else the optimizer would apply it once more
    check_frozen(model, parts)
    return trainable_report(model)


def check_frozen(model: Florence2Model, parts: Collection[str]) -> None:
    """Refuse if a part that is said to be frozen would change when the others train.

    Call it before the first step, after all that touches parameters was done.

    Raises:
        ConfigError: says which part would still train, and why.
    """
    for part in PARTS:
        if part not in parts:
            continue
        if reason := next(_reasons(model, part), None):
            raise ConfigError(f"part {part!r} is to be frozen, but {reason}")


def trainable_report(model: Florence2Model) -> TrainableReport:
    """Count what trains now; an adapter counts in the parts that its linears are in."""
    parameters = dict.fromkeys((*PARTS, "total"), 0)
    trainable = dict(parameters)
    for name, parameter in model.named_parameters():
        for part in (part_of(name), "total"):
            parameters[part] += parameter.numel()
            trainable[part] += parameter.numel() * parameter.requires_grad
    return TrainableReport(parameters, trainable)


def part_of(name: str) -> str:
    """The part that a parameter or module belongs to, by its name in the model.

    An output head of its own is the decoder's.
    """
    first = name.partition(".")[0]
    return {"shared": "embedding", "lm_head": "text_decoder"}.get(first, first)


def _check_known(part: str) -> None:
    if part not in PARTS:
        hint = did_you_mean(part, PARTS)
        raise ConfigError(
            f"part {part!r} of the model is unknown{hint}; choose from {', '.join(PARTS)}"
        )


def _reasons(model: Florence2Model, part: str) -> Iterator[str]:
    """Why a part would still change, each with what to do."""
    mine = {name: p for name, p in model.named_parameters() if part_of(name) == part}
    if training := [name for name, parameter in mine.items() if parameter.requires_grad]:
        yield (
            f"{len(training):,} of its {len(mine):,} parameters require gradients"
            f" ({first_few(training)}); call freeze() after the code that changed them"
        )
    if waiting := [name for name, parameter in mine.items() if parameter.grad is not None]:
        yield (
            f"{len(waiting):,} of its parameters hold a gradient ({first_few(waiting)}) that the"
            " next optimizer step would apply; set it to None"
        )
    # Also under second names, which `named_parameters` leaves out unless asked.
    named = model.named_parameters(remove_duplicate=False)
    training_at = {p.data_ptr(): name for name, p in named if p.requires_grad}
    for name, parameter in mine.items():
        if parameter.data_ptr() and (other := training_at.get(parameter.data_ptr())):
            yield (
                f"{name!r} shares its memory with {other!r}, which trains; freeze that too, or"
                " give it a copy"
            )
    if part in _PARTS_WITH_WORDS and model.shared.weight.requires_grad:
        yield (
            "the word embedding would train, which is one matrix for the input of both text parts"
            " and, tied, the output layer of the decoder; freeze 'embedding' too"
        )
