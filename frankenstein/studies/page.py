"""What a page of many runs has: of a study, and of folders that are joined by `report`."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from frankenstein.catalog import MEASURES
from frankenstein.errors import counted
from frankenstein.report import Fold, Picture, code, format_value, intervals, markdown_table, plain
from frankenstein.report.document import Block
from frankenstein.runs.page import log_page
from frankenstein.runs.run import Run
from frankenstein.similarity.networks.page import joined_blocks
from frankenstein.stitching.score_table import is_share, score_title
from frankenstein.studies.finished import FinishedRun, JoinedRuns, groups
from frankenstein.studies.overview import index_table, linked
from frankenstein.studies.paired import paired_differences
from frankenstein.studies.paired_page import difference_blocks
from frankenstein.studies.sweep import Sweep, find_sweep, sweep_pictures

# What is shown if nothing else is asked for, by name or pattern: a stitch beside its controls.
_MAIN = (
    "accuracy/held_out",
    "loss/held_out",
    "accuracy/after",
    "accuracy/solved",
    "accuracy/untrained",
    "accuracy/receiver",
    "unbiased_cka/after",
    "unbiased_cka/untrained",
    "explained@cut/after",
    "final_explained/after",
    "final_explained/untrained",
    "within_class_unbiased_cka/after",
    "within_class_unbiased_cka/untrained",
    "agreement/after",
    "accuracy/ps_inv",
    "merge/barrier_val/as_they_are",
    "merge/barrier_val/by_activations",
    "merge/barrier_val/by_weights",
    "probes/linear/receiver/*",
    "probes/carried_reverse/*",
    "invariances/as_goal/receiver/*",
    "invariances/as_goal/sender/*",
    "invariances/as_goal/marker/*",
)
_MARK = "†"
AT_CHANCE = "not clearly above the most frequent answer, so nothing was learned that shows"
_FEW = 6  # scores that are shown of runs that have none of these
_NAMED = 3  # runs with a network at chance that are named, at most
_DRAWN = 12  # scores that have a figure, at most
_SHOWN = 16  # scores that are shown unasked, at most
_SIZES = ("n", "parameters", "multiplications")


def joined_by_verb(
    runs: Sequence[FinishedRun], patterns: Sequence[str] | None = None
) -> list[JoinedRuns]:
    """The runs of each verb of which there are several; those that make networks come last."""
    verbs = sorted(dict.fromkeys(run.verb for run in runs), key="train".__eq__)
    several = {verb: [run for run in runs if run.verb == verb] for verb in verbs}
    return [
        JoinedRuns(groups(own), chosen_scores(own, patterns))
        for own in several.values()
        if len(own) > 1 or len(verbs) == 1
    ]


def blocks_of_runs(
    runs: Sequence[FinishedRun], joined: Sequence[JoinedRuns], folder: Path
) -> Iterator[Block]:
    """All networks beside each other, each verb's runs joined, and an index that unfolds."""
    yield from (plain(note).replace("\\`", "`") for note in at_chance(runs))
    yield from _of_networks(runs, folder)
    for one in joined:
        yield from _of_verb(one, folder)
    yield "## Runs"
    yield (
        "`study.csv` has a row for each run: seeds, every field in which runs differ, all numbers."
    )
    yield Fold(f"{counted(len(runs), 'run')}, each with its report", index_table(runs, folder))


def log_joined(run: Run, blocks: Sequence[Block], joined: Sequence[JoinedRuns]) -> None:
    """Show the figures and the means of the page of many runs in TensorBoard, in its own folder."""
    pictures = {f"joined/{one.name}": one for one in blocks if isinstance(one, Picture)}
    means = {f"means/{'-'.join(one.verbs)}": score_table(one) for one in joined if one.scores}
    log_page(run, pictures, texts=means)


def networks_found(runs: Sequence[FinishedRun]) -> list[str]:
    """What comparisons of more than two networks found."""
    return [str(run.record["finding"]) for run in _of_many(runs) if run.record.get("finding")]


def _of_many(runs: Sequence[FinishedRun]) -> list[FinishedRun]:
    return [run for run in runs if run.verb == "compare" and run.record["options"].get("more")]


def _of_networks(runs: Sequence[FinishedRun], folder: Path) -> Iterator[Block]:
    """What comparisons of more than two networks have of all of them."""
    for number, one in enumerate(_of_many(runs), start=1):
        run = Run.read(one.folder)
        yield f"## All networks: {code(one.folder.name)}"
        for block in joined_blocks(run, folder):
            if isinstance(block, Picture):
                block = replace(block, name=f"{number}-{block.name}")
            yield block
        yield f"More of it is on the page of {linked(one.folder, folder)}."


