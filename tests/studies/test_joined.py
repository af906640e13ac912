import csv
import json
import math
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from frankenstein.catalog import VERBS
from frankenstein.cli import main
from frankenstein.cli.parser import parse
from frankenstein.cli.words import spoken
from frankenstein.intervals import mean_and_margin
from frankenstein.networks.network import open_network
from frankenstein.runs.page import write_page
from frankenstein.runs.run import Run
from frankenstein.studies.finished import FinishedRun, JoinedRuns, groups, read_finished
from frankenstein.studies.page import chosen_scores, pictures
from frankenstein.studies.sweep import find_sweep


@pytest.fixture
def finished(saved, monkeypatch, tmp_path):
    """Makes the folder of a stitching run, of which nothing is real but its records."""
    monkeypatch.setenv("FRANKENSTEIN_RUN_FOLDER", "")
    monkeypatch.chdir(tmp_path)

    def make(name, accuracy, words="", seeds=(0, 1), verb="stitch", **more):
        pair = [saved("lenet", seed) for seed in seeds] if verb == "stitch" else []
        layers = [] if "relu" in words or verb != "stitch" else ["relu1", "relu1"]
        values = parse(spoken(verb), [*pair, *layers, *words.split()])
        roles = ("sender", "receiver")
        networks = [open_network(file, role) for file, role in zip(pair, roles, strict=False)]
        with Run.write(VERBS[verb].target(**values), name, networks) as run:
            held_out = "held_out" if verb == "train" else "after"
            run.numbers |= {f"accuracy/{held_out}": accuracy, "accuracy/untrained": 0.5, **more}
            write_page(run, name, ["A run."])
        return str(run.folder)

    return make


@pytest.fixture
def joined(capsys):
    """Runs `frankenstein report` and returns its folder."""

    def command(*words):
        code = main(["report", *words, "--quiet"])
        said = capsys.readouterr()
        assert (code, said.err) == (0, "")
        return Path(said.out.strip())

    return command


def summary(folder):
    return json.loads((folder / "summary.json").read_text())


def test_runs_that_differ_in_seeds_alone_are_one_mean_with_its_interval(
    finished, joined, check_page
):
    accuracies = [0.9, 0.92, 0.97]
    runs = [finished(f"s{i}", value, f"--seed {i}") for i, value in enumerate(accuracies)]
    folder = joined(*runs)
    mean, margin = mean_and_margin(accuracies)
    found = summary(folder)
    assert found["accuracy/after/stitch"] == pytest.approx(mean)
    assert found["accuracy/after_margin/stitch"] == pytest.approx(margin)
    text = (folder / "report.md").read_text()
    assert len(list(folder.glob("events.out.tfevents.*"))) == 1
    (row, *_) = csv.DictReader((folder / "stitch-means.csv").read_text().splitlines())
    assert (float(row["mean"]), row["n"]) == (pytest.approx(mean), "3")
    latex = (folder / "stitch-means.tex").read_text()
    assert "group & runs & networks & accuracy, after & accuracy, untrained" in latex
    assert f"{100 * mean:.2f} $\\pm$ {100 * margin:.2f} \\%" in latex
    assert text.index("stitch-accuracy-after.png") < text.index("<details>") < text.index("[s0](")
    assert f"{100 * mean:.2f} ± {100 * margin:.2f} %" in text
    assert "says nothing of other networks" in text
    page = check_page(folder / "report.html")
    links = [link.get("href") for link in page.iter("a") if "/stitch/" in link.get("href")]
    assert len(links) == 2 * 3  # what each found, and the seeds of each
    assert all((folder / link).resolve().is_file() for link in links)
    assert links[0] == "../../stitch/s0/report.html"
    head, *rows = csv.reader((folder / "study.csv").read_text().splitlines())
    assert [row[head.index("run")] for row in rows] == [f"../../stitch/s{i}" for i in range(3)]
    assert [float(row[head.index("accuracy/after")]) for row in rows] == accuracies


def test_a_mean_is_of_runs_that_differ_in_seeds_alone_and_others_have_a_range(finished, joined):
    runs = [finished(f"s{i}", 0.8 + i / 10, f"--seed {i}") for i in range(2)]
    found = (joined(*runs) / "report.md").read_text()
    assert "`accuracy/after` is 85.00 % on average, from 80.00 % to 90.00 %." in found
    unlike = [*runs, finished("other", 0.5, "relu1 relu1 -r 4")]
    found = (joined(*unlike) / "report.md").read_text()
    assert (
        "`accuracy/after` is from 50.00 % to 90.00 %, in 2 groups that differ in more than seeds."
    ) in found
    assert "on average" not in found


