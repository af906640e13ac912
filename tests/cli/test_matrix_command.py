import csv
import json
import math
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from frankenstein.cli import main
from frankenstein.errors import UserError
from frankenstein.intervals import share_interval
from frankenstein.stitching import StitchedRun
from frankenstein.stitching.matrix.fill import kinds_and_seeds
from frankenstein.stitching.matrix.page import warnings_of
from frankenstein.stitching.matrix.results import Number, Results
from frankenstein.stitching.plan import StitchPlan

LISTS = ("--sender-layers", "fc1", "fc2", "--receiver-layers", "fc1", "fc2")
FEW = (*LISTS, "-b", "64", "--measures", "linear_cka", "--untrained", "1")


@pytest.fixture
def pair(saved):
    return saved("lenet", 0), saved("lenet", 1)


def summary_of(folder):
    return json.loads((folder / "summary.json").read_text())


def lines_of(folder):
    return list(csv.DictReader((folder / "matrix.csv").read_text().splitlines()))


def test_all_pairs_leave_a_folder_with_heatmaps_tables_and_numbers(run, pair):
    folder = run("stitch", *pair, "--all", "-e", "0", "--measures", "linear_cka")
    assert folder.name == "lenet-10-1-in0-10-1-in1-digits-all-solved"
    layers = ("conv1", "conv2", "fc1", "fc2")
    fits = [(s, t) for s in layers for t in layers if not (s[:2] == "fc" and t[:4] == "conv")]
    summary = summary_of(folder)
    places = ("accuracy/solved", "accuracy/untrained", "agreement/solved", "linear_cka")
    places += ("within_class_linear_cka",)
    expected = {f"{place}/{s}/{t}" for place in places for s, t in fits}
    kinds = ("solved", "solved_few", "untrained")
    expected |= {
        f"accuracy_{e}/{k}/{s}/{t}" for e in ("low", "high") for k in kinds for s, t in fits
    }
    expected |= {f"accuracy/solved_few/{s}/{t}" for s, t in fits}
    expected |= {f"accuracy/untrained_spread/{s}/{t}" for s, t in fits}
    ends = ("", "_low", "_high")
    expected |= {f"accuracy{end}/{side}" for end in ends for side in ("sender", "receiver")}
    costs = ("parameters", "multiplications")
    expected |= {f"{what}/{s}/{t}" for what in costs for s, t in fits}
    expected |= {f"{what}/{side}" for what in costs for side in ("sender", "receiver")}
    assert set(summary) == expected | {"n"}
    assert summary["n"] == 60
    lines = lines_of(folder)
    assert len(lines) == 8 * len(fits)
    for line in lines:
        alone = line["kind"] in ("measures", "cost")
        place = line["what"] if alone else f"{line['what']}/{line['kind']}"
        place = f"{place}/{line['sender_layer']}/{line['receiver_layer']}"
        assert float(line["value"]) == summary[place]
        share = line["kind"] in kinds
        assert line["n"] == ("60" if share else "")
        if share:
            low, high = share_interval(summary[place], 60)
            if line["kind"] == "untrained":  # of five: from the lowest end to the highest
                assert float(line["low"]) <= low < high <= float(line["high"])
                assert line["seeds"] == "5"
            else:
                assert (float(line["low"]), float(line["high"])) == (low, high)
    report = (folder / "report.md").read_text()
    assert "4 pairs without such a stitch (n/a). The first: the source is a vector" in report
    assert "## What each grafted network costs" in report
    for what in ("accuracy-solved", "agreement-solved", "linear_cka-measures", "cost"):
        assert (folder / "figures" / f"{what}.png").is_file()
    tags = EventAccumulator(str(folder)).Reload().Tags()["images"]
    assert {"matrix/accuracy-solved", "matrix/linear_cka-measures"} <= set(tags)
    assert {path.name for path in folder.iterdir() if path.is_dir()} == {"figures", "stitches"}
    with pytest.raises(UserError, match=r"is a matrix of stitches; make one of them a file: frank"):
        StitchedRun.read(folder, ["after"])


def test_what_is_not_trained_has_no_bar_and_what_is_left_out_is_said(few_digits, pair, capsys):
    words = ["stitch", *pair, *LISTS, "-e", "0", "--run-name", "a", "--accelerator", "cpu"]
    words += ["--untrained", "1"]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert said.startswith("a\n━ solving ")
    assert "━ solving control 1 of 1 (" in said
    assert "Left out" not in said  # nobody asked for it
    assert main([*words, "--measures", "unbiased_cka", "linear_cka"]) == 0
    said = capsys.readouterr().out
    assert "training " not in said.partition("solved stitches")[0]
    assert "4 solved stitches are clearly above their control" in said
    left_out = "Left out: unbiased_cka, which a matrix of stitches has not"
    assert left_out in said
    assert left_out in Path("results/stitch/a-2/report.md").read_text()


