"""Token ids: the published ones, those of the pinned transformers, and the laws of any size."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from florence2.errors import ConfigError, WeightsError
from florence2.processing.tokenizer import FLORENCE_TOKENS, MIN_TRAINED_VOCAB_SIZE, Tokenizer

OFFICIAL = Path(__file__).parent / "published"

TEXTS = [f"the car number {n} is near the café, said 文字" for n in range(50)]
BPE_SIZE = 290

# Any text, and texts that mix words, spaces and token names: the seams are where readers differ.
PIECES = ["car", " door", "  ", " ", "\n", "é", "文", "😀", "it's", "12", "<loc_0>", "<loc_999>"]
PIECES += ["<loc_1000>", "<sep>", "<poly>", "</poly>", "<and>", "<s>", "</s>", "<", ">", "a<b"]
mixed_text = st.lists(st.sampled_from(PIECES), max_size=12).map("".join)
any_text = st.text(max_size=40) | mixed_text


@pytest.fixture(scope="module")
def small() -> Tokenizer:
    return Tokenizer.train(TEXTS, vocab_size=BPE_SIZE)


@pytest.fixture(scope="module")
def official() -> Tokenizer:
    return Tokenizer.load(OFFICIAL)


@pytest.fixture(scope="module")
def bart_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in the published layout: BPE and `<mask>` alone, no Florence tokens."""
    folder = tmp_path_factory.mktemp("bart")
    Tokenizer.train(TEXTS, vocab_size=BPE_SIZE).save(folder / "tokenizer.json")
    data = json.loads((folder / "tokenizer.json").read_text())
    data["added_tokens"] = [
        token for token in data["added_tokens"] if token["content"] not in FLORENCE_TOKENS
    ]
    (folder / "tokenizer.json").write_text(json.dumps(data))
    return folder


def rewrite(folder: Path, target: Path, **changes: Any) -> Path:
    """Copy a tokenizer.json with some of its top-level entries replaced."""
    data = json.loads((folder / "tokenizer.json").read_text())
    path = target / "tokenizer.json"
    path.write_text(json.dumps(data | changes))
    return path


def added(token: str, token_id: int) -> dict[str, Any]:
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return {"id": token_id, "content": token, "special": True, **flags}


# The laws of any vocabulary.


def test_the_florence_tokens_are_the_1024_of_the_trained_vocabulary() -> None:
    assert len(FLORENCE_TOKENS) == len(set(FLORENCE_TOKENS)) == 1024
    assert FLORENCE_TOKENS[4] == "<loc_0>"
    assert FLORENCE_TOKENS[1003] == "<loc_999>"
    # Misspelt in the published vocabulary, and therefore here.
    assert FLORENCE_TOKENS[-7:-5] == ("<region_to_desciption>", "</region_to_desciption>")


def test_an_empty_text_is_the_two_marks(small: Tokenizer) -> None:
    assert small.encode("") == [small.bos_id, small.eos_id]
    assert small.decode([]) == ""


def test_a_trained_vocabulary_is_laid_out_as_barts(small: Tokenizer) -> None:
    assert (small.bos_id, small.pad_id, small.eos_id, small.unk_id) == (0, 1, 2, 3)
    assert small.decode([small.loc_begin - 5]) == "<mask>"
    assert small.decode([small.loc_begin - 4]) == "<od>"
    assert small.vocab_size == small.loc_begin - 4 + 1024
    assert small.loc_begin - 4 == BPE_SIZE


def test_names_and_ids_agree(small: Tokenizer) -> None:
    ids = [small.loc_begin, small.loc_begin + 999, small.sep_id, small.poly_start_id]
    ids += [small.poly_end_id, small.and_id]
    text = "<loc_0><loc_999><sep><poly></poly><and>"
    assert small.encode(text)[1:-1] == ids
    assert small.decode(ids) == text


def test_training_twice_gives_the_same_vocabulary(small: Tokenizer) -> None:
    again = Tokenizer.train(reversed(TEXTS), vocab_size=BPE_SIZE)
    assert all(again.encode(text) == small.encode(text) for text in TEXTS)


def test_the_smallest_vocabulary_has_every_byte() -> None:
    tokenizer = Tokenizer.train([], MIN_TRAINED_VOCAB_SIZE)
    assert tokenizer.vocab_size == MIN_TRAINED_VOCAB_SIZE + 1024
    assert tokenizer.decode(tokenizer.encode("文字 ok")) == "<s>文字 ok</s>"


