"""The plan of `benchmark`: which tests, of which networks, by which measures."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from frankenstein.benchmark.table import TESTS
from frankenstein.errors import PlanError
from frankenstein.runs.fields import (
    DataFields,
    DeviceFields,
    MeasureName,
    NetworkName,
    PlaceName,
    RunFields,
)
from frankenstein.runs.schema import option
from frankenstein.source import names_code
from frankenstein.studies.plan import EngineFields

TestName = Annotated[str, tuple(TESTS)]


@dataclass(frozen=True, kw_only=True)
class BenchmarkPlan(DeviceFields, EngineFields, RunFields, DataFields):
    """Grounded tests of measures: a zoo of conditions, each network of which is read once."""

    verb: ClassVar[str] = "benchmark"

    tests: list[TestName] = option([], "grounded tests; all if absent")
    measures: list[MeasureName] = option([], "measures; all of the table if absent")
    dataset: PlaceName | None = option(
        "digits", "data set of images of one class each, or a folder of them", source=True
    )
    model: NetworkName = option("lenet", "network of the zoo, trained anew for every condition")
    layer: str | None = option(
        None, "layer at which networks are compared; the penultimate one if absent"
    )
    seeds: int = option(5, "networks of each condition", least=3)
    epochs: int = option(10, "epochs of each network", least=1)
    batch_size: int = option(64, "images a step", least=1)
    lr: float = option(
        2e-3, "learning rate at the start, cut by 10 at one third and two thirds", least=0
    )
    optimizer: Literal["sgd", "adam"] = option("adam", "optimizer")
    images: int = option(
        1000,
        "held-out images that networks are compared on, at most, and training images that stitches "
        "are made on",
        least=20,
    )
    draws: int = option(1000, "draws of networks, for the interval of every score", least=100)
    networks: str | None = option(
        None,
        "folder of networks that a benchmark with these options has trained; trained here if "
        "absent",
        changes="nothing",
    )

    def check(self) -> None:
        """Refuse data without one class for each image.

        Raises:
            PlanError: for such.
        """
        dataset = self.dataset or ""
        if not dataset or names_code(dataset) or dataset in ("text", "celeba"):
            raise PlanError(
                "a benchmark trains on images of one class each: ‹dataset› is a data set of such "
                f"by name, or a folder; got {dataset or 'none'}"
            )
        if self.workers is not None and self.scheduler is not None:
            raise PlanError("‹scheduler› has workers of its own; leave ‹workers› out")

    @property
    def asked(self) -> list[str]:
        """The names of the tests."""
        return list(dict.fromkeys(self.tests or TESTS))
