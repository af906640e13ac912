"""What a study says of the time that is left."""

import json

from frankenstein.studies.clock import Clock
from frankenstein.studies.engine import Outcome
from frankenstein.studies.graph import graph_of


def nodes_of(layers):
    stitch = {"sender_layer": layers, "epochs": 0}
    return graph_of(["mlp#0", "mlp#1", "mlp#2"], "all", {"stitch": stitch}, "FOLDER", {})


def test_the_time_left_is_of_runs_of_the_same_kind_those_of_an_earlier_part_too(tmp_path):
    nodes = nodes_of(["fc1", "fc2"])
    slow = [node for node in nodes if node.name.endswith("fc1")]
    fast = [node for node in nodes if node.name.endswith("fc2")]
    assert Clock(nodes, {}).left(nodes, 2) is None
    (tmp_path / "run.json").write_text(json.dumps({"seconds": 100.0}))
    clock = Clock(nodes, {slow[0].name: tmp_path})
    assert clock.left(slow[1:], 1) == 200
    assert clock.left(fast, 1) == 300  # nothing better is known
    clock.ended(Outcome(fast[0].name, tmp_path, seconds=10.0))
    assert clock.left(fast[1:], 1) == 20
    assert clock.left([*slow[1:], *fast[1:]], 2) == 110
    assert clock.knows(nodes)