def test_a_cell_is_what_stitching_that_pair_alone_gives(run, pair):
    words = ("-b", "64", "-e", "1", "-lr", "0.01", "--seed", "3", "--measures", "linear_cka")
    words = (*words, "--untrained", "2")
    matrix = summary_of(run("stitch", *pair, *LISTS, *words))
    alone = summary_of(run("stitch", *pair, "fc1", "fc2", *words))
    assert matrix["accuracy/trained/fc1/fc2"] == pytest.approx(alone["accuracy/after"], abs=1e-12)
    assert matrix["accuracy/solved/fc1/fc2"] == pytest.approx(alone["accuracy/ps_inv"], abs=1e-12)
    assert matrix["agreement/trained/fc1/fc2"] == pytest.approx(alone["agreement/after"], abs=1e-12)
    for kind, row in (("untrained", "untrained"), ("solved_few", "solved")):
        assert matrix[f"accuracy/{kind}/fc1/fc2"] == pytest.approx(
            alone[f"accuracy/{row}"], abs=1e-12
        )
    assert matrix["accuracy/untrained_spread/fc1/fc2"] == pytest.approx(
        alone["accuracy_spread/untrained"], abs=1e-12
    )
    assert matrix["accuracy/sender"] == pytest.approx(alone["accuracy/sender"], abs=1e-12)


def test_an_interrupted_matrix_goes_on_and_ends_as_if_it_had_not_been(
    run, pair, at, mistake, capsys
):
    whole = run("stitch", *pair, *FEW, "-e", "1", "--seeds", "2", "--run-name", "whole")
    # Two rows of four steps, each of two stitches, are done.
    steps = at("step", 17, lambda: os.kill(os.getpid(), signal.SIGINT))
    words = ["stitch", *pair, *FEW, "-e", "1", "--run-name", "cut", "--quiet"]
    assert main([*words, "--accelerator", "cpu", "--seeds", "2"]) == 130
    capsys.readouterr()

    assert main([*words, "--accelerator", "cpu", "--seeds", "3", "--resume"]) == 2
    assert "has seeds 2, this one 3; resume it with its own options" in capsys.readouterr().err
    steps[:] = [None] * 100
    folder = run(*words[:-1], "--seeds", "2", "--resume")
    assert len(steps) == 100 + 16  # the other two of four rows
    assert folder.name == "cut"
    for name in ("matrix.csv", "summary.json"):
        assert (folder / name).read_text() == (whole / name).read_text()
    assert len(list(folder.glob("events.out.tfevents.*"))) == 1  # none of the unfinished figures
    assert not list(folder.parent.glob("*.partial"))


def test_seeds_repeat_what_is_random_and_only_that(run, pair):
    folder = run("stitch", *pair, *FEW, "-e", "1", "--seeds", "3", "-i", "perm")
    lines = lines_of(folder)
    seeds = {line["kind"]: line["seeds"] for line in lines}
    once = dict.fromkeys(("solved", "solved_few", "measures", "cost"), "1")
    assert seeds == {**once, "untrained": "1", "trained": "3"}
    margins = [float(line["margin"]) for line in lines if line["kind"] == "trained"]
    assert any(margin > 0 for margin in margins)
    assert all(math.isfinite(margin) for margin in margins)
    summary = summary_of(folder)
    assert "accuracy/solved_margin/fc1/fc2" not in summary
    assert summary["accuracy/trained_margin/fc1/fc2"] >= 0
    report = (folder / "report.md").read_text()
    assert "Solved stitches have nothing random in them: they are not repeated" in report
    assert "over the 3 seeds 0 to 2" in report


def test_a_start_that_is_solved_trains_on_from_there(run, pair):
    summary = summary_of(run("stitch", *pair, *FEW, "-e", "1", "-lr", "0", "-i", "ps_inv"))
    for s, t in (("fc1", "fc1"), ("fc2", "fc2")):
        assert summary[f"accuracy/trained/{s}/{t}"] == summary[f"accuracy/solved/{s}/{t}"]


def matrix_of(trained, solved):
    """Results of two pairs of layers, with one value a pair of each kind."""
    pairs = [("a", "c"), ("b", "c")]
    numbers = [
        Number(kind, "accuracy", pair, (value,), 1000)
        for kind, values in (("solved", solved), ("trained", trained))
        for pair, value in zip(pairs, values, strict=False)
    ]
    networks = {"sender": 0.95, "receiver": 0.95}
    by_key = {(number.kind, number.what, number.pair): number for number in numbers}
    return Results(("a", "b"), ("c",), by_key, networks, 1000, {}, most_frequent=0.1)


