"""A few numbers to watch while training, on pictures of the worlds that no training has drawn.

Nothing is needed beyond what training itself needs.
"""

from collections.abc import Sequence

from florence2.evaluation.predict import Predictor
from florence2.evaluation.suites import Suite
from florence2_lab.suites.worlds_suites import Materials, build_suites
from florence2_lab.worlds.kit import Kit

WATCHED = ("reading", "pages", "detection", "segmentation", "grounding")


def evaluate_worlds(
    predictor: Predictor, kit: Kit, count: int, groups: Sequence[str] = WATCHED
) -> dict[str, float]:
    """Return numbers by name, "reading/unseen fonts/cer" for one, from `count` pictures a suite."""
    numbers: dict[str, float] = {}
    for suite in build_suites(Materials(kit), groups):
        if isinstance(suite, Suite):
            records = suite.records(count)
            answers = predictor.predict(records)
            measured = suite.measure(
                [(answer.result, record) for answer, record in zip(answers, records, strict=True)]
            )
            prefix = f"{suite.group}/{suite.material}".replace(" ", "_")
            numbers |= {
                f"{prefix}/{name}": each.value
                for name, each in measured.numbers.items()
                if each.value is not None
            }
            broken = sum(each.is_repaired or each.result.malformed > 0 for each in answers)
            numbers[f"{prefix}/malformed"] = broken / len(answers)
    return numbers
