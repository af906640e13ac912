"""The plans of verbs that are made of other runs: `study`, `demo` and `report`."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from frankenstein.errors import PlanError
from frankenstein.records import shown
from frankenstein.runs.fields import CodeFields, DeviceFields, RunFields
from frankenstein.runs.plan import Plan
from frankenstein.runs.schema import option
from frankenstein.studies.graph import Node, graph_of

_DATA_ROOT = (
    "folder where data sets lie, or are downloaded to; if absent, the one in the environment "
    "variable FRANKENSTEIN_DATA, or else data"
)


@dataclass(frozen=True, kw_only=True)
class GraphFields(Plan):
    """A study as a graph: networks, and what is done to each pair of them; all may be grids.

    An unfinished study goes on also if its file says something else by now: every run is told from
    others by its own fields.
    """

    group: ClassVar[str] = "the graph"

    networks: Any = option(
        None,
        "{train: {model: lenet, ...}, seeds: 0..4}, files, globs and other sources, or a list of "
        "these",
        changes="nothing",
        source=True,
    )
    pairs: Any = option(
        "all",
        "all pairs, the first network the sender; both (all, each way); chain (each with the "
        "next), same (those that differ in seeds alone), or a list of [name, name]",
        changes="nothing",
    )
    compare: Any = option(
        None, "fields of a comparison of each pair, or a list of such", changes="nothing"
    )
    stitch: Any = option(
        None, "fields of a stitch of each pair, or a list of such", changes="nothing"
    )
    analyze: Any = option(
        None, "fields of questions about each pair, or a list of such", changes="nothing"
    )

    @property
    def blocks(self) -> dict[str, Any]:
        """What is done to each pair, by verb."""
        blocks = {"compare": self.compare, "stitch": self.stitch, "analyze": self.analyze}
        return {verb: block for verb, block in blocks.items() if block is not None}


@dataclass(frozen=True, kw_only=True)
class ScoreFields(Plan):
    """Which numbers of its runs a page shows."""

    scores: list[str] | None = option(
        None,
        "names in summary.json, such as accuracy/after, or patterns, such as 'accuracy/*'; the "
        "verb's main ones if absent",
    )


@dataclass(frozen=True, kw_only=True)
class EngineFields(Plan):
    """Where the runs of a graph are done, and how many at a time."""

    group: ClassVar[str] = "engine"

    workers: int | None = option(
        None,
        "runs at a time, each in a process of its own; as many as there are cores, or GPUs, if "
        "absent; 0: one after the other in this process",
        least=0,
        changes="nothing",
    )
    scheduler: str | None = option(
        None,
        "file of a scheduler, or its address, whose workers do the runs; see docs/cluster.md",
        changes="nothing",
    )
    gpus_per_run: int | None = option(
        None,
        "GPUs that a run has for itself; 1 if there are any and accelerator is not cpu, if absent",
        least=0,
        changes="nothing",
    )
    insecure: bool = option(
        False,
        "take a scheduler that is open to other machines without TLS: whoever reaches it runs code "
        "as you",
        changes="nothing",
    )
    dry_run: bool = option(False, "print the graph, and run nothing", changes="nothing")


@dataclass(frozen=True, kw_only=True)
class StudyPlan(DeviceFields, EngineFields, ScoreFields, GraphFields, RunFields, CodeFields):
    """Several plans in one folder: a list of steps, or a graph over networks and their pairs."""

    verb: ClassVar[str] = "study"

    # Each a command line, which the command line reads, or {verb: {field: value}}; {study} in it is
    # the folder of the study.
    steps: list[Any] = option(
        [], "command lines, such as 'train -m lenet -d digits -e 5'", source=True
    )
    run_name: str | None = option(
        "study", "folder of this study in OUT_DIR/study", changes="nothing"
    )
    data_root: str | None = option(
        None,
        "folder of the data sets of all steps; if absent, as each step has it",
        changes="nothing",
    )

    @property
    def shared(self) -> dict[str, Any]:
        """What the study says for all of its runs."""
        said = {name: getattr(self, name) for name in ("data_root", "accelerator", "allow_code")}
        return {name: value for name, value in said.items() if value not in (None, "auto", False)}

    def check(self) -> None:
        """Refuse a study of nothing, of both kinds, and steps that are neither."""
        if self.networks is None:
            for name in self.blocks:
                raise PlanError(f"‹{name}› is of the pairs of ‹networks›; say these, too")
            if not self.steps:
                raise PlanError("missing ‹steps› (command lines), or ‹networks› of a graph")
        elif self.steps:
            raise PlanError("a study is a list of ‹steps› or a graph of ‹networks›, and not both")
        if self.workers is not None and self.scheduler is not None:
            raise PlanError("‹scheduler› has workers of its own; leave ‹workers› out")
        if self.steps:
            for name in ("workers", "scheduler", "gpus_per_run", "scores"):
                if getattr(self, name):
                    raise PlanError(f"‹{name}› is of a graph; steps follow each other here")
        for step in self.steps:
            if not isinstance(step, str | dict):
                raise PlanError(
                    f"a step is a command line or {{verb: {{field: value}}}}, got {shown(step)}"
                )


def nodes_of(plan: StudyPlan, folder: str) -> list[Node]:
    """The graph of a study whose runs lie in a folder.

    Raises:
        PlanError: if it names what is none, or a plan refuses its fields.
        UserError: if a file of a network is not there.
    """
    return graph_of(plan.networks, plan.pairs, plan.blocks, folder, plan.shared)


@dataclass(frozen=True, kw_only=True)
class WorkerPlan(Plan):
    """A process that does the runs of studies, one at a time, wherever it is started."""

    verb: ClassVar[str] = "worker"

    scheduler: str = option(
        about="file that `frankenstein scheduler` wrote, or an address", changes="nothing"
    )
    gpus: int = option(
        0,
        "GPUs of each of its runs: those that CUDA_VISIBLE_DEVICES names",
        least=0,
        changes="nothing",
    )
    threads: int | None = option(
        None, "threads of its runs; the cores that it may use if absent", least=1, changes="nothing"
    )
    insecure: bool = option(
        False,
        "take a scheduler that is open to other machines without TLS: whoever reaches it runs code "
        "as you",
        changes="nothing",
    )


@dataclass(frozen=True, kw_only=True)
class SchedulerPlan(Plan):
    """A process that hands out the runs of studies to workers."""

    verb: ClassVar[str] = "scheduler"

    file: str = option(
        about="file to write, which workers and studies read; only its owner can", changes="nothing"
    )
    host: str | None = option(
        None,
        "address to listen on; this machine's in its network if absent, 127.0.0.1 for itself alone",
        changes="nothing",
    )
    port: int = option(0, "port to listen on; 0: any that is free", least=0, changes="nothing")


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
class ReportPlan(ScoreFields, RunFields):
    """Finished runs, joined."""

    verb: ClassVar[str] = "report"

    runs: list[str] = option(about="folders of runs, of any verb")
    without_chance: bool = option(
        False, "leave out runs of a network that is not clearly above the most frequent answer"
    )