def test_a_matrix_whose_training_fell_short_says_so():
    plan = StitchPlan(sender="a", receiver="b", all=True)
    (line,) = warnings_of(plan, matrix_of([0.2, 0.91], [0.99, 0.9]))
    assert "in 1 of 2 stitches, such as from a to c (20.00 %, and the closed form 99.00 %)" in line
    assert line.endswith("start them at ps_inv")
    plan = replace(plan, init="ps_inv")
    (line,) = warnings_of(plan, matrix_of([0.2, 0.91], [0.99, 0.9]))
    assert line.endswith("take a smaller lr")
    assert warnings_of(plan, matrix_of([], [0.99, 0.9])) == []


def test_a_matrix_solved_on_few_rows_says_where_and_what_is_better(run, pair):
    words = "--measures", "linear_cka", "--untrained", "1", "-e", "0", "--solve-on", "20"
    assert (
        "**Warning:** from fc1 to fc1 20 rows are few for least squares over 120 units, which "
        "falls apart near as many rows as units: solve on more, or take an orthogonal stitch."
    ) in (run("stitch", *pair, *LISTS, *words) / "report.md").read_text()


def test_only_random_partners_are_drawn_anew_for_every_seed_of_what_is_solved():
    plan = StitchPlan(sender="a", receiver="b", all=True, epochs=0)
    untrained = [("untrained", k) for k in range(5)]
    assert kinds_and_seeds(plan)[:7] == [("solved", 0), ("solved_few", 0), *untrained]
    plan = replace(plan, mask="random-permutation", seeds=2)
    assert kinds_and_seeds(plan)[:3] == [("solved", 0), ("solved", 1), ("solved_few", 0)]


def test_means_over_seeds_are_held_against_what_is_solved():
    short = Number("trained", "accuracy", ("a", "c"), (0.2, 0.3), 1000)
    results = matrix_of([0.2], [0.99])
    results = replace(
        results, numbers={**results.numbers, ("trained", "accuracy", ("a", "c")): short}
    )
    ((trained, solved),) = results.clearly_below("trained", "solved")
    assert (trained.mean, solved.mean) == (pytest.approx(0.25), 0.99)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("--all relu2", "--all takes no SENDER_LAYER, got 'relu2'; use --sender-layers relu2"),
        ("--sender-layers relu2 --receiver-layers rel2", "LeNet has no layer 'rel2'; did you mean"),
        (
            "relu2 relu3 --seeds 2",
            "say --all, or for an interval of this one pair --sender-layers relu2 "
            "--receiver-layers relu3 --seeds 2",
        ),
        ("--all -s 3", "--save-frequency is of the pictures of one stitch, and a matrix has none"),
        ("--all -e 0 -i eye", "--init eye is where training starts, and here there is none"),
        ("--all -e 0 --seeds 3", "stitches that are only solved have nothing random in them"),
        ("relu2 relu2 --resume", "nothing to resume: no results/stitch"),
        ("--all --seeds 0", "--seeds must be at least 1, got 0"),
        ("--all --devices 2", "a matrix of stitches is made on one device; leave out --devices"),
        ("--all --precision 16-mixed", "is trained in 32-true or bf16-mixed, got 16-mixed"),
        ("--all --resume", "nothing to resume: no results/stitch"),
        ("--all --family sparse", "a sparse stitch needs --l1"),
        ("--sender-layers fc1 --receiver-layers relu2", "no pair of layers can be stitched: the"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing(mistake, pair, words, expected):
    assert expected in mistake("stitch", *pair, *words.split())


@pytest.mark.parametrize("objective", ["final_features", "latent_alignment"])
def test_a_pair_behind_which_nothing_lies_has_no_stitch_only_if_its_objective_needs_more(
    run, pair, objective
):
    layers = ("--sender-layers", "fc1", "--receiver-layers", "fc1", "fc3")
    words = ("-e", "1", "--debug", "--measures", "linear_cka", "--untrained", "1")
    folder = run("stitch", *pair, *layers, *words, "--objective", objective)
    summary, report = summary_of(folder), (folder / "report.md").read_text()
    assert "accuracy/trained/fc1/fc1" in summary
    impossible = objective == "final_features"
    for kind in ("solved", "trained"):
        assert (f"accuracy/{kind}/fc1/fc3" in summary) != impossible
    said = "1 pair without such a stitch (n/a). The first: final_features fits the layer that"
    assert (said in report) == impossible


def test_a_matrix_without_any_pair_for_its_objective_leaves_nothing(mistake, pair, tmp_path):
    layers = ("--sender-layers", "fc1", "--receiver-layers", "fc3")
    said = mistake("stitch", *pair, *layers, "-e", "1", "--objective", "final_features")
    assert "no such layer lies behind fc3; take --objective direct" in said
    assert not list(tmp_path.rglob("*.partial"))