def test_an_interval_beyond_what_a_score_can_be_ends_there_everywhere(finished, joined):
    runs = [finished(f"s{i}", value, f"--seed {i}") for i, value in enumerate([0.6, 0.8, 0.98])]
    folder = joined(*runs, "--scores", "accuracy/after")
    (row,) = csv.DictReader((folder / "stitch-means.csv").read_text().splitlines())
    assert float(row["high"]) == 1.0
    of_all = JoinedRuns(groups(read_finished(runs)[0]), ["accuracy/after"])
    (picture,) = pictures(of_all, None)
    assert picture.figure.axes[0].get_title() == "accuracy/after"
    (segment,) = picture.figure.axes[0].containers[0][2][0].get_segments()
    assert segment[1][0] == 1.0
    text = (folder / "report.md").read_text()
    assert "stop there" in text
    assert "stop there" not in (joined(*runs[:1]) / "report.md").read_text()


def test_a_figure_calls_a_score_as_the_page_of_a_stitch_does(finished, joined):
    runs = [finished("a", 0.9, **{"final_explained/after": 0.5})]
    of_all = JoinedRuns(groups(read_finished(runs)[0]), ["final_explained/after"])
    (picture,) = pictures(of_all, None)
    assert picture.figure.axes[0].get_title() == "final R²: final_explained/after"


def test_networks_of_other_seeds_are_of_one_group_too(finished, joined):
    apart = joined(finished("a", 0.9, seeds=(0, 1)), finished("b", 0.9, seeds=(2, 3)))
    text = (apart / "report.md").read_text()
    assert "these seeds vary: receiver, sender" in text
    assert "share a network" not in text
    beside = joined(finished("c", 0.9, seeds=(0, 1)), finished("d", 0.9, seeds=(0, 3)))
    assert "share a network, and are no independent draws" in (beside / "report.md").read_text()


def test_what_differs_in_more_is_another_group_named_by_what_differs(finished, joined):
    runs = [
        finished(f"{layer}-{seed}", 0.5 + seed / 10, f"{layer} {layer} -r {rank} --seed {seed}")
        for layer in ("relu1", "relu2")
        for rank in (2, 4)
        for seed in (0, 1)
    ]
    found = summary(joined(*runs, "--scores", "accuracy/after"))
    groups = [f"relu{n} → relu{n}, low_rank {rank}" for n in (1, 2) for rank in (2, 4)]
    means = {f"accuracy/after/{group}": pytest.approx(0.55) for group in groups}
    margins = {key for key in found if "_margin" in key}
    assert {key: found[key] for key in found if key not in margins} == means
    assert len(margins) == 4


def test_names_that_say_many_things_leave_out_what_is_so_by_default(finished):
    words = {
        "relu1 → relu1": "relu1 relu1",
        "relu2 → relu2, init ps_inv, epochs 3": "relu2 relu2 -i ps_inv -e 3",
        "relu2 → relu2, low_rank 2, lr 0.5": "relu2 relu2 -r 2 --lr 0.5",
    }
    runs = [finished(f"run{k}", 0.5, each) for k, each in enumerate(words.values())]
    assert list(groups(read_finished(runs)[0])) == list(words)


def test_more_lines_than_a_figure_tells_apart_are_no_sweep(finished):
    runs = [
        finished(f"{layer}-{rank}", 0.5, f"{layer} {layer} -r {rank}")
        for layer in ("relu1", "relu2")
        for rank in range(1, 14)
    ]
    assert find_sweep(groups(read_finished(runs)[0])) is None
    assert find_sweep(groups(read_finished(runs[:12])[0])) is not None


def test_a_run_and_its_replay_are_one(finished, joined):
    runs = [finished("a", 0.9), finished("a", 0.9), finished("b", 0.8, "--seed 1")]
    folder = joined(*runs, runs[0])
    assert summary(folder)["accuracy/after/stitch"] == pytest.approx(0.85)
    text = (folder / "report.md").read_text()
    assert "not counted as further runs: `a-2`." in text
    assert text.startswith("# Report: stitch-3-runs\n")


