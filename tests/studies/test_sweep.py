from pathlib import Path

import pytest

from frankenstein.studies.finished import FinishedRun
from frankenstein.studies.sweep import find_sweep


@pytest.mark.parametrize("made", ["my_nets.py:small", "timm/test_vit"])
def test_layers_of_a_network_that_is_not_of_the_zoo_are_ordered_by_name(made):
    card = {"architecture": made, "num_classes": 10, "in_channels": 1, "image_size": 28}
    card |= {"sha256": "0", "dataset": None, "init_seed": None, "order_seed": None, "epochs": None}
    groups = {}
    for layer in ("blocks.10", "head", "blocks.2"):
        options = {"sender": "a", "receiver": "b", "sender_layer": layer, "receiver_layer": layer}
        record = {"verb": "stitch", "options": options, "cards": {"sender": card, "receiver": card}}
        groups[layer] = [FinishedRun(Path(layer), record, {})]
    sweep = find_sweep(groups)
    assert sweep is not None
    assert sweep.ticks == ["blocks.2", "blocks.10", "head"]
