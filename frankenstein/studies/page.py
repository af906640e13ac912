"""What a page of many runs has: of a study, and of folders that are joined by `report`."""

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from frankenstein.errors import counted
from frankenstein.report import Picture, code, format_value, intervals, markdown_table, plain
from frankenstein.report.document import Block
from frankenstein.runs.run import Run
from frankenstein.similarity.networks.page import joined_pictures
from frankenstein.stitching.score_table import is_share
from frankenstein.studies.finished import FinishedRun, JoinedRuns, groups
from frankenstein.studies.overview import index_table, linked
from frankenstein.studies.sweep import find_sweep, sweep_pictures

_MAIN = (  # what is shown if nothing else is asked for: a stitch beside its control
    "accuracy/held_out",
    "loss/held_out",
    "accuracy/after",
    "accuracy/solved",
    "accuracy/untrained",
    "unbiased_cka/after",
    "unbiased_cka/untrained",
    "agreement/after",
    "accuracy/ps_inv",
    "merge/barrier_val/as_they_are",
    "merge/barrier_val/by_activations",
    "merge/barrier_val/by_weights",
)
_MARK = "†"
AT_CHANCE = "not clearly above the most frequent answer, so nothing was learned that shows"
_FEW = 6  # scores that are shown of runs that have none of these
_DRAWN = 12  # scores that have a figure, at most
_SIZES = ("n", "parameters", "multiplications")


def blocks_of_runs(
    runs: Sequence[FinishedRun], folder: Path, patterns: Sequence[str] | None = None
) -> Iterator[Block]:
    """An index of the runs, all networks beside each other, and each verb's runs joined."""
    yield from _of_networks(runs)
    yield "## Runs"
    yield index_table(runs, folder)
    yield (
        "`study.csv` has a row for each run: seeds, every field in which runs differ, all numbers."
    )
    yield from (plain(note).replace("\\`", "`") for note in at_chance(runs))
    verbs = dict.fromkeys(run.verb for run in runs)
    for verb in verbs:
        own = [run for run in runs if run.verb == verb]
        if len(own) > 1 or len(verbs) == 1:
            yield from _of_verb(own, folder, chosen_scores(own, patterns))


def networks_found(runs: Sequence[FinishedRun]) -> list[str]:
    """What comparisons of more than two networks found."""
    return [str(run.record["finding"]) for run in _of_many(runs) if run.record.get("finding")]


def _of_many(runs: Sequence[FinishedRun]) -> list[FinishedRun]:
    return [run for run in runs if run.verb == "compare" and run.record["options"].get("more")]


def _of_networks(runs: Sequence[FinishedRun]) -> Iterator[Block]:
    """What comparisons of more than two networks have of all of them."""
    for number, one in enumerate(_of_many(runs), start=1):
        run = Run.read(one.folder)
        yield f"## All networks: {code(one.folder.name)}"
        for block in joined_pictures(run):
            if isinstance(block, Picture):
                block = replace(block, name=f"{number}-{block.name}")
            yield block


def _of_verb(runs: Sequence[FinishedRun], folder: Path, scores: Sequence[str]) -> Iterator[Block]:
    """Means over seeds of the runs of one verb, and curves over the fields in which they differ."""
    joined = JoinedRuns(groups(runs), scores)
    verb = joined.verbs[0]
    yield f"## {counted(len(runs), 'run')} of {verb}, joined"
    yield (
        "A row of the table is a group of runs that differ in nothing but seeds: their own, and "
        "those that their networks were trained from."
    )
    if scores:
        yield score_table(joined)
        yield from remarks(joined)
    for picture in (*sweep_figures(joined), *pictures(joined)):
        yield replace(picture, name=f"{verb}-{picture.name}")
    yield "The runs of every group; a network's seeds are of its weights and of its batch order:"
    yield run_table(joined, folder)


def chosen_scores(runs: Sequence[FinishedRun], patterns: Sequence[str] | None = None) -> list[str]:
    """The names of scores that match, in the order of the patterns.

    Runs may have none that matches; whoever asks for all runs says so.
    """
    known = list(dict.fromkeys(name for run in runs for name in run.scores))
    if patterns is None:
        main = [name for name in _MAIN if name in known]
        shared = [name for name in known if all(name in run.scores for run in runs)]
        telling = [name for name in shared or known if _tells(name)]
        same = [name for name in telling if re.search(r"/([^/]+)/\1$", name)]  # layer with itself
        return main or (same or telling or known)[:_FEW]
    chosen: dict[str, None] = {}
    for pattern in patterns:
        chosen |= dict.fromkeys(name for name in known if fnmatchcase(name, pattern))
    return list(chosen)


def _tells(score: str) -> bool:
    """Whether a score is what was found, not a size or the end of an interval."""
    what = score.partition("/")[0]
    return what not in _SIZES and not what.endswith(("_low", "_high"))


def at_chance(runs: Sequence[FinishedRun]) -> list[str]:
    """A line on networks that are no better than an answer that is always the same, if any is."""
    chance = [run for run in runs if run.at_chance]
    if not chance:
        return []
    return [
        f"{_MARK} of a network that is {AT_CHANCE}: {named_at_chance(chance)}. It is in the means; "
        "`without_chance` leaves it out."
    ]


