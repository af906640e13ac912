"""Finished runs, as their own records tell of them: what was asked, which seeds, what came out."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from frankenstein.errors import UserError
from frankenstein.networks.cards import SIDES
from frankenstein.runs.resume import PARTIAL

# Options that change no number: where things lie, what is shown, and where it is computed.
_IDLE = {"out_dir", "run_name", "data_root", "quiet", "resume", "accelerator", "devices"}
_SEEDS = {"seed", "init_noise", "gradient_noise"}
_OF_CARDS = {"init_seed", "order_seed", "file", "sha256"}  # what two seeds of one network differ in
_NAMES = ("run.json", "summary.json")


@dataclass(frozen=True)
class Finished:
    """A run that is whole."""

    folder: Path
    record: Mapping[str, Any]  # run.json
    scores: Mapping[str, float | None]  # summary.json; None is undefined

    @property
    def verb(self) -> str:
        """What was run."""
        return self.record["verb"]

    @property
    def cards(self) -> dict[str, Any]:
        """Its networks; those of --more by number, for their files are a matter of seeds."""
        cards = enumerate(self.record["cards"].items(), start=-1)  # sender, receiver, more 1
        return {whose if whose in SIDES else f"more {i}": card for i, (whose, card) in cards}

    @property
    def asked(self) -> dict[str, Any]:
        """Everything that makes its scores what they are, but for the seeds."""
        kept = {
            name: value
            for name, value in self.record["options"].items()
            if name not in _IDLE | _SEEDS and name not in (*self.cards, "more")
        }
        for whose, card in self.cards.items():
            # Of a network whose seeds are unknown it is unknown whether it differs in these alone.
            gone = _OF_CARDS if card["init_seed"] is not None else _OF_CARDS - {"sha256"}
            kept |= {f"{whose} {what}": v for what, v in card.items() if what not in gone}
        return {"verb": self.verb, **kept}

    @property
    def seeds(self) -> dict[str, Any]:
        """The seeds of the run and of its networks."""
        found = {name: v for name, v in self.record["options"].items() if name in _SEEDS}
        for whose, card in self.cards.items():
            seeds = card["init_seed"], card["order_seed"]
            found[whose] = "/".join("–" if seed is None else str(seed) for seed in seeds)
        return found

    @property
    def networks(self) -> dict[str, str]:
        """The sha256 of its networks, by whose they are."""
        return {whose: card["sha256"] for whose, card in self.cards.items()}


def read_finished(folders: Iterable[str]) -> tuple[list[Finished], list[Path]]:
    """The runs in these folders, each once, and folders of runs that are not finished.

    Raises:
        UserError: if one is no folder of a run, or there is no finished one.
    """
    paths = dict.fromkeys(Path(folder).resolve() for folder in folders)
    names = {Path(folder).resolve(): Path(folder) for folder in folders}
    if not paths:
        raise UserError("there is no run to report on; name folders such as results/stitch/RUN")
    partial = [names[path] for path in paths if path.name.endswith(PARTIAL)]
    whole = [names[path] for path in paths if not path.name.endswith(PARTIAL)]
    if not whole:
        raise UserError(f"{partial[0]} is not finished; go on with it by --resume")
    return [_read(path) for path in whole], partial


def groups(runs: Iterable[Finished]) -> dict[str, list[Finished]]:
    """Runs that differ in their seeds alone, by a name that says what other groups have not."""
    together: dict[str, list[Finished]] = {}
    for run in runs:
        together.setdefault(json.dumps(run.asked, sort_keys=True), []).append(run)
    asked = [found[0].asked for found in together.values()]
    named: dict[str, list[Finished]] = {}
    for one, found in zip(asked, together.values(), strict=True):
        others = [other for other in asked if other["verb"] == one["verb"]]
        said = {k: v for k, v in one.items() if any(other.get(k) != v for other in others)}
        if len(others) < len(asked) or not said:
            said = {"verb": one["verb"], **said}
        name = said_of(said)
        named[f"{name} ({len(named) + 1})" if name in named else name] = found
    return named


def replays(runs: Iterable[Finished]) -> list[Finished]:
    """Those that repeat an earlier one, seeds and networks included: they are no further sample."""
    known, found = set(), []
    for run in runs:
        key = json.dumps([run.asked, run.seeds, run.networks], sort_keys=True)
        found += [run] if key in known else []
        known.add(key)
    return found


def _read(folder: Path) -> Finished:
    parts = []
    for name in _NAMES:
        file = folder / name
        if not file.is_file():
            inside = folder.is_dir() and any(folder.glob(f"*/{name}"))
            hint = f"name the runs inside: {folder}/*" if inside else "give results/<verb>/<run>"
            raise UserError(f"{folder} is no folder of a run: there is no {file}; {hint}")
        try:
            parts.append(json.loads(file.read_text(encoding="utf-8")))
        except ValueError:
            raise UserError(f"{file} is damaged: it is not JSON; run again") from None
    record, scores = parts
    if not {"verb", "options", "cards"} <= set(record):
        raise UserError(f"{folder} was written by another version of frankenstein; run it again")
    if record["verb"] == "report":
        raise UserError(f"{folder} is a report itself; name the runs that it joins")
    return Finished(folder, record, scores)


def said_of(asked: Mapping[str, Any]) -> str:
    """Options in few words: layers as `bn3 → bn5`, nothing of an option that was not used.

    >>> said_of({"sender_layer": "bn3", "receiver_layer": "bn5", "low_rank": None, "all": False})
    'bn3 → bn5'
    >>> said_of({"low_rank": None}), said_of({"low_rank": 8, "measures": ["a", "b"], "all": True})
    ('low_rank –', 'low_rank 8, measures a b, all')
    >>> said_of({"sender epochs": 6, "receiver epochs": 6})
    "networks' epochs 6"
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
        words.append(text if key == "verb" else key if value is True else f"{key} {text}")
    return ", ".join(words or [f"{key} –" for key in asked])
