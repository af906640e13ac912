"""The folder of a study: the runs inside, and which of them are there already."""

import re
from collections.abc import Iterable
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from pathlib import Path

from frankenstein.errors import FileError
from frankenstein.records import read_yaml
from frankenstein.runs.fields import RunFields
from frankenstein.runs.folder import finished_run
from frankenstein.runs.plan import Command
from frankenstein.runs.run import Run
from frankenstein.runs.schema import options_of
from frankenstein.studies.graph import Node
from frankenstein.studies.plan import GraphFields, StudyPlan


def begin(
    plan: RunFields, name: str, command: Command, goes_on_from: str = "*/*/config.yaml"
) -> AbstractContextManager[Run]:
    """A folder for runs inside: a new one, or that of the same study if a kill has ended it."""
    command = replace(command, goes_on="itself")
    return Run.write(plan, name, command=command, goes_on_from=goes_on_from)


def log_of(study: Path, node: str) -> Path:
    """What a run printed, in the folder of its study."""
    return study / "logs" / f"{node.replace('/', '-')}.log"


def there(nodes: Iterable[Node], study: Path) -> dict[str, Path]:
    """The folders of the runs that are whole, by the name of the node.

    A run of a network from elsewhere is not among them: whether the file is still that network is
    known once it is opened.
    """
    found: dict[str, Path] = {}
    for node in nodes:
        if all(name in found for name in node.after) and not node.opens:
            verb, _, name = node.name.partition("/")
            if path := finished_run(study / verb, name, node.plan):
                found[node.name] = path
    return found


def finished_study(plan: StudyPlan, name: str) -> Path | None:
    """The finished study of this graph, under this name or with a number behind it."""
    form = re.compile(re.escape(name) + r"(-\d+)?")
    for path in sorted((Path(plan.out_dir) / plan.verb).glob("*")):
        if not form.fullmatch(path.name):
            continue
        with suppress(FileError):
            kept = read_yaml(path / "config.yaml") if (path / "run.json").is_file() else None
            fields = [*options_of(GraphFields), "data_root"]
            if isinstance(kept, dict) and all(kept.get(f) == getattr(plan, f) for f in fields):
                return path
    return None