def _of_verb(joined: JoinedRuns, folder: Path) -> Iterator[Block]:
    """Means over seeds of the runs of one verb, and curves over the fields in which they differ."""
    verb, count = joined.verbs[0], counted(len(joined.runs), "run")
    yield f"## {count} of {verb}, joined"
    if joined.scores:
        yield score_table(joined)
        yield (
            "A row is a group of runs that differ in nothing but seeds: their own, and those that "
            "their networks were trained from. Names of groups that differ in many fields leave "
            f"out what is so by default. `{verb}-means.csv` has the means with both ends of their "
            f"intervals, `{verb}-means.tex` the table for a paper."
        )
        if flattened := _flattened(joined):
            yield flattened
        yield from difference_blocks(paired_differences(joined), verb)
        yield from remarks(joined)
    sweep = find_sweep(joined.groups)
    for picture in (*sweep_figures(joined, sweep), *pictures(joined, sweep)):
        yield replace(picture, name=f"{verb}-{picture.name}")
    yield Fold(
        f"The {count} of every group",
        "A network's seeds are of its weights and of its batch order.\n\n"
        + run_table(joined, folder),
    )


def _flattened(joined: JoinedRuns) -> str:
    """How measures of stitched with target flatten: a comparison of networks may do otherwise."""
    found = dict.fromkeys(score.partition("/")[0] for score in joined.scores)
    measures = [name for name in found if name in MEASURES]
    if not measures or joined.verbs != ["stitch"]:
        return ""
    told = " and ".join(f"{code(name)} `{MEASURES[name].flattenings[0]}`" for name in measures)
    return f"Measures are of the stitched representation with the target at the cut: {told}."


def chosen_scores(runs: Sequence[FinishedRun], patterns: Sequence[str] | None = None) -> list[str]:
    """The names of scores that match, in the order of the patterns.

    Runs may have none that matches; whoever asks for all runs says so.
    """
    known = list(dict.fromkeys(name for run in runs for name in run.scores))
    if patterns is None:
        main = _matching(_MAIN, known)[:_SHOWN]
        shared = [name for name in known if all(name in run.scores for run in runs)]
        telling = [name for name in shared or known if _tells(name)]
        same = [name for name in telling if re.search(r"/([^/]+)/\1$", name)]  # layer with itself
        return main or (same or telling or known)[:_FEW]
    return _matching(patterns, known)


def _matching(patterns: Sequence[str], names: Sequence[str]) -> list[str]:
    """The names that match, in the order of the patterns."""
    return list(dict.fromkeys(n for p in patterns for n in names if fnmatchcase(n, p)))


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
        f"{_MARK} of a network that is {AT_CHANCE}: {named_at_chance(chance)}. It is in the means. "
        "A `report` of these runs leaves it out with ‹without_chance›."
    ]


def named_at_chance(runs: Sequence[FinishedRun]) -> str:
    """These runs, each with those of its networks that are at chance; of many the networks."""
    if len(runs) <= _NAMED:
        return ", ".join(f"{run.folder.name} ({' and '.join(run.at_chance)})" for run in runs)
    found = Counter(run.called(role) for run in runs for role in run.at_chance)
    return ", ".join(f"{name} (in {counted(n, 'run')})" for name, n in found.items())


def _marked(name: str, runs: Iterable[FinishedRun]) -> str:
    return f"{name} {_MARK}" if any(run.at_chance for run in runs) else name


def score_table(joined: JoinedRuns) -> str:
    """A row for each group: how many runs of how many networks, each score's mean ± margin."""
    rows, header = means_table(joined)
    return markdown_table(rows, header, right=header[1:])


def means_table(joined: JoinedRuns) -> tuple[list[list[Any]], list[str]]:
    """Its rows and its header; what all cells of a column are over stands in its head."""
    scores = _told_once(joined)
    rows, header = rows_of(joined, scores)
    networks = [
        len({sha for run in joined.counted(group) for sha in run.networks.values()})
        for group in joined.groups
    ]
    if any(networks):  # none of runs that make the networks
        rows = [[*row[:2], n, *row[2:]] for row, n in zip(rows, networks, strict=True)]
        header = [*header[:2], "networks", *header[2:]]
    return rows, header


def remarks(joined: JoinedRuns) -> Iterator[str]:
    """How to read the table, and what makes its intervals say less than they seem to."""
    repeated = [group for group in joined.groups if len(joined.counted(group)) > 1]
    if repeated:
        yield _how_sure(joined, repeated)
    else:
        yield "No two of these runs differ in seeds alone, so there is no interval."
    means = [joined.mean(group, score) for group in repeated for score in joined.scores]
    if any(mean.is_clipped for mean in means):
        yield (
            "± is the same to both sides. Where that reaches beyond what a score can be, such as "
            "100 %, bars, bands and the ends in the CSV stop there."
        )
    if joined.replays:
        names = ", ".join(code(run.folder.name) for run in joined.replays)
        yield f"Run again from the same seeds, and so not counted as further runs: {names}."
    commits = {run.record.get("commit") for run in joined.runs}
    if len(commits) > 1:
        said = ", ".join(code(_short(commit)) for commit in sorted(map(str, commits)))
        yield f"The runs were made by different versions of the code: {said}."
    yield from _warned(joined.runs)


