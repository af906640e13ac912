import json

import pytest

from frankenstein.questions import AnalyzePlan, open_subject
from frankenstein.questions.run import _section as section_of
from frankenstein.zoo import load_network, read_card


def scores(folder):
    found = json.loads((folder / "summary.json").read_text())
    return {key.removeprefix("merge/"): value for key, value in found.items()}


def test_a_network_merged_with_itself_has_no_barrier_and_is_saved(run, saved):
    path = saved("mlp")
    folder = run("analyze", path, path, "--merge", "-n", "40")
    found = scores(folder)
    whole = found["accuracy/sender"]
    assert found["accuracy/merged_by_weights"] == found["accuracy/mean_of_logits"] == whole
    assert found["barrier_val/by_weights"] == pytest.approx(0, abs=1e-5)
    assert found["line_loss_val/by_weights/0.0"] == pytest.approx(found["loss/sender"], rel=1e-5)
    assert read_card(folder / "merged.safetensors").architecture == "mlp"
    assert load_network(folder / "merged.safetensors").input_shape == (1, 28, 28)
    report = (folder / "report.md").read_text()
    assert "(2 sets of units can be reordered)" in report
    assert "on 40 held-out images" in report


def test_networks_that_cannot_be_merged_are_refused_by_name(mistake, saved):
    said = mistake("analyze", saved("lenet"), saved("dense"), "--merge")
    assert "networks of one architecture can be merged, got 'conv1.weight'" in said


def test_asked_for_all_the_report_says_why_there_is_no_merging(saved, few_digits):
    pair, layers = (saved("lenet"), saved("dense")), ("relu4", "relu3")
    plan = AnalyzePlan(
        sender=pair[0], receiver=pair[1], all=True, sender_layer="relu4", receiver_layer="relu3"
    )
    subject = open_subject(*pair, *layers, examples=20, untrained=1, quiet=True)
    section = section_of(None, plan, "merge", plan.questions()["merge"], subject)
    assert section.blocks[0].startswith("Not asked: networks of one architecture can be merged")