def test_too_small_a_vocabulary_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"260 is too small .* 261 or more"):
        Tokenizer.train(TEXTS, vocab_size=260)


@given(any_text)
def test_text_survives_the_round_trip(small: Tokenizer, text: str) -> None:
    assert small.decode(small.encode(text)) == f"<s>{text}</s>"


@given(st.lists(st.integers(-(2**70), 2**70) | st.integers(0, 1400), max_size=20))
def test_decode_never_fails(small: Tokenizer, token_ids: list[int]) -> None:
    known = [token_id for token_id in token_ids if 0 <= token_id < small.vocab_size]
    assert small.decode(token_ids) == small.decode(known)


def test_spaces_are_not_cleaned_up(small: Tokenizer) -> None:
    text = " a , b .  it 's  "
    assert small.decode(small.encode(text)) == f"<s>{text}</s>"


def test_a_cut_character_is_marked(small: Tokenizer) -> None:
    assert small.decode(small.encode("文")[1:-2]) == "\ufffd"


def test_half_a_character_is_replaced(small: Tokenizer) -> None:
    assert small.encode("a\ud800b") == small.encode("a\ufffdb")


def test_location_tokens_beyond_999_are_plain_text(small: Tokenizer) -> None:
    assert all(token_id < small.loc_begin for token_id in small.encode("<loc_1000>"))


def test_a_space_before_a_location_token_stays(small: Tokenizer) -> None:
    space = small.encode(" ")[1]
    assert small.encode("car <loc_7>")[-3:] == [space, small.loc_begin + 7, small.eos_id]


# Files.


def test_a_saved_tokenizer_reads_back(small: Tokenizer, tmp_path: Path) -> None:
    small.save(tmp_path / "tokenizer.json")
    back = Tokenizer.load(tmp_path)
    text = "the café <loc_7><sep> 文"
    assert back.encode(text) == small.encode(text)
    assert (back.vocab_size, back.loc_begin) == (small.vocab_size, small.loc_begin)


def test_missing_florence_tokens_are_created_at_load(bart_files: Path, small: Tokenizer) -> None:
    tokenizer = Tokenizer.load(bart_files)
    assert (tokenizer.loc_begin, tokenizer.image_id) == (BPE_SIZE + 4, None)
    assert tokenizer.encode("the car<loc_7><and>") == small.encode("the car<loc_7><and>")


def test_the_image_token_of_later_ports_is_kept(bart_files: Path, tmp_path: Path) -> None:
    base = json.loads((bart_files / "tokenizer.json").read_text())["added_tokens"]
    names = [*FLORENCE_TOKENS, "<image>"]
    more = [added(name, BPE_SIZE + place) for place, name in enumerate(names)]
    tokenizer = Tokenizer.from_file(rewrite(bart_files, tmp_path, added_tokens=base + more))
    assert tokenizer.image_id == BPE_SIZE + 1024
    assert tokenizer.vocab_size == BPE_SIZE + 1025


def test_padding_and_truncation_left_in_a_file_are_switched_off(
    bart_files: Path, tmp_path: Path, small: Tokenizer
) -> None:
    cut = {"direction": "Right", "max_length": 3, "strategy": "LongestFirst", "stride": 0}
    pad = {"strategy": {"Fixed": 64}, "direction": "Right", "pad_to_multiple_of": None}
    pad |= {"pad_id": 1, "pad_type_id": 0, "pad_token": "<pad>"}
    path = rewrite(bart_files, tmp_path, truncation=cut, padding=pad)
    text = "the car is near the door"
    assert Tokenizer.from_file(path).encode(text) == small.encode(text)


def write_vocab_and_merges(bart_files: Path, folder: Path, florence: bool) -> None:
    data = json.loads((bart_files / "tokenizer.json").read_text())
    vocabulary = data["model"]["vocab"] | {"<mask>": BPE_SIZE - 1}
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    merges = [
        merge if isinstance(merge, str) else " ".join(merge) for merge in data["model"]["merges"]
    ]
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges, ""]))
    if florence:
        names = [*FLORENCE_TOKENS, "<image>"]
        listed = {name: BPE_SIZE + place for place, name in enumerate(names)}
        (folder / "added_tokens.json").write_text(json.dumps(listed))


