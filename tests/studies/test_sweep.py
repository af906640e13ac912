import csv
import math
from itertools import product
from pathlib import Path

import pytest

from frankenstein.studies.finished import FinishedRun
from frankenstein.studies.means import Mean
from frankenstein.studies.sweep import find_sweep, sweep_pictures


def mean(value, limits=(-math.inf, math.inf), n=3):
    return Mean(value, 0.1, (value,) * n, n, limits)


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
        groups[group], means[group] = [FinishedRun(Path(group), record, {})], mean(width / epochs)
    sweep = find_sweep(groups)
    assert (sweep.axis, sweep.ticks) == ("width k of dense", [])
    assert sweep.places["16, 20"] == (16, "networks' epochs 20")
    (picture,) = sweep_pictures(sweep, {"merge/barrier_val/by_weights": means})
    (axes,) = picture.figure.axes
    assert axes.get_ylabel() == "merge/barrier val"
    lines = {line.get_label(): line.get_xydata().tolist() for line in axes.get_lines()}
    assert lines == {
        f"networks' epochs {e}, by weights": [[k, k / e] for k in (16, 64, 128)] for e in (2, 20)
    }


def stitched(layers, families):
    """Groups of stitches over the layers of one network, with what they asked."""
    card = {"architecture": "lenet", "num_classes": 10, "in_channels": 1, "image_size": None}
    card |= {"sha256": "0", "dataset": None, "init_seed": None, "order_seed": None, "epochs": None}
    groups = {}
    for layer, family in product(layers, families):
        options = {"sender": "a", "receiver": "b", "sender_layer": layer, "receiver_layer": layer}
        options |= {"family": family}
        record = {"verb": "stitch", "options": options, "cards": {"sender": card, "receiver": card}}
        groups[f"{layer} {family}"] = [FinishedRun(Path(layer), record, {})]
    return groups


def test_a_control_has_its_familys_colour_and_equal_lines_and_the_receiver_are_drawn_once():
    groups = stitched(("conv1", "fc1"), ("affine", "orthogonal"))
    heights = {
        "conv1 affine": 0.9,
        "conv1 orthogonal": 0.7,
        "fc1 affine": 0.8,
        "fc1 orthogonal": 0.6,
    }
    means = {
        "accuracy/after": {group: mean(height) for group, height in heights.items()},
        "accuracy/untrained": {g: mean(h / 2, (0.0, 1.0)) for g, h in heights.items()},
        "accuracy/ps_inv": {g: mean(heights[f"{g.split()[0]} affine"]) for g in heights},
        "accuracy/receiver": {group: mean(0.95, (0.0, 1.0)) for group in heights},
    }
    (picture,) = sweep_pictures(find_sweep(groups), means)
    (axes,) = picture.figure.axes
    lines = {line.get_label(): line for line in axes.get_lines()}
    control = ", untrained sender"
    families = ("affine", "orthogonal")
    assert [*lines] == [*families, *(f"{one}{control}" for one in families), "receiver"]
    for family in families:
        assert lines[family].get_color() == lines[family + control].get_color()
        assert lines[family + control].get_linestyle() == "--"
    assert lines["affine"].get_color() != lines["orthogonal"].get_color()
    assert axes.yaxis.get_major_formatter()(0.5).endswith(" %")
    assert picture.figure.legends[0].get_title().get_text() == "n = 3 runs of 3 networks"
    rows = list(csv.DictReader(picture.csv.splitlines()))
    assert {(row["series"], row["layer"]) for row in rows} == set(product(lines, ("conv1", "fc1")))
    first = {"series": "affine", "layer": "conv1", "mean": "0.9", "n": "3"}
    assert {key: rows[0][key] for key in first} == first
    assert (float(rows[0]["low"]), float(rows[0]["high"])) == pytest.approx((0.8, 1.0))
    assert float(rows[-1]["high"]) == 1.0  # where an accuracy ends


def joined_by_objective(layers, **rows):
    """Groups of stitches by two objectives at these layers, and the figure of their accuracies."""
    groups = stitched(["conv1"], ["affine"])
    (one,) = groups.values()
    made, means = {}, {f"accuracy/{row}": {} for row in rows}
    for (x, (sender, receiver)), objective in product(enumerate(layers), ("task", "direct")):
        options = {**one[0].record["options"], "objective": objective}
        options |= {"sender_layer": sender, "receiver_layer": receiver}
        group = f"{x} {objective}"
        made[group] = [FinishedRun(Path(group), {**one[0].record, "options": options}, {})]
        for row, (task, direct) in rows.items():
            height = (task if objective == "task" else direct) - x / 10
            means[f"accuracy/{row}"][group] = mean(height)
    sweep = find_sweep(made)
    (picture,) = sweep_pictures(sweep, means)
    return sweep, picture


def test_what_all_lines_have_alike_is_named_after_none_of_them():
    depths = [("conv1", "conv1"), ("fc1", "fc1")]
    _, picture = joined_by_objective(depths, before=(0.7, 0.7), after=(0.9, 0.8))
    assert {row["series"] for row in csv.DictReader(picture.csv.splitlines())} == {
        "before",
        "objective task",
        "objective direct",
    }


@pytest.mark.parametrize(
    ("layers", "ordered"),
    [
        ([("conv1", "conv1"), ("conv2", "fc1")], False),  # a depth, and a pair across
        ([("conv1", "fc1"), ("fc1", "conv1")], False),
        ([("conv1", "conv1"), ("fc1", "fc1")], True),
        ([("conv1", "conv1"), ("conv1", "fc1")], True),
        ([("conv1", "conv2"), ("conv2", "fc1")], True),
    ],
)
def test_only_depths_of_one_thing_are_joined_by_a_line(layers, ordered):
    sweep, picture = joined_by_objective(layers, after=(0.9, 0.8))
    assert sweep.ordered == ordered
    (axes,) = picture.figure.axes
    assert {line.get_linestyle() for line in axes.get_lines()} == ({"-"} if ordered else {"None"})
    assert ("in the order of the network" in picture.caption) == ordered
    assert ("Bands are" in picture.caption) == ordered


def test_an_axis_calls_a_score_as_the_tables_do():
    groups = stitched(("conv1", "fc1"), ("affine", "orthogonal"))
    means = {"final_explained/after": dict.fromkeys(groups, mean(0.5))}
    (picture,) = sweep_pictures(find_sweep(groups), means)
    assert picture.figure.axes[0].get_ylabel() == "final R²"
