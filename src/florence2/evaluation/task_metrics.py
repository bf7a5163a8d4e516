"""The measure of each task: answers against truth, as numbers with intervals.

Every measure also gives each answer a quality in [0, 1], by which a sheet of good and bad
answers is chosen. What breaks the grammar of a task counts as far as it can be understood.
"""

from collections.abc import Mapping

from florence2.evaluation.box_metrics import (
    measure_dense_captions,
    measure_detection,
    measure_grounding,
    measure_masks,
    measure_open_detection,
    measure_proposals,
    measure_words,
)
from florence2.evaluation.measured import Measure
from florence2.evaluation.text_metrics import (
    measure_names,
    measure_reading,
    measure_sentences,
    measure_written,
)
from florence2.tasks import Task

MEASURES: Mapping[Task | None, Measure] = {
    None: measure_written,
    Task.CAPTION: measure_sentences,
    Task.DETAILED_CAPTION: measure_sentences,
    Task.MORE_DETAILED_CAPTION: measure_sentences,
    Task.OD: measure_detection,
    Task.DENSE_REGION_CAPTION: measure_dense_captions,
    Task.REGION_PROPOSAL: measure_proposals,
    Task.OCR: measure_reading,
    Task.OCR_WITH_REGION: measure_words,
    Task.CAPTION_TO_PHRASE_GROUNDING: measure_grounding,
    Task.OPEN_VOCABULARY_DETECTION: measure_open_detection,
    Task.REFERRING_EXPRESSION_SEGMENTATION: measure_masks,
    Task.REGION_TO_SEGMENTATION: measure_masks,
    Task.REGION_TO_CATEGORY: measure_names,
    Task.REGION_TO_DESCRIPTION: measure_sentences,
    Task.REGION_TO_OCR: measure_reading,
}