def _warned(runs: Sequence[FinishedRun]) -> Iterator[str]:
    """What Python warned of, each once: warnings that differ in numbers alone are one."""
    alike: dict[str, dict[str, str]] = {}  # the first of each by the name of its run
    for run in runs:
        for text in run.record["warnings"]:
            alike.setdefault(re.sub(r"\d[\d.e+-]*", "0", text), {}).setdefault(
                run.folder.name, text
            )
    lines = []
    for found in alike.values():
        name, text = next(iter(found.items()))
        where = code(name) if len(found) == 1 else f"{len(found)} runs, such as {code(name)}"
        lines.append(f"- {where}: {plain(text)}")
    if lines:
        yield "Python warned in these runs:\n\n" + "\n".join(lines)


def sweep_figures(joined: JoinedRuns, sweep: Sweep | None) -> Iterator[Picture]:
    """Scores over layers or over a number, if that is what the groups differ in."""
    means = {
        score: {
            group: joined.mean(group, score)
            for group in joined.groups
            if joined.values(group, score)
        }
        for score in _told_once(joined)[:_DRAWN]
    }
    return iter(()) if sweep is None else sweep_pictures(sweep, means)


def _told_once(joined: JoinedRuns) -> list[str]:
    """The scores without `solved` where `after` is the same closed form, of more images."""
    asked = [run.asked for run in joined.runs]
    closed = all(one.get("epochs") == 0 and one.get("init") == "ps_inv" for one in asked)
    gone = {
        score
        for score in joined.scores
        if closed and score.endswith("/solved") and f"{score[:-6]}after" in joined.scores
    }
    return [score for score in joined.scores if score not in gone]


def pictures(joined: JoinedRuns, sweep: Sweep | None) -> Iterator[Picture]:
    """The first scores, each with all groups below each other, and every run as a dot.

    Where curves show them already, the first of each measure is enough.
    """
    scores = joined.scores[:_DRAWN]
    if sweep:
        scores = [*{score.partition("/")[0]: score for score in scores[::-1]}.values()][::-1]
    for score in scores:
        means = {group: joined.mean(group, score) for group in joined.groups}
        known = {group: mean for group, mean in means.items() if mean.n}
        if known:
            yield Picture(
                score,
                intervals(
                    {group: mean.values for group, mean in known.items()},
                    {group: (mean.value, mean.low, mean.high) for group, mean in known.items()},
                    _called(score),
                    percent=is_share(score),
                ),
                f"`{score}` of every group. A dot is a run, or a network if it is a score of one "
                "network alone; where a group has several, the upright line is their mean and the "
                "bar its 95 % interval. Groups whose bars lie far apart differ by more than their "
                "seeds; bars that overlap say nothing of groups of the same networks.",
            )


def _called(score: str) -> str:
    """A score by name, behind what the page of a stitch calls it if that is other words."""
    what = score.partition("/")[0]
    title = score_title(what)
    return score if title == what.replace("_", " ") else f"{title}: {score}"


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
    mean, share = joined.mean(group, score), is_share(score)
    found, all_runs = len(joined.values(group, score)), len(joined.counted(group))
    text = format_value(mean.value, share)
    if math.isfinite(mean.margin):
        text = f"{text.removesuffix(' %')} ± {format_value(mean.margin, share)}"
    if 0 < found < all_runs:
        return f"{text} ({found} of {all_runs})"
    return text


def _how_sure(joined: JoinedRuns, groups: Sequence[str]) -> str:
    """What varies within the groups, and what their intervals know of it."""
    varying, shared = set(), False
    for group in groups:
        runs = joined.counted(group)
        first = runs[0].seeds
        varying |= {name for run in runs for name, seed in run.seeds.items() if seed != first[name]}
        networks = [sha for run in runs for sha in run.networks.values()]
        shared |= len(networks) > len(set(networks))
    said = "± is half the width of the 95 % interval of the mean over a group's runs."
    if not varying:
        return f"{said} Within a group no seed varies: the interval says nothing of other seeds."
    said += f" Within a group these seeds vary: {', '.join(sorted(varying))}."
    if not varying & {"sender", "receiver", "subject", "init_noise", "gradient_noise"}:
        return f"{said} The networks are the same, so it says nothing of other networks."
    if shared:
        said += (
            " Some of these runs share a network, and are no independent draws: where a network is "
            "in several, the interval is that of leaving out one network at a time, with all of "
            "its runs; of fewer than three networks there is none."
        )
    return said


def _short(commit: str) -> str:
    name, dirty, _ = commit.partition("-")
    return name[:12] + dirty + ("dirty" if dirty else "")