@pytest.mark.parametrize("florence", [False, True], ids=["bare", "with added_tokens.json"])
def test_vocab_and_merges_give_the_same_ids(
    bart_files: Path, tmp_path: Path, small: Tokenizer, florence: bool
) -> None:
    write_vocab_and_merges(bart_files, tmp_path, florence)
    tokenizer = Tokenizer.load(tmp_path)
    for text in [*TEXTS[:3], "a <loc_3><sep>", "x <mask> y", "<s></s><pad><unk>"]:
        assert tokenizer.encode(text) == small.encode(text)
    assert tokenizer.image_id == (BPE_SIZE + 1024 if florence else None)


# Damaged and foreign files: one clear sentence.


def test_a_folder_without_a_tokenizer(tmp_path: Path) -> None:
    with pytest.raises(
        WeightsError, match=r"lacks vocab\.json and merges\.txt; give a folder with"
    ):
        Tokenizer.load(tmp_path)


def test_a_folder_with_half_of_the_pair(tmp_path: Path) -> None:
    (tmp_path / "vocab.json").write_text("{}")
    with pytest.raises(WeightsError, match=r"lacks merges\.txt;"):
        Tokenizer.load(tmp_path)


def test_a_path_that_is_not_a_folder(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="is not a folder"):
        Tokenizer.load(tmp_path / "absent")


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="cannot be read"):
        Tokenizer.from_file(tmp_path / "tokenizer.json")


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"{}", id="empty object"),
        pytest.param(b'{"model_type": "florence2"}', id="config"),
        pytest.param(b"version https://git-lfs.github.com/spec/v1\n", id="large-file pointer"),
        pytest.param(b"\xff\xfe\x00\x01", id="bytes"),
    ],
)
def test_a_damaged_tokenizer_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"tokenizer file .* (is damaged|cannot be read)"):
        Tokenizer.from_file(path)