def test_snapshots_of_one_training_are_no_seeds(finished, joined):
    folders = []
    for step in (10, 20):
        for seed in (0, 1):
            folder = finished(f"step{step}-{seed}", 0.5 + seed / 10 + step / 100, seeds=(seed, 2))
            record = Path(folder, "run.json")
            told = json.loads(record.read_text())
            told["cards"]["sender"] |= {"file": f"s/step{step}.safetensors", "sha256": folder}
            record.write_text(json.dumps(told))
            folders.append(folder)
    found = groups(read_finished(folders)[0])
    assert {name: [run.folder.name for run in runs] for name, runs in found.items()} == {
        "sender file step10.safetensors": ["step10-0", "step10-1"],
        "sender file step20.safetensors": ["step20-0", "step20-1"],
    }
    # Two of one training alone are no group of seeds.
    assert [len(runs) for runs in groups(read_finished(folders[::2])[0]).values()] == [1, 1]


def test_a_snapshot_of_one_seed_is_no_run_of_what_is_whole_of_others(finished):
    folders = []
    for seed, file in ((0, "network"), (0, "snapshots/step10"), (1, "network")):
        folders.append(finished(f"{file[:8]}-{seed}", 0.5, seeds=(seed, 2)))
        record = Path(folders[-1], "run.json")
        told = json.loads(record.read_text())
        told["cards"]["sender"] |= {"file": f"{seed}/{file}.safetensors", "sha256": folders[-1]}
        record.write_text(json.dumps(told))
    for some in (folders, folders[1:]):  # whether or not the snapshot's own training is among them
        found = groups(read_finished(some)[0])
        assert [len(runs) for name, runs in found.items() if "step10" in name] == [1]
        assert [len(runs) for name, runs in found.items() if "step10" not in name] == [
            len(some) - 1
        ]


def test_of_many_runs_with_a_network_at_chance_the_networks_are_named(finished, joined):
    always = {"accuracy/most_frequent": 0.1, "n/receiver": 100, "accuracy/receiver": 0.9}
    folders = [
        finished(f"bad{i}", 0.4, seeds=(i, 2), **always, **{"accuracy/sender": 0.12})
        for i in range(4)
    ]
    report = (joined(*folders) / "report.md").read_text()
    said = re.search(r"nothing was learned that shows: (.*?)\. It is in the means", report)[1]
    assert sum(int(n) for n in re.findall(r"\(in (\d) runs?\)", said)) == 4
    assert "bad" not in said


def test_a_network_at_chance_is_marked_in_every_table_and_left_out_if_asked(finished, joined):
    always = {"accuracy/most_frequent": 0.1, "n/receiver": 100, "accuracy/receiver": 0.9}
    folders = [
        finished(name, 0.4 + seed / 10, seeds=(seed, 2), **always, **{"accuracy/sender": sender})
        for seed, (name, sender) in enumerate({"good": 0.8, "bad": 0.12, "other": 0.7}.items())
    ]
    report = (joined(*folders) / "report.md").read_text()
    assert "† of a network that is not clearly above the most frequent answer" in report
    assert "bad (sender). It is in the means. A `report` of these runs leaves it out with" in report
    assert len([line for line in report.splitlines() if line.startswith("|") and "†" in line]) == 4
    assert len(re.findall(r"\| \[bad †\]\([^()]*\) ", report)) == 1  # a link, and not its letters
    folder = joined(*folders, "--without-chance", "--run-name", "less")
    report = (folder / "report.md").read_text()
    assert "Left out, for a network is not clearly above" in report
    assert not any("†" in line for line in report.splitlines() if line.startswith("|"))
    assert json.loads((folder / "summary.json").read_text())["accuracy/after/stitch"] == 0.5


def test_runs_of_several_verbs_stand_side_by_side(finished, joined):
    folder = joined(finished("a", 0.9), finished("net", 0.8, "-m lenet", verb="train"))
    found = summary(folder)
    assert found["accuracy/after/stitch"] == 0.9
    assert found["accuracy/held_out/train"] == 0.8
    assert found["accuracy/after/train"] is None


def test_undefined_scores_are_told_and_never_counted_as_numbers(finished, joined):
    runs = [finished("a", 0.9), finished("b", math.nan, "--seed 1"), finished("c", 0.7, "--seed 2")]
    folder = joined(*runs, "--scores", "accuracy/after")
    assert summary(folder)["accuracy/after/stitch"] == pytest.approx(0.8)
    assert "(2 of 3)" in (folder / "report.md").read_text()


