"""Finished runs, as their own records tell of them: what was asked, which seeds, what came out."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from glob import glob
from pathlib import Path
from typing import Any

from frankenstein.catalog import VERBS
from frankenstein.errors import UserError
from frankenstein.intervals import share_interval
from frankenstein.networks.network import told_name
from frankenstein.runs.fields import PARTIAL
from frankenstein.runs.run import read_records
from frankenstein.runs.schema import options_of
from frankenstein.studies.means import Mean, mean_of

_NETWORKS = ("sender", "receiver", "subject")  # fields of plans that name a network
_SCORED = ("sender", "receiver", "held_out")  # accuracies of whole networks
# What two seeds of one network differ in, and an epoch, which its step says.
_OF_CARDS = {"init_seed", "order_seed", "file", "sha256", "epoch"}
_SHA = 8  # digits of a hash that tell networks apart in a name
_SAID = 4  # fields that a name has, whatever they are by default


@dataclass(frozen=True, eq=False)
class FinishedRun:
    """A run that is whole, as its records have it: any version may have written them."""

    folder: Path
    record: Mapping[str, Any]  # run.json
    scores: Mapping[str, float | None]  # summary.json; None is undefined

    @property
    def verb(self) -> str:
        """What was run."""
        return self.record["verb"]

    @cached_property
    def cards(self) -> dict[str, Any]:
        """Its networks; further ones by number, for their files are a matter of seeds."""
        own = [name for name in _NETWORKS if self.record["options"].get(name)]
        cards = self.record["cards"]
        further = [card for role, card in cards.items() if role not in own]
        named = {role: card for role, card in cards.items() if role in own}
        return named | {f"more {i}": card for i, card in enumerate(further, start=1)}

    @cached_property
    def asked(self) -> dict[str, Any]:
        """Everything that makes its scores what they are, but for the seeds."""
        kept = {
            name: value
            for name, value in self.record["options"].items()
            if self._changes(name) == "numbers" and name not in (*_NETWORKS, "more")
        }
        for role, card in self.cards.items():
            # Of a network whose seeds are unknown it is unknown whether it differs in these alone.
            gone = _OF_CARDS if card["init_seed"] is not None else _OF_CARDS - {"sha256"}
            kept |= {f"{role} {what}": v for what, v in card.items() if what not in gone}
        return {"verb": self.verb, **kept}

    @cached_property
    def seeds(self) -> dict[str, Any]:
        """The seeds of the run and of its networks."""
        options = self.record["options"].items()
        seeds = {name: value for name, value in options if self._changes(name) == "seed"}
        for role, card in self.cards.items():
            both = card["init_seed"], card["order_seed"]
            seeds[role] = "/".join("–" if seed is None else str(seed) for seed in both)
        return seeds

    @cached_property
    def at_chance(self) -> list[str]:
        """Its networks that are not clearly above an answer that is always the same, by role."""
        known = {**self.record, **self.scores}
        always = known.get("accuracy/most_frequent")
        images = known.get("n/receiver", known.get("n", known.get("examples")))
        if always is None or not images or images < 1:
            return []
        accuracies = {role: self.scores.get(f"accuracy/{role}") for role in _SCORED}
        return [
            role
            for role, accuracy in accuracies.items()
            if accuracy is not None and share_interval(accuracy, int(images))[0] <= always
        ]

    def called(self, role: str) -> str:
        """The name of one of its networks; of one that the run made, its own."""
        source = self.record["options"].get(role)
        return told_name(source) if isinstance(source, str) else self.folder.name

    @cached_property
    def networks(self) -> dict[str, str]:
        """The sha256 of its networks, by role."""
        return {role: card["sha256"] for role, card in self.cards.items()}

    def _changes(self, name: str) -> str:
        """What a field can change; of one that this version does not know, the numbers."""
        known = options_of(VERBS[self.verb].target) if self.verb in VERBS else {}
        return known[name].changes if name in known else "numbers"


@dataclass(frozen=True, eq=False)
class JoinedRuns:
    """Groups of runs by name, and the names of the scores that are shown of them."""

    groups: Mapping[str, Sequence[FinishedRun]]
    scores: Sequence[str]

    @property
    def runs(self) -> list[FinishedRun]:
        """All of them."""
        return [run for group in self.groups.values() for run in group]

    @property
    def verbs(self) -> list[str]:
        """What was run."""
        return list(dict.fromkeys(run.verb for run in self.runs))

    @cached_property
    def replays(self) -> list[FinishedRun]:
        """Runs that repeat an earlier one, seeds and networks included; no mean counts them."""
        known, repeated = set(), []
        for run in self.runs:
            key = json.dumps([run.asked, run.seeds, run.networks], sort_keys=True)
            repeated += [run] if key in known else []
            known.add(key)
        return repeated

    def counted(self, group: str) -> list[FinishedRun]:
        """The runs that a group's mean is over."""
        return [run for run in self.groups[group] if run not in self.replays]

    def values(self, group: str, score: str) -> list[float]:
        """A score of the runs that are counted and have it."""
        values = [run.scores.get(score) for run in self.counted(group)]
        return [value for value in values if value is not None]

    def mean(self, group: str, score: str) -> Mean:
        """Its mean over the runs that are counted, or over their networks."""
        return mean_of(self.counted(group), score)

    def summary(self) -> dict[str, float]:
        """All means and margins as one flat record."""
        record = {}
        for group in self.groups:
            for score in self.scores:
                mean = self.mean(group, score)
                record[f"{score}/{group}"] = mean.value
                if math.isfinite(mean.margin):
                    record[f"{score}_margin/{group}"] = mean.margin
        return record


