"""Sentences as a data set: raw until each network cuts them into tokens by its own tokenizer."""

import csv
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from frankenstein.accumulators.numbered import parts_of
from frankenstein.data.grammar import made_up_sentences
from frankenstein.data.images import ImageData
from frankenstein.data.padding import Sentences
from frankenstein.data.tokenizers import Tokenizer
from frankenstein.errors import DataError, counted
from frankenstein.records import cut as shortened

_HELD_OUT = 5  # one sentence in so many
_MADE_UP = 10_000
_DIGITS = 18  # of a class that is a number
_TEXTS = ("text", "sentence", "line", "review", "content")


class Text(ImageData):
    """Sentences, one a line of a file, with a class each if a column of the file says it.

    Of one file every fifth sentence, drawn at random by its number, is held out; of two files the
    second. Without a file they are 10,000 made-up ones (`data.grammar`), which need no download. A
    batch holds numbers of sentences; `look_for` a tokenizer turns them into tokens and a mask.

    A file whose name ends in .csv or .tsv has a first line with the names of its columns: `label`
    is the class, and `text`, `sentence` or the only other one is the sentence.

    Raises:
        DataError: for a file that is absent, no text, empty, or whose columns say nothing.

    >>> data = Text()
    >>> data.setup()
    >>> len(data.train_labels), len(data.val_labels)
    (8000, 2000)
    """

    name = "text"
    called = "sentences"
    pictured = False
    classed = False  # measures within classes are of examples, and here are tokens
    in_channels = 0
    train_images: Tensor  # numbers of sentences
    val_images: Tensor

    def __init__(
        self,
        files: Sequence[str | Path] = (),  # none, one, or one to train with and one held out
        batch_size: int = 128,
        order_seed: int = 0,
        eval_batch_size: int = 64,
    ) -> None:
        self.batch_size, self.eval_batch_size = batch_size, eval_batch_size
        self.order_seed, self.files = order_seed, [*map(Path, files)]
        parts = [_read(path) for path in self.files] or [(made_up_sentences(_MADE_UP), None)]
        if len(parts) > 2:
            raise DataError(f"text is one file, or one and a held-out one, got {len(parts)}")
        self.sentences = [one for sentences, _ in parts for one in sentences]
        self._looks: dict[Tokenizer, Sentences] = {}
        words = [labels for _, labels in parts]
        if None in words and any(words):
            raise DataError(f"only one of {', '.join(map(str, self.files))} has a column `label`")
        known = [label for labels in words for label in labels or ()]
        self.classes, self._labels = _classes(known)
        self.num_classes = len(self.classes)
        numbers = torch.arange(len(self.sentences))
        held_out = parts_of(numbers, _HELD_OUT) == 0
        if len(parts) == 2:
            held_out = numbers >= len(parts[0][0])
        self.train_images, self.val_images = numbers[~held_out], numbers[held_out]
        for part, rows in (("train", self.train_images), ("held out", self.val_images)):
            if not len(rows):
                raise DataError(f"text: {counted(len(numbers), 'sentence')} leave none to {part}")
        self.predict_nothing()
        self.lines = [self.about]

    @property
    def about(self) -> str:
        """What there is, in a line."""
        names = ", ".join(map(str, self.files)) or "made-up sentences"
        sizes = f"{len(self.train_images):,} sentences and {len(self.val_images):,} held out"
        labels = ", ".join(
            name if name == str(i) else f"{i} {name}" for i, name in enumerate(self.classes)
        )
        return f"{names}: {sizes}, " + (f"labels {labels}" if labels else "no labels")

    @property
    def written(self) -> str:
        """What a network's card says of it: files by name, wherever they lie, and their hashes."""
        hashes = [(path.name, sha256(path.read_bytes()).hexdigest()[:12]) for path in self.files]
        return ", ".join(f"{name} {digest}" for name, digest in hashes) or "made-up sentences"

    def predict_nothing(self) -> None:
        """Labels are those of the file, if it has any."""
        self.labelled = bool(self.classes)
        labels = self._labels if len(self._labels) else torch.full((len(self.sentences), 1), -100)
        self.train_labels, self.val_labels = labels[self.train_images], labels[self.val_images]

    def predict_next(self, tokenizer: Tokenizer) -> None:
        """Let the labels be next tokens, (N, T), -100 where there is none."""
        labels = self.look_for(tokenizer).next_tokens(torch.arange(len(self.sentences)))
        self.train_labels, self.val_labels = labels[self.train_images], labels[self.val_images]
        self.num_classes, self.labelled = tokenizer.size, True

    def look_for(self, tokenizer: Tokenizer) -> Sentences:
        """From numbers of sentences to what a network with such a tokenizer takes."""
        if tokenizer not in self._looks:
            encoded = tokenizer.encode(self.sentences)
            if any(not one for one in encoded):
                raise DataError(f"{tokenizer.name} makes no token of a sentence; leave that out")
            self._looks[tokenizer] = Sentences(encoded, tokenizer.pad)
        return self._looks[tokenizer]

    def sight(self, tokenizer: Tokenizer) -> str:
        """What a network with such a tokenizer sees, in words."""
        lengths, limit = self.look_for(tokenizer).lengths[self.val_images], tokenizer.limit
        told = f"{lengths.double().mean():.1f} tokens a sentence, {lengths.max()} at most"
        cut = int((lengths == limit).sum()) if limit else 0
        more = f"; {counted(cut, 'sentence')} may have been cut at {limit}" if cut else ""
        return f"{told} ({tokenizer.name}{more})"

    def setup(self) -> None:
        """Nothing: it is read when it is made."""

    def check(self, show: Any = None) -> None:
        """Nothing: there are no files to look through."""

    def prepare(self, images: Tensor) -> Tensor:
        """Nothing: each network looks for itself."""
        return images

    def blank(self, count: int = 2) -> Tensor:
        """The first sentences."""
        return torch.arange(count) % len(self.sentences)

    @property
    def val_rows(self) -> Tensor:
        """Which sentence of their file each held-out one is, from 0."""
        return self.val_images - (self.val_images[0] if len(self.files) == 2 else 0)

    def label_columns(self, labels: Tensor) -> dict[str, list[str]]:
        """The class of each sentence, if they have one."""
        return super().label_columns(labels) if self.classes and labels.ndim == 1 else {}