def test_scores_are_chosen_by_name_or_pattern_and_every_run_is_in_the_csv(finished, joined):
    runs = [finished(str(i), 0.9, f"--seed {i}", mean_cca=i / 2) for i in range(2)]
    folder = joined(*runs, "--scores", "mean_*", "accuracy/*")
    rows = list(csv.DictReader((folder / "scores.csv").read_text().splitlines()))
    scores = ["mean_cca", "accuracy/after", "accuracy/untrained"]
    assert list(rows[0])[-3:] == scores
    assert [float(row["mean_cca"]) for row in rows] == [0, 0.5]
    assert [row["seed of seed"] for row in rows] == ["0", "1"]
    assert [row["seed of receiver"] for row in rows] == ["1/1", "1/1"]
    assert len(list((folder / "figures").glob("*.png"))) == 3


def test_a_report_is_replayed_by_its_config(finished, joined):
    one = joined(finished("a", 0.9), "--run-name", "mine")
    again = joined("--config", str(one / "config.yaml"))
    assert again.name == "mine-2"
    assert summary(again) == summary(one)


def test_its_table_fits_80_columns(finished, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    runs = [finished(str(i), 0.9 + i / 99, f"--seed {i}", loss=1.0) for i in range(3)]
    assert main(["report", *runs, "--scores", "*"]) == 0
    said = capsys.readouterr().out
    assert max(map(len, said.splitlines())) <= 80
    assert "…" not in said
    assert "91.01 ± 2.51 %" in said
    assert said.splitlines()[-2:] == [
        "report:     results/report/stitch-3-runs/report.html",
        "look at it: tensorboard --logdir results/report/stitch-3-runs",
    ]


def test_a_number_on_the_terminal_is_never_cut(finished, capsys, monkeypatch):
    words = "relu1 relu1 --mask semi-match --target-type soft_12 --temperature {} --seed {}"
    runs = [
        finished(f"{t}-{s}", 0.8 + s / 99, words.format(t, s), mean_cca=0.123456, unbiased_cka=1.0)
        for t in (1.5, 2.5)
        for s in (0, 1)
    ]
    runs.append(finished("r", 0.5, "-r 4"))
    for width in (50, 60, 80, 200):
        monkeypatch.setenv("COLUMNS", str(width))
        assert main(["report", *runs, "--scores", "*", "--run-name", "a"]) == 0
        said = capsys.readouterr().out.split("report: ")[0]
        assert max(map(len, said.splitlines())) <= width
        assert "…" not in said
        assert said.count("80.51 ± 6.42 %") == 2
        title = " ".join(said.partition("─")[0].split())
        assert (width == 200) == ("more of its scores are in the report" not in title)


def test_runs_that_are_not_finished_are_left_out_in_one_line(finished, joined, capsys):
    runs = [finished("a", 0.9), finished("b", 0.8, "--seed 1")]
    Path("results/stitch/c.partial").mkdir()
    assert main(["report", *runs, "results/stitch/c.partial", "--run-name", "mine"]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert "Left out, for they are not finished: c.partial" in said.out.splitlines()
    assert "finished: c.partial" in Path("results/report/mine/report.md").read_text()
    assert joined(*runs, "results/stitch/c.partial").name == "stitch-2-runs"


def test_an_option_that_is_not_used_is_not_named(finished, joined):
    runs = [finished("a", 0.9, "relu1 relu1"), finished("b", 0.8, "relu1 relu1 -r 4")]
    assert set(summary(joined(*runs, "--scores", "accuracy/after"))) == {
        "accuracy/after/low_rank –",
        "accuracy/after/low_rank 4",
    }
    runs += [finished("c", 0.9, "relu2 relu2 --orthogonal")]
    folder = joined(*runs, "--scores", "accuracy/after")
    assert "accuracy/after/relu2 → relu2, orthogonal" in summary(folder)
    text = (folder / "report.md").read_text().partition("## How to run it again")[0]
    assert "None" not in text


def test_a_sweep_over_layers_is_a_curve_in_the_order_of_the_network(finished, joined):
    runs = [
        finished(f"{layer}-{rank}-{seed}", x / 4 + seed / 10, f"{layer} -r {rank} --seed {seed}")
        for x, layer in enumerate(("relu2 relu2", "conv1 relu1", "relu1 pool1"))
        for rank in (2, 4)
        for seed in (0, 1)
    ]
    sweep = find_sweep(groups(read_finished(runs)[0]))
    assert sweep.axis == "layer"
    assert sweep.ticks == ["conv1 → relu1", "relu1 → pool1", "relu2"]
    assert set(sweep.places.values()) == {
        (x, f"low_rank {rank}") for x in range(3) for rank in (2, 4)
    }
    folder = joined(*runs)
    text = (folder / "report.md").read_text()
    assert "](figures/stitch-sweep-accuracy.png)" in text
    assert text.index("sweep-accuracy") < text.index("stitch-accuracy-after")


def test_a_sweep_over_a_number_is_a_curve_over_it(finished):
    runs = [finished(f"{rank}", 0.9, f"relu1 relu1 -r {rank}") for rank in (2, 16, 4)]
    sweep = find_sweep(groups(read_finished(runs)[0]))
    assert (sweep.axis, sweep.ticks) == ("low_rank", [])
    assert sorted(sweep.places.values()) == [(2, ""), (4, ""), (16, "")]
    lone = [finished("x", 0.9), finished("y", 0.9, "relu1 relu1 --init perm")]
    assert find_sweep(groups(read_finished(lone)[0])) is None


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("", "missing RUNS (folders of runs, of any verb)"),
        ("absent", "absent is no folder of a run: there is no absent/run.json; give results/"),
        ("results/stitch", "there is no results/stitch/run.json; name the runs inside: results/st"),
        ("results/stitch/b.partial", "b.partial is not finished; go on with it by --resume"),
        ("results/stitch/old", "old was written by another version of frankenstein; run it again"),
        ("results/stitch/torn", "torn/summary.json is damaged: it is no JSON object; run again"),
        ("results/report/r", "results/report/r is a report itself; name the runs that it joins"),
        ("results/stitch/a --scores accuracy/aftre", "'accuracy/aftre'; did you mean accuracy/a"),
        ("results/stitch/a --scores xyz*", "no run has a score 'xyz*'; summary.json of a run li"),
    ],
)
def test_what_is_no_run_is_one_line_and_leaves_nothing(finished, joined, capsys, words, expected):
    run = finished("a", 0.9)
    for name in ("old", "torn"):
        shutil.copytree(run, f"results/stitch/{name}")
    with open("results/stitch/old/run.json", "w") as file:
        file.write('{"command": "x"}')
    with open("results/stitch/torn/summary.json", "w") as file:
        file.write("{")
    joined(run, "--run-name", "r")
    assert main(["report", *words.split()]) == 2
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1)
    assert expected in said.err
    assert [path.name for path in Path("results/report").iterdir()] == ["r"]