def named_at_chance(runs: Sequence[FinishedRun]) -> str:
    """These runs, each with those of its networks that are at chance."""
    return ", ".join(f"{run.folder.name} ({' and '.join(run.at_chance)})" for run in runs)


def _marked(name: str, runs: Iterable[FinishedRun]) -> str:
    return f"{name} {_MARK}" if any(run.at_chance for run in runs) else name


def score_table(joined: JoinedRuns) -> str:
    """A row for each group: how many runs, and each score's mean ± margin."""
    return markdown_table(*rows_of(joined, joined.scores), right=joined.scores)


def remarks(joined: JoinedRuns) -> Iterator[str]:
    """How to read the table, and what makes its intervals say less than they seem to."""
    repeated = [group for group in joined.groups if len(joined.counted(group)) > 1]
    if repeated:
        yield (
            "± is half the width of the 95 % t interval of the mean over a group's runs. "
            + _said_of(joined, repeated)
        )
    else:
        yield "No two of these runs differ in seeds alone, so there is no interval."
    if joined.replays:
        names = ", ".join(code(run.folder.name) for run in joined.replays)
        yield f"Run again from the same seeds, and so not counted as further runs: {names}."
    commits = {run.record.get("commit") for run in joined.runs}
    if len(commits) > 1:
        said = ", ".join(code(_short(commit)) for commit in sorted(map(str, commits)))
        yield f"The runs were made by different versions of the code: {said}."
    warned = [
        f"- {code(run.folder.name)}: {plain(w)}"
        for run in joined.runs
        for w in run.record["warnings"]
    ]
    if warned:
        yield "Python warned in these runs:\n\n" + "\n".join(warned)


def sweep_figures(joined: JoinedRuns) -> Iterator[Picture]:
    """Scores over layers or over a number, if that is what the groups differ in."""
    sweep = find_sweep(joined.groups)
    means = {
        score: {
            group: joined.mean(group, score)
            for group in joined.groups
            if joined.values(group, score)
        }
        for score in joined.scores[:_DRAWN]
    }
    return iter(()) if sweep is None else sweep_pictures(sweep, means)


def pictures(joined: JoinedRuns) -> Iterator[Picture]:
    """The first scores, each with all groups below each other."""
    for i, score in enumerate(joined.scores[:_DRAWN], start=1):
        values = {group: found for group in joined.groups if (found := joined.values(group, score))}
        if values:
            means = {group: joined.mean(group, score) for group in values}
            yield Picture(
                f"score-{i}",
                intervals(values, means, score, percent=is_share(score)),
                f"`{score}` of every group. A dot is a run; where a group has several, the upright "
                "line is their mean and the bar its 95 % interval. Groups whose bars lie far apart "
                "differ by more than their seeds.",
            )


def run_table(joined: JoinedRuns, folder: Path) -> str:
    """Every run with a link to its report, for a page that lies in the folder."""
    seeds = list(dict.fromkeys(name for run in joined.runs for name in run.seeds))
    rows = [
        [
            linked(run.folder, folder, _marked("", [run])),
            _marked(group, runs),
            *(run.seeds.get(name) for name in seeds),
            *(run.scores.get(score) for score in joined.scores),
        ]
        for group, runs in joined.groups.items()
        for run in runs
    ]
    header = ["run", "group", *(name.replace("_", " ") for name in seeds), *joined.scores]
    return markdown_table(rows, header, percent=[*filter(is_share, joined.scores)])


def rows_of(joined: JoinedRuns, scores: Sequence[str]) -> tuple[list[list[Any]], list[str]]:
    """The rows of such a table, and its header."""
    rows = [
        [
            _marked(group, joined.counted(group)),
            len(joined.counted(group)),
            *(_cell(joined, group, score) for score in scores),
        ]
        for group in joined.groups
    ]
    return rows, ["group", "runs", *scores]


def _cell(joined: JoinedRuns, group: str, score: str) -> str:
    (mean, margin), share = joined.mean(group, score), is_share(score)
    found, all_runs = len(joined.values(group, score)), len(joined.counted(group))
    text = format_value(mean, share)
    if math.isfinite(margin):
        text = f"{text.removesuffix(' %')} ± {format_value(margin, share)}"
    return f"{text} ({found} of {all_runs})" if 0 < found < all_runs else text


def _said_of(joined: JoinedRuns, groups: Sequence[str]) -> str:
    """What varies within the groups, and whether their runs are independent."""
    varying, shared = set(), False
    for group in groups:
        runs = joined.counted(group)
        first = runs[0].seeds
        varying |= {name for run in runs for name, seed in run.seeds.items() if seed != first[name]}
        pairs = {tuple(run.networks.values()) for run in runs}
        networks = [sha for pair in pairs for sha in set(pair)]
        shared |= len(networks) > len(set(networks))
    if not varying:
        return "Within a group no seed varies: the interval says nothing of other seeds."
    said = f"Within a group these seeds vary: {', '.join(sorted(varying))}."
    if not varying & {"sender", "receiver", "subject", "init_noise", "gradient_noise"}:
        return f"{said} The networks are the same, so it says nothing of other networks."
    if shared:
        return (
            f"{said} Some of these runs share a network: they are not independent, and the "
            "interval is narrower than it should be."
        )
    return said


def _short(commit: str) -> str:
    name, dirty, _ = commit.partition("-")
    return name[:12] + dirty + ("dirty" if dirty else "")