def read_finished(folders: Iterable[str]) -> tuple[list[FinishedRun], list[Path]]:
    """The runs in these folders or globs, each once, and folders of runs that are not finished.

    Raises:
        UserError: if one is no folder of a run, a glob matches none, or there is no finished one.
    """
    folders = [path for folder in folders for path in _expanded(folder)]
    paths = dict.fromkeys(Path(folder).resolve() for folder in folders)
    names = {Path(folder).resolve(): Path(folder) for folder in folders}
    if not paths:
        raise UserError("there is no run to report on; name folders such as results/stitch/RUN")
    partial = [names[path] for path in paths if path.name.endswith(PARTIAL)]
    whole = [names[path] for path in paths if not path.name.endswith(PARTIAL)]
    if not whole:
        raise UserError(f"{partial[0]} is not finished; go on with it by ‹resume›")
    return [_read(path) for path in whole], partial


def _expanded(folder: str) -> list[str]:
    """What a glob matches, where no shell has looked: in a YAML file, a study, Python."""
    if not set(folder) & set("*?[") or Path(folder).exists():
        return [folder]
    if found := sorted(glob(folder)):
        return found
    raise UserError(f"no run matches {folder}; name folders such as results/stitch/RUN")


def groups(runs: Iterable[FinishedRun]) -> dict[str, list[FinishedRun]]:
    """Runs that differ in their seeds alone, by a name that says what other groups have not.

    Snapshots, and networks of the same seeds that are not the same, are told apart by their files:
    they are no other seeds.
    """
    runs = list(runs)
    several = _of_one_training(runs)
    together: dict[str, list[FinishedRun]] = {}
    asked_of: dict[str, dict[str, Any]] = {}
    for run in runs:
        files = {
            f"{role} file": Path(str(card.get("file"))).name
            for role, card in run.cards.items()
            if _is_snapshot(card) or (role, run.seeds[role]) in several
        }
        asked_here = {**run.asked, **files}
        key = json.dumps(asked_here, sort_keys=True)
        together.setdefault(key, []).append(run)
        asked_of[key] = asked_here
    names = _told_apart([asked_of[key] for key in together])
    named: dict[str, list[FinishedRun]] = {}
    for name, found in zip(names, together.values(), strict=True):
        named[f"{name} ({len(named) + 1})" if name in named else name] = found
    return named


def _told_apart(asked: Sequence[Mapping[str, Any]]) -> list[str]:
    """What each was asked that others were not; of many things, without what is so by default."""
    names = []
    for one in asked:
        others = [other for other in asked if other["verb"] == one["verb"]]
        said = {k: v for k, v in one.items() if any(other.get(k) != v for other in others)}
        if len(said) > _SAID:
            usual = options_of(VERBS[one["verb"]].target)
            said = {k: v for k, v in said.items() if k not in usual or usual[k].default != v}
        if len(others) < len(asked) or not said:
            said = {"verb": one["verb"], **said}
        names.append(said_of(said))
    return names


def _of_one_training(runs: Iterable[FinishedRun]) -> set[tuple[str, str]]:
    """Roles and seeds of which there are several networks, though the rest is the same."""
    found: dict[tuple[str, str, str], set[str]] = {}
    for run in runs:
        asked = json.dumps(run.asked, sort_keys=True)
        for role, card in run.cards.items():
            if not _is_snapshot(card):
                found.setdefault((role, run.seeds[role], asked), set()).add(card["sha256"])
    return {key[:2] for key, shas in found.items() if len(shas) > 1}


def _is_snapshot(card: Mapping[str, Any]) -> bool:
    """Whether it is one whose step its folder alone tells of: later ones say it themselves."""
    return card.get("step") is None and Path(str(card.get("file"))).parent.name == "snapshots"


def _read(folder: Path) -> FinishedRun:
    record, scores = read_records(folder)
    if record["verb"] == "report":
        raise UserError(f"{folder} is a report itself; name the runs that it joins")
    return FinishedRun(folder, record, scores)


def said_of(asked: Mapping[str, Any]) -> str:
    """Options in few words: layers as `bn3 → bn5`, nothing of an option that was not used.

    >>> said_of({"sender_layer": "bn3", "receiver_layer": "bn5", "low_rank": None, "all": False})
    'bn3 → bn5'
    >>> said_of({"low_rank": None}), said_of({"low_rank": 8, "measures": ["a", "b"], "all": True})
    ('low_rank –', 'low_rank 8, measures a b, all')
    >>> said_of({"sender epochs": 6, "receiver epochs": 6})
    "networks' epochs 6"
    >>> said_of({"sender sha256": "0123456789abcdef"})
    'sender sha256 01234567'
    """
    used = {key: value for key, value in asked.items() if value not in (None, False, [])}
    words = []
    if {"sender_layer", "receiver_layer"} <= set(used):
        words.append(f"{used.pop('sender_layer')} → {used.pop('receiver_layer')}")
    for key in [key for key in used if key.startswith("sender ")]:
        what = key.removeprefix("sender ")
        if used[key] == used.get(f"receiver {what}"):
            used = {k: v for k, v in used.items() if k not in (key, f"receiver {what}")}
            used[f"networks' {what}"] = asked[key]
    for key, value in used.items():
        text = " ".join(map(str, value)) if isinstance(value, list) else str(value)
        text = text[:_SHA] if key.endswith("sha256") else text  # all of it is in run.json
        words.append(text if key == "verb" else key if value is True else f"{key} {text}")
    return ", ".join(words or [f"{key} –" for key in asked])
