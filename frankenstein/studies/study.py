"""A study from Python: its plan, with the graph that it stands for and the runs that it made.

study = Study(networks={"train": {"model": "lenet"}, "seeds": "0..4"}, compare={})
study.run()
{name: run.matrices() for name, run in study.runs().items()}
"""

from dataclasses import dataclass
from pathlib import Path

from frankenstein.runs.fields import PARTIAL
from frankenstein.runs.run import Run
from frankenstein.studies.folder import finished_study, there
from frankenstein.studies.graph import Node
from frankenstein.studies.plan import StudyPlan, nodes_of


@dataclass(frozen=True, kw_only=True)
class Study(StudyPlan):
    """Networks, their pairs, and what is done to each; the fields are those of the YAML file."""

    @property
    def folder(self) -> Path:
        """Where its runs lie: the finished study of this graph, or the unfinished one."""
        name = self.run_name or self.verb
        return finished_study(self, name) or Path(self.out_dir, self.verb, name + PARTIAL)

    def graph(self) -> list[Node]:
        """Every run, each behind those that it waits for.

        Raises:
            PlanError: if it names what is none, or a plan refuses its fields.
            UserError: if a file of a network is not there.
        """
        return nodes_of(self, str(self.folder))

    def runs(self) -> dict[str, Run]:
        """The runs that are whole by now, by their place in the study's folder."""
        return {name: Run.read(path) for name, path in there(self.graph(), self.folder).items()}
