"""The networks of a study and its pairs: trained here from seeds, or files and other sources."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from glob import glob
from itertools import combinations, pairwise, permutations
from pathlib import Path
from typing import Any

from frankenstein.errors import PlanError, UserError, did_you_mean
from frankenstein.records import cut, shown
from frankenstein.shipped import shipped
from frankenstein.source import parse_source
from frankenstein.studies.grid import choices_of, whole_numbers
from frankenstein.training.plan import TrainPlan

PAIRS = ("all", "both", "same", "chain")
ALL = ("all", "both")  # every two networks: once, or once each way
FILE = "network.safetensors"  # in the folder of a run of `train`
_KEYS = ("train", "seeds", "sources")
_SEEDS = ("init_noise", "gradient_noise")
_OWN = ("out_dir", "run_name", "quiet", "resume")


@dataclass(frozen=True)
class Member:
    """One network of a study."""

    name: str
    source: str | None = None  # None of one that the study trains
    trained_by: Mapping[str, Any] | None = None  # fields of its TrainPlan
    kind: str | None = None  # what it has in common with those that differ in seeds alone


def members_of(networks: Any) -> list[Member]:
    """The networks that `networks` of a study names.

    It is {train: fields, seeds: 0..4}, {sources: [...]}, both, a source or glob, or a list of all
    these.

    Raises:
        PlanError: if it says anything else, or names no network.
        UserError: if a file is not there, or a glob matches none.
    """
    members: list[Member] = []
    for entry in networks if isinstance(networks, list) else [networks]:
        if isinstance(entry, str):
            members += map(_given, _expanded(entry))
        elif isinstance(entry, Mapping):
            members += _of_mapping(entry)
        else:
            raise PlanError(
                "‹networks› are {train: ..., seeds: 0..4}, files and sources, or a list of these; "
                f"got {shown(entry)}"
            )
    if not members:
        raise PlanError("‹networks› names no network")
    return [*_numbered(members)]


def pairs_of(members: Sequence[Member], pairs: Any) -> list[tuple[Member, Member]]:
    """Pairs of networks: all, once or each way, those of other seeds, each with the next, a list.

    Raises:
        PlanError: if there is none, or a list names a network that is not there.
    """
    if pairs == "all":
        found = [*combinations(members, 2)]
    elif pairs == "both":
        found = [*permutations(members, 2)]
    elif pairs == "chain":
        found = [*pairwise(members)]
    elif pairs == "same":
        if unknown := [one.name for one in members if one.kind is None]:
            raise PlanError(
                f"‹pairs› same is of seeds, and those of {unknown[0]} are not known before it is "
                "opened; list the pairs"
            )
        found = [(a, b) for a, b in combinations(members, 2) if a.kind == b.kind]
    else:
        found = [*_listed(members, pairs)]
    if not found:
        raise PlanError(
            f"‹pairs› {shown(pairs)} of {len(members)} networks are none; name two networks or more"
        )
    return found


def _of_mapping(entry: Mapping[Any, Any]) -> Iterator[Member]:
    for key in entry:
        if key not in _KEYS:
            near = did_you_mean(str(key), _KEYS)
            known = ", ".join(_KEYS)
            raise PlanError(f"networks has no field {cut(str(key))}; known: {known}{near}")
    if "train" in entry:
        yield from _trained(entry["train"], entry.get("seeds"))
    elif "seeds" in entry:
        raise PlanError("seeds are of networks that are trained; say `train: {...}` beside them")
    sources = entry.get("sources", [])
    for word in [sources] if isinstance(sources, str) else sources:
        if not isinstance(word, str):
            raise PlanError(f"sources are files, globs and other sources, got {shown(word)}")
        yield from map(_given, _expanded(word))


def _trained(block: Any, seeds: Any) -> Iterator[Member]:
    numbers = [None] if seeds is None else whole_numbers(seeds, "seeds")
    for choice in choices_of(TrainPlan, block, _OWN):
        model = choice.fields.get("model", "tiny10")
        others = choice.label.removeprefix(_word(model)).removeprefix("-")
        free = [name for name in _SEEDS if name not in choice.fields]
        if seeds is not None and not free:
            raise PlanError("init_noise and gradient_noise are the seeds, too; leave seeds out")
        for seed in numbers:
            parts = [_word(model.rpartition("/")[2]), others, "" if seed is None else str(seed)]
            fields = {**choice.fields, **({} if seed is None else dict.fromkeys(free, seed))}
            kind = {name: value for name, value in fields.items() if name not in _SEEDS}
            yield Member(
                "-".join(filter(None, parts)), trained_by=fields, kind=str(sorted(kind.items()))
            )


def _expanded(word: str) -> list[str]:
    """The files that a glob matches, and a run's folder as its network; any other word itself."""
    found = [word]
    if glob(word) != [word] and set(word) & set("*?[") and parse_source(word).kind == "file":
        found = sorted(glob(word))
        if not found:
            raise UserError(f"no file matches {word}")
    return [f"{path}/{FILE}" if (Path(path) / FILE).is_file() else path for path in found]


def _given(word: str) -> Member:
    """A network that is there already.

    Raises:
        UserError: if it is a file that is not there.
    """
    check_there(word)
    source = parse_source(word)
    if source.kind == "file":
        path = Path(word)
        name = path.parent.name if path.name == FILE else path.name.partition(".")[0]
        return Member(_word(name) or "network", word)
    name = source.name.rpartition("/")[2]
    if source.seed is None:
        return Member(_word(name), word)
    return Member(f"{_word(name)}-{source.seed}", word, kind=source.label)


def check_there(word: str) -> None:
    """Refuse a file of a network that is not there.

    Raises:
        UserError: with the file, and with what a network may be instead if it is not called a file.
    """
    source = parse_source(word)
    for path in (source.path, Path(source.weights) if source.weights else None):
        if path is not None and not shipped(path).exists():
            raise UserError(f"no file {path}, which a network of this study is to be")


def _numbered(members: Sequence[Member]) -> Iterator[Member]:
    """Each under a name of its own."""
    taken: set[str] = set()
    for one in members:
        name, number = one.name, 2
        while name in taken:
            name, number = f"{one.name}-{number}", number + 1
        taken.add(name)
        yield Member(name, one.source, one.trained_by, one.kind)


def _listed(members: Sequence[Member], pairs: Any) -> Iterator[tuple[Member, Member]]:
    known = {one.name: one for one in members}
    listed = pairs if isinstance(pairs, list) else [pairs]
    if not all(isinstance(two, list) and len(two) == 2 for two in listed):
        raise PlanError(
            f"‹pairs› is {', '.join(PAIRS)} or a list of [name, name], got {shown(pairs)}"
        )
    for pair in listed:
        for name in pair:
            if name not in known:
                near = did_you_mean(str(name), known)
                names = cut(", ".join(known), 200)
                raise PlanError(f"no network is called {cut(str(name))}; known: {names}{near}")
        yield known[pair[0]], known[pair[1]]


def _word(text: str) -> str:
    return re.sub(r"[^\w.+-]+", "_", text)
