"""The plan of `compare`: which layers of which networks, by which measures, and how sure."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from glob import glob
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from frankenstein.catalog import MEASURES
from frankenstein.errors import PlanError, did_you_mean
from frankenstein.records import shown
from frankenstein.runs.fields import (
    PARTIAL,
    DataFields,
    DeviceFields,
    NetworkFields,
    RunFields,
    StitchKind,
)
from frankenstein.runs.plan import Plan
from frankenstein.runs.schema import option

ALIASES = {  # Dr. Frankenstein's words
    "cka": "linear_cka",
    "cca": "mean_cca",
    "l2": "mean_squared_distance",  # over the number of units
    "ps_inv": "r_squared",
    "corr": "unit_correlation",
}
WORDS = (*MEASURES, *ALIASES)  # what a measure may be called
MeasureWord = Annotated[str, WORDS]


def measure_of(word: str) -> str:
    """What the catalog calls a measure, which may be one of Dr. Frankenstein's words."""
    return ALIASES.get(word, word)


def within_classes(words: Iterable[str]) -> list[str]:
    """The measures among these that need the classes of the examples."""
    known = [name for name in map(measure_of, words) if name in MEASURES]
    return [name for name in known if MEASURES[name].needs == "classes"]


# Fields of two networks, not of more; measures within classes are, too.
OF_TWO = ("receiver_layer", "confounders", "labels", "permutations")
_LEAST_DRAWS = 39  # with fewer the ends of a 95 % interval lie outside of all draws


@dataclass(frozen=True, kw_only=True)
class MeasuredFields(Plan):
    """What is measured of what."""

    sender: str = option(
        about="first network, file of activations, or folder of a stitching run", source=True
    )
    receiver: str | None = option(
        None, "second network or file of activations; none behind a run", source=True
    )
    more: list[str] = option(
        [],
        "further networks or files, or patterns of their names: each runs once, and all are held "
        "against each other",
        source=True,
    )
    sender_layer: str | None = option(
        None,
        "layers of the first network; if absent one a block, or all cut points if it has no "
        "blocks; of more than two networks, those of every one, if absent one a block or a layer "
        "with weights",
    )
    receiver_layer: str | None = option(None, "layers of the second network; likewise")
    measures: list[MeasureWord | str] = option([], "measures of the layers")
    stitch: StitchKind | None = option(None, "which stitch of a run; after if absent")
    layer: str | None = option(
        None, "layer of the receiver behind a run's cut to compare at; the cut itself if absent"
    )
    flattening: Literal["per_location", "per_sample", "pooled", "last"] | None = option(
        None,
        "what a row is: a place or token, an example, its mean over places, or its last token; if "
        "absent what suits each measure; the result names it",
    )


@dataclass(frozen=True, kw_only=True)
class CertaintyFields(Plan):
    """How sure every value is."""

    group: ClassVar[str] = "how sure"

    bootstrap: int = option(
        0,
        "draws of half of the kept examples for a 95 % interval of every value, such as 1000; 0 "
        "for none",
        least=0,
    )
    permutations: int = option(
        0,
        "shuffles of the kept examples for a null and p of every value, such as 200; 0 for none",
        least=0,
    )
    keep: int = option(
        500,
        "examples to keep, a uniform sample, for intervals, nulls and those measures that need the "
        "examples themselves",
        least=8,
    )
    seed: int = option(0, "seed of draws and shuffles", changes="seed")

    @property
    def draws(self) -> bool:
        """Whether an interval or a null is asked for."""
        return bool(self.bootstrap or self.permutations)


