"""A study as a graph: plans, each with those that have to be done before it.

networks trained from seeds 0..4   ->   train x 5   ->   compare x 1, stitch and analyze x 10 pairs

All pairs of several networks are compared in one run, in which each network runs once.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from frankenstein.catalog import VERBS
from frankenstein.errors import PlanError
from frankenstein.runs.plan import Plan
from frankenstein.runs.schema import REQUIRED, options_of
from frankenstein.similarity.plan import OF_TWO, within_classes
from frankenstein.studies.grid import choices_of
from frankenstein.studies.members import ALL, FILE, Member, members_of, pairs_of

OF_PAIRS = ("compare", "stitch", "analyze")  # what a study does to each pair
_OWN = ("out_dir", "run_name", "quiet", "resume", "sender", "receiver", "more")
_BETWEEN = {"compare": "-vs-", "stitch": "-to-", "analyze": "-vs-"}


@dataclass(frozen=True)
class Node:
    """One run of a study."""

    name: str  # "train/lenet-0": its place in the study's folder
    plan: Plan
    after: tuple[str, ...] = ()  # names of those that it waits for
    opens: bool = False  # whether it opens a network from outside of the study


def graph_of(
    networks: Any, pairs: Any, blocks: Mapping[str, Any], folder: str, shared: Mapping[str, Any]
) -> list[Node]:
    """Every run of a study, each behind those that it waits for.

    `blocks` are the fields, grids among them, of what is done to each pair, by verb: one mapping or
    several, in a list or by names, which are then in those of the runs. `shared` are fields that
    all plans take from the study if they have them.

    Raises:
        PlanError: if a block, a pair or a network is none, or a plan refuses its fields.
        UserError: if a file is not there.
    """
    members = members_of(networks)
    nodes = [*_trained(members, folder, shared)]
    asked = {verb: block for verb, block in blocks.items() if block is not None}
    found: list[tuple[Member, ...]] = [*pairs_of(members, pairs)] if asked else []
    for verb, block in asked.items():
        of_all = verb == "compare" and pairs in ALL
        together = tuple(members) * (of_all and len(members) > 2)
        some = [*pairs_of(members, "all")] if of_all else found  # both ways a pair compares alike
        nodes += _numbered(_asked(verb, block, some, together, folder, shared))
    return nodes


def _trained(members: Sequence[Member], folder: str, shared: Mapping[str, Any]) -> Iterator[Node]:
    for one in members:
        if one.trained_by is not None:
            yield _node("train", one.name, one.trained_by, folder, shared)


def _asked(
    verb: str,
    block: Any,
    pairs: Sequence[tuple[Member, ...]],
    together: tuple[Member, ...],
    folder: str,
    shared: Mapping[str, Any],
) -> Iterator[Node]:
    """What is asked of each pair; of those together, if there are any, where it can be."""
    choices = [
        (label, choice)
        for label, each in _several(block)
        for choice in choices_of(VERBS[verb].target, each, _OWN)
    ]
    for label, choice in choices:
        within = within_classes(choice.fields.get("measures") or [])
        of_two = within or any(choice.fields.get(name) for name in OF_TWO)
        for members in [together] if together and not of_two else pairs:
            sender, receiver, *more = (_file(one, folder) for one in members)
            fields = {**choice.fields, "sender": sender, "receiver": receiver}
            if more:
                fields["more"] = more
            names = [one.name for one in members]
            between = f"{len(names)}-networks" if more else _BETWEEN[verb].join(names)
            name = "-".join(filter(None, [between, label, choice.label]))
            after = dict.fromkeys(f"train/{one.name}" for one in members if one.source is None)
            opens = any(one.source is not None for one in members)
            yield _node(verb, name, fields, folder, shared, tuple(after), opens)


def _several(block: Any) -> list[tuple[str, Any]]:
    """The blocks of a verb, each with its name, which is "" if it has none."""
    if isinstance(block, list):
        return [("", each) for each in block]
    if isinstance(block, Mapping) and all(isinstance(each, Mapping) for each in block.values()):
        return [(str(name), each) for name, each in block.items()] or [("", block)]
    return [("", block)]


def _node(
    verb: str,
    name: str,
    fields: Mapping[str, Any],
    folder: str,
    shared: Mapping[str, Any],
    after: tuple[str, ...] = (),
    opens: bool = False,
) -> Node:
    kind: type[Plan] = VERBS[verb].target
    options = options_of(kind)
    given = {key: value for key, value in shared.items() if key in options} | dict(fields)
    given |= {"out_dir": folder, "run_name": name, "quiet": True}
    for key, one in options.items():
        if one.default is REQUIRED and key not in given:
            raise PlanError(f"{verb} of a study does not say {key}; add `{key}: ...`")
    try:
        return Node(f"{verb}/{name}", kind(**given), after, opens)
    except PlanError as error:
        raise PlanError(f"{verb} of this study: {error.args[0]}") from None


def _numbered(nodes: Iterator[Node]) -> Iterator[Node]:
    """Each under a name of its own: two blocks of one verb may give the same."""
    taken: set[str] = set()
    for one in nodes:
        name, number, plan = one.name, 2, one.plan
        while name in taken:
            name, number = f"{one.name}-{number}", number + 1
        taken.add(name)
        if name != one.name:
            plan = type(plan)(**{**plan.values(), "run_name": name.partition("/")[2]})
        yield replace(one, name=name, plan=plan)


def _file(one: Member, folder: str) -> str:
    return one.source or f"{folder}/train/{one.name}/{FILE}"