def test_a_truncated_tokenizer_file(bart_files: Path, tmp_path: Path) -> None:
    whole = (bart_files / "tokenizer.json").read_text()
    (tmp_path / "tokenizer.json").write_text(whole[: len(whole) // 2])
    with pytest.raises(WeightsError, match="is damaged"):
        Tokenizer.load(tmp_path)


def test_a_tokenizer_of_another_kind(bart_files: Path, tmp_path: Path) -> None:
    path = rewrite(bart_files, tmp_path, pre_tokenizer={"type": "Whitespace"})
    with pytest.raises(WeightsError, match="not a byte-level BPE"):
        Tokenizer.from_file(path)


def test_a_vocabulary_with_some_of_the_florence_tokens(bart_files: Path, tmp_path: Path) -> None:
    base = json.loads((bart_files / "tokenizer.json").read_text())["added_tokens"]
    more = [added(name, BPE_SIZE + place) for place, name in enumerate(FLORENCE_TOKENS[:-2])]
    path = rewrite(bart_files, tmp_path, added_tokens=base + more)
    with pytest.raises(WeightsError, match=r"lacks 2 of the 1,024 .* \(</poly>, <and>\)"):
        Tokenizer.from_file(path)


def test_location_tokens_out_of_order(bart_files: Path, tmp_path: Path) -> None:
    base = json.loads((bart_files / "tokenizer.json").read_text())["added_tokens"]
    names = list(FLORENCE_TOKENS)
    names[14], names[15] = names[15], names[14]
    more = [added(name, BPE_SIZE + place) for place, name in enumerate(names)]
    path = rewrite(bart_files, tmp_path, added_tokens=base + more)
    with pytest.raises(WeightsError, match="out of order"):
        Tokenizer.from_file(path)


def test_a_vocabulary_without_the_marks(bart_files: Path, tmp_path: Path) -> None:
    data = json.loads((bart_files / "tokenizer.json").read_text())
    del data["model"]["vocab"]["<pad>"]
    kept = [token for token in data["added_tokens"] if token["content"] != "<pad>"]
    path = rewrite(bart_files, tmp_path, model=data["model"], added_tokens=kept)
    with pytest.raises(WeightsError, match="has no <pad>"):
        Tokenizer.from_file(path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        pytest.param("vocab.json", "{", "is not JSON", id="vocab cut"),
        pytest.param("vocab.json", '["a"]', "is not a JSON object", id="vocab list"),
        pytest.param("vocab.json", '{"a": "b"}', "is not a JSON object", id="vocab of strings"),
        pytest.param("merges.txt", "t h e\n", "not two pieces", id="merge of three"),
        pytest.param("merges.txt", "nothing here\n", "do not fit together", id="unknown merge"),
        pytest.param("added_tokens.json", '{"<x>": 7}', "its place is 290", id="added elsewhere"),
    ],
)
def test_a_damaged_pair(
    bart_files: Path, tmp_path: Path, name: str, content: str, message: str
) -> None:
    write_vocab_and_merges(bart_files, tmp_path, florence=False)
    (tmp_path / name).write_text(content)
    with pytest.raises(WeightsError, match=message):
        Tokenizer.load(tmp_path)


# The published vocabulary.

LOCATIONS = "<loc_1><loc_2><loc_3><loc_4>"
PUBLISHED_IDS = {
    "What is the text in the image?": "0 2264 16 5 2788 11 5 2274 116 2",
    "What is the text in the image, with regions?": "0 2264 16 5 2788 11 5 2274 6 19 3806 116 2",
    "What does the image describe?": "0 2264 473 5 2274 6190 116 2",
    "Describe in detail what is shown in the image.": (
        "0 47066 21700 11 4617 99 16 2343 11 5 2274 4 2"
    ),
    "Describe with a paragraph what is shown in the image.": (
        "0 47066 21700 19 10 17818 99 16 2343 11 5 2274 4 2"
    ),
    "Locate the objects with category name in the image.": (
        "0 574 22486 5 8720 19 4120 766 11 5 2274 4 2"
    ),
    "Locate the objects in the image, with their descriptions.": (
        "0 574 22486 5 8720 11 5 2274 6 19 49 24173 4 2"
    ),
    "Locate the region proposals in the image.": "0 574 22486 5 976 5327 11 5 2274 4 2",
    "Locate the phrases in the caption: A green car": (
        "0 574 22486 5 22810 11 5 3747 35 83 2272 512 2"
    ),
    "Locate a car in the image with mask": "0 574 22486 10 512 11 5 2274 19 11445 2",
    f"What is the polygon mask of region {LOCATIONS}": (
        "0 2264 16 5 11424 14601 11445 9 976 1437 50270 50271 50272 50273 2"
    ),
    "Locate wheels in the image.": "0 574 22486 10562 11 5 2274 4 2",
    f"What is the region {LOCATIONS}?": "0 2264 16 5 976 1437 50270 50271 50272 50273 116 2",
    f"What does the region {LOCATIONS} describe?": (
        "0 2264 473 5 976 1437 50270 50271 50272 50273 6190 116 2"
    ),
    f"What text is in the region {LOCATIONS}?": (
        "0 2264 2788 16 11 5 976 1437 50270 50271 50272 50273 116 2"
    ),
    f"car{LOCATIONS}door handle": "0 5901 50270 50271 50272 50273 11219 3679 2",
}


@pytest.mark.parametrize(("text", "ids"), PUBLISHED_IDS.items())
def test_published_prompt_ids(official: Tokenizer, text: str, ids: str) -> None:
    assert official.encode(text) == [int(token_id) for token_id in ids.split()]


def test_published_ids_of_the_florence_tokens(official: Tokenizer) -> None:
    assert official.encode("".join(FLORENCE_TOKENS))[1:-1] == list(range(50265, 51289))
    assert (official.loc_begin, official.and_id, official.vocab_size) == (50269, 51288, 51289)
    assert (official.bos_id, official.pad_id, official.eos_id, official.unk_id) == (0, 1, 2, 3)
    assert official.image_id is None


@given(any_text)
def test_the_published_vocabulary_survives_the_round_trip(official: Tokenizer, text: str) -> None:
    assert official.decode(official.encode(text)) == f"<s>{text}</s>"


@pytest.fixture(scope="module")
def transformers_tokenizer() -> Any:
    transformers = pytest.importorskip("transformers")
    tokenizer = transformers.BartTokenizerFast.from_pretrained(str(OFFICIAL))
    tokenizer.add_tokens(list(FLORENCE_TOKENS), special_tokens=True)
    return tokenizer


@settings(max_examples=300)
@given(any_text)
def test_ids_equal_those_of_transformers(
    official: Tokenizer, transformers_tokenizer: Any, text: str
) -> None:
    ids = transformers_tokenizer(text)["input_ids"]
    assert official.encode(text) == ids
    theirs = transformers_tokenizer.decode(
        ids, skip_special_tokens=False, clean_up_tokenization_spaces=False
    )
    assert official.decode(ids) == theirs


def test_transformers_reads_what_we_save(small: Tokenizer, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    small.save(tmp_path / "tokenizer.json")
    theirs = transformers.PreTrainedTokenizerFast(tokenizer_file=str(tmp_path / "tokenizer.json"))
    for text in [*TEXTS[:3], "a <loc_3><sep>", "x <mask> y", "<s></s> 文"]:
        assert theirs(text)["input_ids"] == small.encode(text)