def _read(path: Path) -> tuple[list[str], list[str] | None]:
    """Sentences of a file, and their labels if it has any."""
    if path.exists() and not path.is_file():
        raise DataError(f"no text can be read in {path}: it is a folder, a pipe or a device")
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise DataError(f"no text can be read in {path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise DataError(f"{path} is no text in UTF-8: line {line}; save it as UTF-8") from None
    if "\0" in text:
        raise DataError(f"{path} is no text: it holds bytes of 0")
    if path.suffix.lower() in (".csv", ".tsv"):
        return _table(path, text)
    sentences = [one for line in text.splitlines() if (one := line.strip())]
    if not sentences:
        raise DataError(f"{path} holds no sentence; write one a line")
    return sentences, None


def _table(path: Path, text: str) -> tuple[list[str], list[str] | None]:
    tabs = path.suffix.lower() == ".tsv"
    how = {"dialect": "excel-tab", "quoting": csv.QUOTE_NONE} if tabs else {"dialect": "excel"}
    try:
        lines = csv.reader(text.splitlines(), **how)
        head, *rows = [[cell.strip() for cell in row] for row in lines if any(row)]
    except (ValueError, csv.Error):
        raise DataError(f"{path} is no table with names of columns and a row below") from None
    names = [name.lower() for name in head]
    others = [name for name in names if name != "label"]
    known = [name for name in _TEXTS if name in names]
    name = next(iter(known), others[0] if len(others) == 1 else None)
    if name is None or not rows:
        raise DataError(
            f"{path} has columns {shortened(', '.join(head), 200)} and "
            f"{counted(len(rows), 'row')}; it needs one called text, and may have one called label"
        )
    if odd := [number for number, row in enumerate(rows, 2) if len(row) != len(head)]:
        raise DataError(f"{path}: line {odd[0]} has another number of columns than the first")
    sentences = [row[names.index(name)] for row in rows]
    if "" in sentences:
        raise DataError(f"{path}: line {sentences.index('') + 2} has no {name}; leave it out")
    labels = [row[names.index("label")] for row in rows] if "label" in names else None
    return sentences, labels


def _classes(labels: Sequence[str]) -> tuple[tuple[str, ...], Tensor]:
    """Names of classes and their numbers: whole numbers as they are, words in their order."""
    if labels and all(label.isascii() and label.isdigit() for label in labels):
        # A word of thousands of digits is no number to Python.
        numbers = [int(label) for label in labels if len(label) <= _DIGITS]
        if len(numbers) == len(labels) and max(numbers) < 10_000:
            return tuple(map(str, range(max(numbers) + 1))), torch.tensor(numbers)
    names = sorted(set(labels))
    places = {name: number for number, name in enumerate(names)}
    return tuple(names), torch.tensor([places[label] for label in labels], dtype=torch.long)
