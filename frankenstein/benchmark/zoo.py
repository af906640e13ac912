"""The networks of a benchmark: a group of seeds for every condition, no seed twice."""

import zlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from frankenstein.benchmark.grounded.grounded import Grounded, Group
from frankenstein.benchmark.plan import BenchmarkPlan
from frankenstein.benchmark.table import TESTS
from frankenstein.studies.graph import Node
from frankenstein.studies.members import FILE
from frankenstein.training.plan import TrainPlan


def tests_of(plan: BenchmarkPlan) -> dict[str, Grounded]:
    """The tests of a plan by name."""
    return {name: TESTS[name].target for name in plan.asked}


def shown_alike(tests: Mapping[str, Grounded]) -> dict[str, dict[str, Grounded]]:
    """Tests that show their networks the same images, which are therefore read together."""
    kinds = {"plain": False, "marked": True}
    found = {
        kind: {name: test for name, test in tests.items() if test.marked == has_marker}
        for kind, has_marker in kinds.items()
    }
    return {kind: several for kind, several in found.items() if several}


def members(group: Group, seeds: int) -> list[str]:
    """What the networks of a group are called."""
    return [f"{group.name}-{number}" for number in range(seeds * group.times)]


def groups_of(test: Grounded, seeds: int) -> dict[str, str]:
    """The group of every network of a test; its own name of one that is like no other."""
    return {
        name: group.name if group.alike else name
        for group in test.groups
        for name in members(group, seeds)
    }


def graph_of(plan: BenchmarkPlan, folder: str) -> list[Node]:
    """Every training, each once whatever the tests that need it, and a run of tests for each kind
    of images that they show."""
    tests = tests_of(plan)
    trained: dict[str, Node] = {}
    for group in (group for test in tests.values() for group in test.groups):
        for name in members(group, plan.seeds):
            trained.setdefault(name, Node(f"train/{name}", _train(plan, group, name, folder)))
    own: dict[str, Any] = {"networks": f"{folder}/train", "out_dir": folder, "quiet": True}
    own |= {"workers": None, "scheduler": None}
    nodes = [*trained.values()]
    for kind, several in shown_alike(tests).items():
        asked = replace(plan, tests=[*several], run_name=kind, **own)
        after = dict.fromkeys(
            f"train/{one}" for test in several.values() for one in groups_of(test, plan.seeds)
        )
        nodes.append(Node(f"benchmark/{kind}", asked, tuple(after)))
    return nodes


def _train(plan: BenchmarkPlan, group: Group, name: str, folder: str) -> TrainPlan:
    # Of its own, so that no two networks begin alike, or see images in one order.
    seed = zlib.crc32(name.encode()) % 2**31
    fields: dict[str, Any] = {
        key: getattr(plan, key)
        for key in (
            *("dataset", "data_root", "model", "epochs", "batch_size", "lr", "optimizer"),
            "accelerator",
        )
    }
    fields |= {"init_noise": seed, "gradient_noise": seed, **group.changes}
    return TrainPlan(**fields, out_dir=folder, run_name=name, quiet=True, save_frequency=2**31)


def file_of(networks: str, name: str) -> str:
    """Where a network of a benchmark lies."""
    return f"{networks}/{name}/{FILE}"
