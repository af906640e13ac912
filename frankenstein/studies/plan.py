"""The plans of verbs that are made of other runs: `study`, `demo` and `report`."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from frankenstein.errors import PlanError
from frankenstein.records import shown
from frankenstein.runs.fields import CodeFields, DeviceFields, RunFields
from frankenstein.runs.schema import option

_DATA_ROOT = (
    "folder where data sets lie, or are downloaded to; if absent, the one in the environment "
    "variable FRANKENSTEIN_DATA, or else data"
)


@dataclass(frozen=True, kw_only=True)
class StudyPlan(DeviceFields, RunFields, CodeFields):
    """Several plans, run one after the other into one folder."""

    verb: ClassVar[str] = "study"

    # Each a command line, which the command line reads, or {verb: {field: value}}; {study} in it is
    # the folder of the study.
    steps: list[Any] = option(
        about="command lines, such as 'train -m lenet -d digits -e 5'", source=True
    )
    run_name: str | None = option(
        "study", "folder of this study in OUT_DIR/study", changes="nothing"
    )
    data_root: str | None = option(
        None,
        "folder of the data sets of all steps; if absent, as each step has it",
        changes="nothing",
    )

    def check(self) -> None:
        """Refuse a study of nothing, and steps that are neither."""
        if not self.steps:
            raise PlanError("missing ‹steps› (command lines)")
        for step in self.steps:
            if not isinstance(step, str | dict):
                raise PlanError(
                    f"a step is a command line or {{verb: {{field: value}}}}, got {shown(step)}"
                )


@dataclass(frozen=True, kw_only=True)
class DemoPlan(RunFields):
    """The main job from nothing: configs/studies/demo.yaml with some of its fields changed."""

    verb: ClassVar[str] = "demo"

    dataset: Literal["digits", "fashion"] = option("digits", "data set; digits needs no download")
    model: Literal["tiny10", "lenet"] = option(
        "tiny10", "network of the zoo, trained from two seeds"
    )
    layer: str = option("bn3", "layer after which both are cut")
    epochs: int | None = option(
        None, "epochs of each network; 20 for digits and 4 for fashion if absent", least=0
    )
    data_root: str | None = option(None, _DATA_ROOT, changes="nothing")


@dataclass(frozen=True, kw_only=True)
class ReportPlan(RunFields):
    """Finished runs, joined."""

    verb: ClassVar[str] = "report"

    runs: list[str] = option(about="folders of runs, of any verb")
    scores: list[str] | None = option(
        None,
        "names in summary.json, such as accuracy/after, or patterns, such as 'accuracy/*'; the "
        "verb's main ones if absent",
    )
    without_chance: bool = option(
        False, "leave out runs of a network that is not clearly above the most frequent answer"
    )
