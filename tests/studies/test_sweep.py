from itertools import product
from pathlib import Path

import pytest

from frankenstein.studies.finished import FinishedRun
from frankenstein.studies.sweep import find_sweep, sweep_pictures


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


def test_widths_and_epochs_of_both_networks_are_a_curve_for_each_number_of_epochs():
    card = {"num_classes": 10, "in_channels": 1, "image_size": None, "sha256": "0"}
    card |= {"dataset": "digits", "init_seed": 0, "order_seed": 0}
    groups, means = {}, {}
    for width, epochs in product((64, 16, 128), (2, 20)):
        one = card | {"architecture": f"dense_w{width}", "epochs": epochs}
        options = {"sender": "a", "receiver": "b", "merge": True}
        record = {"verb": "analyze", "options": options, "cards": {"sender": one, "receiver": one}}
        group = f"{width}, {epochs}"
        groups[group], means[group] = [FinishedRun(Path(group), record, {})], (width / epochs, 0.1)
    sweep = find_sweep(groups)
    assert (sweep.axis, sweep.ticks) == ("width k of dense", [])
    assert sweep.places["16, 20"] == (16, "networks' epochs 20")
    (picture,) = sweep_pictures(sweep, {"merge/barrier_val/by_weights": means})
    (axes,) = picture.figure.axes
    assert axes.get_ylabel() == "merge/barrier val"
    lines = {line.get_label(): line.get_xydata().tolist() for line in axes.get_lines()}
    assert lines == {
        f"by weights, networks' epochs {e}": [[k, k / e] for k in (16, 64, 128)] for e in (2, 20)
    }
