"""Text to token ids and back: BART's byte-level BPE plus the 1,024 tokens of Florence-2.

The vocabulary is a byte-level BPE (50,265 entries in the published checkpoints), then the
Florence tokens in a fixed order, then whatever later ports added (`<image>`). The published
tokenizer files hold only the BPE part, so the Florence tokens are created when such a file is
read. Ids are looked up by name: everything here works the same for a smaller vocabulary.
"""

from collections.abc import Iterable, Mapping, Sequence
from json import loads
from pathlib import Path

import tokenizers
from tokenizers import decoders, models, pre_tokenizers, processors, trainers

from florence2.answers.tokens import BOS, EOS, PAD, POLY_END, POLY_START, SEP
from florence2.errors import ConfigError, WeightsError, first_few
from florence2.locations import NUM_BINS
from florence2.tasks import AND

UNK, MASK, IMAGE = "<unk>", "<mask>", "<image>"

# The order is the order of the ids, and <region_to_desciption> is spelled this way in the trained
# vocabulary: neither may be corrected.
FLORENCE_TOKENS: tuple[str, ...] = (
    *("<od>", "</od>", "<ocr>", "</ocr>"),
    *(f"<loc_{bin_}>" for bin_ in range(NUM_BINS)),
    *("<cap>", "</cap>", "<ncap>", "</ncap>", "<dcap>", "</dcap>"),
    *("<grounding>", "</grounding>", "<seg>", "</seg>"),
    SEP,
    *("<region_cap>", "</region_cap>", "<region_to_desciption>", "</region_to_desciption>"),
    *("<proposal>", "</proposal>", POLY_START, POLY_END, AND),
)

# The first four ids, one id for each byte, and <mask>.
MIN_TRAINED_VOCAB_SIZE = 4 + 256 + 1

# One character for each length of UTF-8, a line break and a double space.
_ROUND_TRIP_PROBE = "A b  c\né文😀"

# The byte that each letter of a byte-level piece stands for: printable bytes are themselves, the
# others follow from U+0100 on.
_PRINTABLE = (*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100))
_BYTE_OF = {chr(byte): byte for byte in _PRINTABLE} | {
    chr(0x100 + place): byte for place, byte in enumerate(sorted({*range(256)} - {*_PRINTABLE}))
}


