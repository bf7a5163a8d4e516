"""Whether phrases are in a picture at all."""

from collections.abc import Sequence
from typing import Any

from florence2.engine import EncodedImage, Engine, ImageRequest
from florence2.engine.presence import PhraseQuery, PresenceEvidence, evidence_rounds
from florence2.processing.images import ImageSource
from florence2.tasks import Task, checked_names


def presence(
    engine: Engine,
    image: ImageSource | EncodedImage,
    phrases: str | Sequence[str],
    task: Task | str = Task.OPEN_VOCABULARY_DETECTION,
) -> tuple[float, ...]:
    """Score whether phrases are in a picture: in [0, 1] for each, 0.5 if in doubt.

    Args:
        phrases: one phrase, or several.
        task: how the phrases are asked for: open-vocabulary detection or phrase grounding.
    """
    task, encoded = Task.parse(task), engine.submit(ImageRequest(image)).result()
    names = [phrases] if isinstance(phrases, str) else checked_names(phrases, "phrases")
    queries = [PhraseQuery(encoded, task, name.strip()) for name in names]
    return tuple(each.score for each in collect_evidence(engine, queries))


def collect_evidence(engine: Engine, queries: Sequence[PhraseQuery]) -> list[PresenceEvidence]:
    """Ask an engine round by round, and wait for its answers."""
    rounds = evidence_rounds(queries, engine.processor)
    replies: Any = None
    while True:
        try:
            requests = rounds.send(replies)
        except StopIteration as end:
            evidence: list[PresenceEvidence] = end.value
            return evidence
        futures = [engine.submit(request) for request in requests]
        replies = [future.result() for future in futures]