def test_the_files_of_more_are_a_matter_of_seeds():
    def run(name, seed):
        card = {"architecture": "tiny10", "init_seed": seed, "order_seed": seed, "sha256": name}
        cards = {"sender": card, "receiver": card, name: card}
        record = {
            "verb": "analyze",
            "options": {"sender": "a", "receiver": "b", "more": [name]},
            "cards": cards,
        }
        return FinishedRun(Path(), record, {})

    one, other = run("in2-gn2", 2), run("in3-gn3", 3)
    assert one.asked == other.asked
    assert one.seeds["more 1"] != other.seeds["more 1"]


def test_of_a_matrix_a_report_shows_layers_with_themselves_and_no_sizes():
    cells = [f"{one}/{other}" for one in ("relu1", "relu2") for other in ("relu1", "relu2")]
    scores = {"n": 9.0, "parameters/relu1/relu1": 5.0, "accuracy/sender": 0.9}
    for cell in cells:
        scores |= {f"accuracy/solved/{cell}": 0.8, f"accuracy_low/solved/{cell}": 0.7}
    runs = [SimpleNamespace(scores=scores)] * 2
    assert chosen_scores(runs) == [f"accuracy/solved/relu{i}/relu{i}" for i in (1, 2)]
    del scores["accuracy/solved/relu1/relu1"], scores["accuracy/solved/relu2/relu2"]
    shown = ["accuracy/sender", "accuracy/solved/relu1/relu2", "accuracy/solved/relu2/relu1"]
    assert chosen_scores(runs) == shown
    assert chosen_scores(runs, ["n"]) == ["n"]
