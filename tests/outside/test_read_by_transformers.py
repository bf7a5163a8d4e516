"""What is saved is read by transformers: its documented snippet, for all 15 tasks, word for word.

    model = Florence2ForConditionalGeneration.from_pretrained(folder)
    processor = AutoProcessor.from_pretrained(folder)
    inputs = processor(text=task, images=image, return_tensors="pt")
    generated_ids = model.generate(**inputs)
    text = processor.batch_decode(generated_ids, skip_special_tokens=False)[0]
    processor.post_process_generation(text, task=task, image_size=image.size)

The original layout is that of the code published with the weights; transformers' own class reads
its files only where it is handed the parts, which is done here.
"""

from pathlib import Path

import pytest
import torch
from PIL import Image
from transformers import (
    AutoProcessor,
    AutoTokenizer,
    CLIPImageProcessorPil,
    Florence2ForConditionalGeneration,
    Florence2Processor,
)

from florence2 import Florence2, GenerationOptions, Task
from florence2.answers.compat import to_transformers_dict
from florence2.checkpoints import load_checkpoint, save_checkpoint
from florence2.checkpoints.config_files import processor_config
from tiny_checkpoints import original_state

SCENE = Path(__file__).parents[2] / "examples" / "scene-1.png"
# Grammars are our own; the search is the published one.
OPTIONS = GenerationOptions(max_new_tokens=40, grammar=False)
INPUTS = {
    Task.CAPTION_TO_PHRASE_GROUNDING: "a red car and the image",
    Task.REFERRING_EXPRESSION_SEGMENTATION: "the car",
    Task.OPEN_VOCABULARY_DETECTION: "a car",
}
REGION = "<loc_52><loc_332><loc_932><loc_774>"


def text_of(task: Task) -> str:
    return INPUTS.get(task, REGION if task.token.startswith("<REGION_TO") else "")


@pytest.fixture(scope="module")
def native(tmp_path_factory):
    nano = load_checkpoint("nano", dtype=torch.float32)
    folder = tmp_path_factory.mktemp("native")
    return save_checkpoint(nano.model, folder, tokenizer=nano.tokenizer, generation=OPTIONS)


@pytest.fixture(scope="module")
def original(tmp_path_factory, native):
    loaded = load_checkpoint(native)
    folder = tmp_path_factory.mktemp("original")
    return save_checkpoint(
        loaded.model, folder, tokenizer=loaded.tokenizer, layout="original", generation=OPTIONS
    )


@pytest.fixture(scope="module")
def oracle(native):
    return Florence2ForConditionalGeneration.from_pretrained(native).eval()


def assert_same_answers(ours, oracle, processor, task):
    image = Image.open(SCENE).convert("RGB")
    inputs = processor(text=task.token + text_of(task), images=image, return_tensors="pt")
    generated_ids = oracle.generate(**inputs)
    text = processor.batch_decode(generated_ids, skip_special_tokens=False)[0]
    parsed = processor.post_process_generation(text, task=task.token, image_size=image.size)
    result = ours.run(image, task, text_of(task), generation=OPTIONS)
    assert generated_ids[0].tolist()[1:] == list(result.token_ids)
    assert parsed == to_transformers_dict(result, task)


@pytest.mark.parametrize("task", list(Task), ids=lambda task: task.name)
def test_the_documented_snippet_runs_on_the_native_layout(native, oracle, ours, processor, task):
    assert_same_answers(ours, oracle, processor, task)


@pytest.fixture(scope="module")
def ours(native):
    with Florence2.load(str(native), device="cpu") as model:
        yield model


@pytest.fixture(scope="module")
def processor(native):
    return AutoProcessor.from_pretrained(native)


@pytest.fixture(scope="module")
def of_the_original(original):
    """Model and processor of the original layout, and the same processor in transformers."""
    tokenizer = AutoTokenizer.from_pretrained(
        original, extra_special_tokens={"image_token": "<image>"}
    )
    processor = Florence2Processor(
        CLIPImageProcessorPil.from_pretrained(original),
        tokenizer,
        post_processor_config=processor_config()["post_processor_config"],
    )
    with Florence2.load(str(original), device="cpu") as model:
        yield model, processor


def test_the_original_layout_has_the_published_names(original, oracle):
    """Written out from the published conversion, with the same values, bit for bit."""
    state = torch.load(original / "pytorch_model.bin")
    expected = original_state(oracle.state_dict())
    rows = len(state["language_model.model.shared.weight"])
    assert state.keys() == expected.keys()
    for name, tensor in state.items():
        whole = expected[name]
        assert torch.equal(tensor, whole[:, :rows] if "bias" in name[-12:] and len(whole) == 1
                           else whole[: len(tensor)]), name  # fmt: skip


@pytest.mark.parametrize("task", list(Task), ids=lambda task: task.name)
def test_the_documented_snippet_runs_on_the_original_layout(of_the_original, oracle, task):
    ours, processor = of_the_original
    assert_same_answers(ours, oracle, processor, task)