@dataclass(frozen=True, kw_only=True)
class ComparePlan(
    DeviceFields, RunFields, NetworkFields, DataFields, CertaintyFields, MeasuredFields
):
    """Layers of networks against each other; or a run's stitched representation.

    Without a receiver, the sender is the folder of a stitching run, whose stitched representation
    is held against the receiver's own.
    """

    verb: ClassVar[str] = "compare"

    block: int | None = option(
        None,
        "images that a Gram matrix of unbiased_cka spans; if absent all at once where they are few "
        "(512, if small), else 64, which is an estimate",
        least=4,
    )
    other_networks: bool = option(
        False, "take a run's networks though they are not those it was made for"
    )
    batch_size: int = option(250, "images a batch", least=1)
    confounders: str | None = option(
        None,
        "file of what two files of activations are known to share, a row for each example: whole "
        "numbers (N,) are classes; deconfounded_cka takes it out",
    )
    labels: str | None = option(
        None,
        "file of the class of every row of two files of activations, whole numbers (N,), for "
        "measures within classes",
    )

    @property
    def of_run(self) -> bool:
        """Whether it is of a stitching run."""
        return self.receiver is None

    @property
    def kind(self) -> StitchKind:
        """Which stitch of a run."""
        return self.stitch or "after"

    @property
    def layers(self) -> tuple[list[str] | None, list[str] | None]:
        """Layers asked for of sender and receiver, "bn1,bn3" as two; None for all cut points."""
        return _split(self.sender_layer), _split(self.receiver_layer)

    @property
    def is_table(self) -> bool:
        """Whether measures of two single representations come as one table, not a matrix each."""
        if self.more:
            return False
        return self.of_run or bool(self.measures and all(map(_is_single, self.layers)))

    @property
    def networks(self) -> list[str]:
        """Everything that is compared."""
        return [self.sender, *([] if self.receiver is None else [self.receiver]), *self.more]

    def __post_init__(self) -> None:
        if any(map(is_pattern, self.networks)):
            found = [file for word in self.networks for file in files_of(word)]
            if len(found) < 2:
                raise PlanError(
                    f"{' '.join(self.networks)} is {found[0]} alone; it takes two networks to "
                    "compare"
                )
            for name, value in zip(("sender", "receiver", "more"), (*found[:2], found[2:])):  # noqa: B905
                object.__setattr__(self, name, value)
        super().__post_init__()

    def check(self) -> None:
        """Refuse fields that contradict each other.

        Raises:
            PlanError: for an unknown measure, draws that are too few for an interval, or fields of
                a run without one.
        """
        for word in self.measures:
            if word not in WORDS:
                raise PlanError(f"{shown(word)} is no measure{did_you_mean(word, WORDS)}")
        for name in ("sender_layer", "receiver_layer"):
            if (words := getattr(self, name)) is not None and not _split(words):
                raise PlanError(f"‹{name}› names no layer, got {shown(words)}")
        if 0 < self.bootstrap < _LEAST_DRAWS:
            raise PlanError(
                f"‹bootstrap› must be at least {_LEAST_DRAWS} for the ends of 95 %, or 0 for none, "
                f"got {self.bootstrap}"
            )
        if self.draws and (within := within_classes(self.measures)):
            raise PlanError(
                f"{within[0]} has no intervals and no null, for draws keep no labels; leave it out "
                "or ‹bootstrap› and ‹permutations›"
            )
        if self.of_run:
            self._check_run()
            return
        if self.more:
            self._check_many()
        for name in ("stitch", "layer"):
            if getattr(self, name) is not None:
                raise PlanError(f"‹{name}› is for the folder of a run, and {self.sender} is none")
        if "l2" in self.measures and not self.is_table:
            raise PlanError(
                "l2 is of two single layers: name ‹sender_layer› and ‹receiver_layer›, or take "
                "mean_squared_distance"
            )

    def _check_many(self) -> None:
        for name in OF_TWO:
            if getattr(self, name):
                hint = "; say ‹sender_layer›, for all" if name == "receiver_layer" else ""
                raise PlanError(
                    f"‹{name}› is of two networks, and these are {len(self.networks)}{hint}"
                )
        if within := within_classes(self.measures):
            raise PlanError(f"{within[0]} is of two networks, and these are {len(self.networks)}")
        if "l2" in self.measures:
            raise PlanError("l2 is of two single layers; take mean_squared_distance")

    def _check_run(self) -> None:
        for name in ("sender_layer", "receiver_layer"):
            if (layer := getattr(self, name)) is not None:
                raise PlanError(
                    f"‹{name}› {layer} is of two networks, and there is no ‹receiver›; behind a "
                    "run's cut it is ‹layer›"
                )
        for name in ("confounders", "labels"):
            if getattr(self, name) is not None:
                raise PlanError(f"‹{name}› are for two files of activations, not for a run")


def is_pattern(word: str) -> bool:
    """Whether a word stands for all files and folders that it matches."""
    return bool(set(word) & set("*?[")) and not Path(word).exists()


def files_of(word: str) -> list[str]:
    """What a pattern matches, by name, numbers as numbers; runs under way are left out.

    Raises:
        PlanError: if it matches nothing.
    """
    if not is_pattern(word):
        return [word]
    found = [path for path in glob(word, recursive=True) if not path.endswith(PARTIAL)]
    if not found:
        raise PlanError(f"nothing is called {word}; a pattern stands for files or folders of runs")
    return sorted(found, key=_by_number)


def _by_number(path: str) -> list[str | int]:
    parts = re.split(r"(\d+)", path)
    return [int(part) if i % 2 else part for i, part in enumerate(parts)]


def _split(words: str | None) -> list[str] | None:
    return None if words is None else [word for word in words.split(",") if word]


def _is_single(layers: list[str] | None) -> bool:
    names = layers or []
    return (
        len(names) == 1
        and not set(names[0]) & set("*?[ ")
        and names[0] not in ("modules", "blocks")
    )
