"""The plan of `train`: a network of the zoo, from seeds to a file."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from frankenstein.errors import PlanError
from frankenstein.records import shown
from frankenstein.runs.fields import (
    DataFields,
    DatasetName,
    DescentFields,
    NetworkName,
    ResumeFields,
    RunFields,
    TrainerFields,
)
from frankenstein.runs.plan import Plan
from frankenstein.runs.schema import option, options_of


@dataclass(frozen=True, kw_only=True)
class ZooFields(Plan):
    """A new network of the zoo."""

    model: NetworkName = option("tiny10", "network of the zoo")
    weights: str | None = option(
        None, "trained weights to start from, for torchvision/<name>; DEFAULT for the best"
    )
    image_size: int | None = option(
        None, "pixels to which images are resized; what the network is made for if absent"
    )
    init_noise: int = option(0, "seed of the initial weights", changes="seed")
    gradient_noise: int = option(0, "seed of the batch order and of augmentation", changes="seed")


@dataclass(frozen=True, kw_only=True)
class ChangeFields(Plan):
    """What is changed of the training data."""

    random_labels: float = option(
        0.0,
        "share of training images whose label is drawn at random, 0 to 1; alike for all networks",
        least=0,
    )
    marker: float | None = option(
        None,
        "put a bright square into every image, which stands in its class's place this often, 0 to "
        "1, and anywhere else; on held-out images anywhere",
        least=0,
    )
    augmentation: int = option(
        1,
        "times over that training images are changed at random as the data set has it; 0 for none",
        least=0,
    )

    def check(self) -> None:
        """Refuse shares above 1.

        Raises:
            PlanError: for such.
        """
        for name in ("random_labels", "marker"):
            if (share := getattr(self, name)) is not None and share > 1:
                raise PlanError(f"‹{name}› is a share, 0 to 1, got {share:g}")

    @property
    def changes(self) -> dict[str, Any]:
        """What is not as it usually is."""
        return {
            name: getattr(self, name)
            for name, one in options_of(ChangeFields).items()
            if getattr(self, name) != one.default
        }


@dataclass(frozen=True, kw_only=True)
class TrainPlan(
    TrainerFields, ResumeFields, RunFields, DescentFields, DataFields, ChangeFields, ZooFields
):
    """Train a network of the zoo.

    SGD has Nesterov momentum 0.9; the learning rate is cut by 10 at one third and two thirds of the
    epochs. The same two seeds give the same weights, bit for bit, on one machine.
    """

    verb: ClassVar[str] = "train"

    dataset: DatasetName = option(
        "cifar10", "data set, a folder of images, or a .txt, .csv or .tsv of sentences"
    )
    epochs: int = option(300, "passes over the training data", least=0)
    lr: float = option(
        0.1, "learning rate at the start, cut by 10 at one third and two thirds", least=0
    )
    weight_decay: float = option(1e-4, "weight decay", least=0)
    optimizer: Literal["sgd", "adam"] = option("sgd", "optimizer")
    save_frequency: int = option(10_000, "steps between snapshots of the weights", least=1)
    keep_epochs: int | str | None = option(
        None,
        "epochs behind which to keep a snapshot, such as 1,2,5,10 (0 is the start), or every; in "
        "snapshots/ of the run",
        changes="nothing",
    )

    def keeps(self, epoch: int) -> bool:
        """Whether a snapshot is kept behind so many epochs."""
        if self.keep_epochs is None or self.keep_epochs == "every":
            return self.keep_epochs == "every"
        return epoch in map(int, str(self.keep_epochs).split(","))

    def check(self) -> None:
        """Refuse epochs that are none of this training.

        Raises:
            PlanError: for such.
        """
        super().check()
        if self.keep_epochs in (None, "every"):
            return
        for word in map(str.strip, str(self.keep_epochs).split(",")):
            # A word of thousands of digits is no number to Python.
            if not (word.isdecimal() and len(word) < 19 and int(word) <= self.epochs):
                raise PlanError(
                    f"‹keep_epochs› takes epochs from 0 to ‹epochs› {self.epochs}, with commas "
                    f"between, or every; got {shown(word)}"
                )