class Tokenizer:
    """A byte-level BPE with the tokens of Florence-2; text survives the round trip exactly.

    Attributes:
        bos_id, pad_id, eos_id, unk_id: ids of `<s>`, `<pad>`, `</s>`, `<unk>`.
        loc_begin: id of `<loc_0>`; the id of bin `b` is `loc_begin + b`.
        sep_id, poly_start_id, poly_end_id, and_id: ids of `<sep>`, `<poly>`, `</poly>`, `<and>`.
        image_id: id of the `<image>` placeholder of later ports, `None` where there is none.
        vocab_size: one more than the largest id, hence the rows that a word embedding needs.
    """

    def __init__(self, backend: tokenizers.Tokenizer, source: str = "this tokenizer") -> None:
        """Take over a backend, adding the Florence tokens if it has none of them.

        `source` names the file or folder in error messages.
        """
        # Files saved after training with padded batches keep these settings, which would
        # lengthen or cut every prompt.
        backend.no_padding()
        backend.no_truncation()
        _check_round_trip(backend, source)
        _add_florence_tokens(backend, source)
        self._backend = backend
        vocabulary = backend.get_vocab(with_added_tokens=True)
        _check_locations(vocabulary, source)
        if missing := [token for token in (BOS, PAD, EOS, UNK) if token not in vocabulary]:
            raise WeightsError(
                f"{source} has no {', '.join(missing)}; use the tokenizer files saved with the "
                "checkpoint"
            )
        self.bos_id = vocabulary[BOS]
        self.pad_id = vocabulary[PAD]
        self.eos_id = vocabulary[EOS]
        self.unk_id = vocabulary[UNK]
        self.loc_begin = vocabulary["<loc_0>"]
        self.sep_id = vocabulary[SEP]
        self.poly_start_id = vocabulary[POLY_START]
        self.poly_end_id = vocabulary[POLY_END]
        self.and_id = vocabulary[AND]
        self.image_id = vocabulary.get(IMAGE)
        self.vocab_size = max(vocabulary.values()) + 1
        # Other readers of a saved file then wrap texts as `encode` does.
        marks = (EOS, self.eos_id), (BOS, self.bos_id)
        backend.post_processor = processors.RobertaProcessing(*marks)

    @classmethod
    def from_file(cls, path: str | Path) -> "Tokenizer":
        """Read one `tokenizer.json`."""
        path = Path(path)
        text = _read(path)
        try:
            backend = tokenizers.Tokenizer.from_str(text)
        except Exception as error:  # the library raises the bare base class
            raise WeightsError(
                f"tokenizer file {str(path)!r} is damaged or not a tokenizer.json ({error}); "
                "fetch it again"
            ) from error
        return cls(backend, f"tokenizer file {str(path)!r}")

    @classmethod
    def load(cls, folder: str | Path) -> "Tokenizer":
        """Read the tokenizer of a checkpoint folder.

        Takes `tokenizer.json` if there is one, else `vocab.json` with `merges.txt` (and
        `added_tokens.json`, where older tools wrote the Florence tokens).
        """
        folder = Path(folder)
        if (folder / "tokenizer.json").is_file():
            return cls.from_file(folder / "tokenizer.json")
        pair = ("vocab.json", "merges.txt")
        if absent := [name for name in pair if not (folder / name).is_file()]:
            what = f"lacks {' and '.join(absent)}" if folder.is_dir() else "is not a folder"
            raise WeightsError(
                f"tokenizer folder {str(folder)!r} {what}; give a folder with tokenizer.json, or "
                "with both vocab.json and merges.txt"
            )
        return cls(_from_vocab_and_merges(folder), f"the tokenizer in {str(folder)!r}")

    @classmethod
    def train(cls, texts: Iterable[str], vocab_size: int) -> "Tokenizer":
        """Learn a vocabulary from texts, laid out as BART's: `<s> <pad> </s> <unk>` first.

        Args:
            texts: any number of texts; the order does not matter.
            vocab_size: ids of the BPE part, from `<s>` to `<mask>`, which comes last. The
                1,024 Florence tokens follow it. Fewer are made when the texts are too few.
        """
        if vocab_size < MIN_TRAINED_VOCAB_SIZE:
            raise ConfigError(
                f"vocab_size {vocab_size!r} is too small for a byte-level vocabulary; give "
                f"{MIN_TRAINED_VOCAB_SIZE} or more"
            )
        backend = _byte_level(models.BPE())
        trainer = trainers.BpeTrainer(
            vocab_size=vocab_size - 1,  # <mask> is added last, as in BART
            min_frequency=2,
            special_tokens=[BOS, PAD, EOS, UNK],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        backend.train_from_iterator(texts, trainer)
        backend.add_special_tokens([_mask_token()])
        return cls(backend)

    def encode(self, text: str) -> list[int]:
        """Token ids of a text between `<s>` and `</s>`; token names in the text become tokens."""
        encoding = self._backend.encode(without_lone_surrogates(text), add_special_tokens=False)
        return [self.bos_id, *encoding.ids, self.eos_id]

    def decode(self, token_ids: Sequence[int]) -> str:
        """Text of token ids, special tokens included, spaces untouched.

        Ids outside the vocabulary stand for no text and are passed over (the output layer of
        some checkpoints has more rows than the vocabulary); bytes that end in the middle of a
        character become U+FFFD.
        """
        known = [int(token_id) for token_id in token_ids if 0 <= token_id < self.vocab_size]
        return self._backend.decode(known, skip_special_tokens=False)

    def token_bytes(self) -> tuple[bytes, ...]:
        """The bytes that each id stands for, empty for ids that stand for none.

        Decoding is to join the bytes and read them as UTF-8.
        """
        special = {*self._backend.get_added_tokens_decoder()}
        texts = map(self._backend.id_to_token, range(self.vocab_size))
        return tuple(
            (text or "").encode()
            if token_id in special or not {*(text or "")} <= _BYTE_OF.keys()
            else bytes(_BYTE_OF[letter] for letter in text or "")
            for token_id, text in enumerate(texts)
        )

    def save(self, path: str | Path) -> None:
        """Write one `tokenizer.json`, with the Florence tokens in it."""
        Path(path).write_text(self._backend.to_str(), encoding="utf-8")


def _byte_level(model: models.BPE) -> tokenizers.Tokenizer:
    backend = tokenizers.Tokenizer(model)
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    return backend


def _mask_token() -> tokenizers.AddedToken:
    """`<mask>` takes the space before it, as in BART."""
    return tokenizers.AddedToken(MASK, lstrip=True, normalized=False)


def _from_vocab_and_merges(folder: Path) -> tokenizers.Tokenizer:
    vocab_path, merges_path = folder / "vocab.json", folder / "merges.txt"
    vocabulary = _read_ids(vocab_path)
    lines = _read(merges_path).split("\n")
    merges = [line.split(" ") for line in lines if line and not line.startswith("#version")]
    if bad := next((pair for pair in merges if len(pair) != 2), None):
        raise WeightsError(
            f"merges file {str(merges_path)!r} has a line that is not two pieces and a space: "
            f"{' '.join(bad)!r}; fetch it again"
        )
    try:
        model = models.BPE(vocab=vocabulary, merges=[(left, right) for left, right in merges])
    except Exception as error:  # the library raises the bare base class
        raise WeightsError(
            f"{str(vocab_path)!r} and {str(merges_path)!r} do not fit together ({error}); "
            "fetch both again from one checkpoint"
        ) from error
    backend = _byte_level(model)
    special = [token for token in (BOS, PAD, EOS, UNK) if token in vocabulary]
    backend.add_special_tokens([*special, _mask_token()])
    _add_listed_tokens(backend, folder / "added_tokens.json")
    return backend


def _add_listed_tokens(backend: tokenizers.Tokenizer, path: Path) -> None:
    """Add the tokens of an `added_tokens.json`, if there is one, at the ids it states."""
    listed = _read_ids(path) if path.is_file() else {}
    for token, token_id in sorted(listed.items(), key=lambda item: item[1]):
        backend.add_special_tokens([tokenizers.AddedToken(token, normalized=False)])
        if (actual := backend.token_to_id(token)) != token_id:
            raise WeightsError(
                f"{str(path)!r} gives {token!r} the id {token_id}, but its place is {actual}; "
                "fetch vocab.json and added_tokens.json again from one checkpoint"
            )


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise WeightsError(
            f"tokenizer file {str(path)!r} cannot be read ({reason}); give a tokenizer.json"
        ) from error


def _read_ids(path: Path) -> dict[str, int]:
    """Read a JSON object of token to id."""
    try:
        ids = loads(_read(path))
    except ValueError as error:
        raise WeightsError(
            f"tokenizer file {str(path)!r} is not JSON ({error}); fetch it again"
        ) from error
    if not isinstance(ids, dict) or not all(isinstance(value, int) for value in ids.values()):
        raise WeightsError(
            f"tokenizer file {str(path)!r} is not a JSON object of token to id; fetch it again"
        )
    return ids


def _check_round_trip(backend: tokenizers.Tokenizer, source: str) -> None:
    """Refuse tokenizers of other models, which lose characters or spaces."""
    ids = backend.encode(_ROUND_TRIP_PROBE, add_special_tokens=False).ids
    text = backend.decode(ids, skip_special_tokens=False)
    if text != _ROUND_TRIP_PROBE:
        raise WeightsError(
            f"{source} is not a byte-level BPE as Florence-2 uses: it turns "
            f"{_ROUND_TRIP_PROBE!r} into {text!r}; use the tokenizer files saved with the "
            "checkpoint"
        )


def _add_florence_tokens(backend: tokenizers.Tokenizer, source: str) -> None:
    """Add the 1,024 tokens to a vocabulary that has none of them."""
    missing = [token for token in FLORENCE_TOKENS if backend.token_to_id(token) is None]
    if 0 < len(missing) < len(FLORENCE_TOKENS):
        raise WeightsError(
            f"{source} lacks {len(missing)} of the {len(FLORENCE_TOKENS):,} Florence-2 tokens "
            f"({first_few(missing)}); use the tokenizer files saved with the checkpoint"
        )
    # Added again even when present: a file may list them as ordinary text pieces.
    backend.add_special_tokens(
        [tokenizers.AddedToken(token, normalized=False) for token in FLORENCE_TOKENS]
    )


def _check_locations(vocabulary: Mapping[str, int], source: str) -> None:
    for bin_ in range(NUM_BINS):
        actual, expected = vocabulary[f"<loc_{bin_}>"], vocabulary["<loc_0>"] + bin_
        if actual != expected:
            raise WeightsError(
                f"{source} has the location tokens out of order (<loc_{bin_}> is {actual}, not "
                f"{expected}); use the tokenizer files saved with the checkpoint"
            )


def without_lone_surrogates(text: str) -> str:
    """Replace halves of characters, which file names and JSON may carry, by U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
