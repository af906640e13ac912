from pathlib import Path

import pytest
from frankenstein.networks.doubts import doubts, unlearned, untaught

from frankenstein.cli import main
from frankenstein.intervals import share_interval
from frankenstein.stitching.score_tables import shown


def scores_of(**accuracies):
    scores = {}
    for whose, share in accuracies.items():
        ends = share_interval(share, 1000)
        values = zip(("accuracy", "accuracy_low", "accuracy_high"), (share, *ends), strict=True)
        scores |= {f"{what}/{whose}": value for what, value in values}
    return scores


RANDOM, SOLVED = {"init": "random"}, {"init": "ps_inv"}


@pytest.mark.parametrize(
    ("scores", "values", "expected"),
    [
        (
            {"after": 0.186, "ps_inv": 0.992, "solved": 0.99, "untrained": 0.4},
            RANDOM,
            "`after` (18.60 %) is clearly below `solved` (99.00 %) and not clearly above "
            "`untrained` (40.00 %): it is not its family's best; try -i ps_inv",
        ),
        (
            {"after": 0.8, "ps_inv": 0.9, "untrained": 0.4},
            RANDOM,
            "`after` (80.00 %) is clearly below `ps_inv` (90.00 %): it is not its family's best; "
            "try -i ps_inv",
        ),
        (
            {"before": 0.9, "after": 0.8, "ps_inv": 0.99, "untrained": 0.4},
            SOLVED,
            "`after` (80.00 %) is clearly below `before` (90.00 %): it is not its family's best; "
            "try a smaller -lr",
        ),
        (
            {"after": 0.905, "ps_inv": 0.9, "untrained": 0.9},
            RANDOM,
            "`after` (90.50 %) is not clearly above `untrained` (90.00 %): what it reaches is no "
            "sign of what the sender has learned",
        ),
    ],
)
def test_one_line_says_what_is_wrong_and_what_to_try(scores, values, expected):
    assert doubts(scores_of(**scores), values) == [expected]


@pytest.mark.parametrize(
    "scores",
    [
        {"after": 0.88, "ps_inv": 0.9, "untrained": 0.4},  # 1,000 images do not tell these apart
        {"after": 0.9, "solved": 0.9, "ps_inv": 0.99, "untrained": 0.4},  # of another family
        {"after": 0.9},
        {"before": 0.1, "ps_inv": 0.9, "untrained": 0.4},
    ],
)
def test_nothing_is_said_without_a_reason(scores):
    assert doubts(scores_of(**scores), RANDOM) == []


def test_a_run_whose_training_did_not_get_there_warns(run, capsys, monkeypatch):
    trained = run("train", "-m", "lenet", "-d", "digits", "-e", "12", "-b", "32", "-lr", "0.02")
    network = str(trained / "network.safetensors")
    words = [network, network, "fc2", "fc2", "-r", "12", "-e", "0", "--measures", "linear_cka"]
    words += ["--accelerator", "cpu"]
    assert main(["stitch", *words, "--run-name", "a"]) == 0
    lines = capsys.readouterr().out.splitlines()
    (line,) = [line for line in lines if line.startswith("warning: ")]
    assert "is clearly below `solved` (" in line
    assert line.endswith("try -i ps_inv")
    with open("results/stitch/a/report.md") as report:
        assert line.replace("warning:", "**Warning:**") in report.read()
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["evaluate", "results/stitch/a", "--accelerator", "cpu"]) == 0
    said = capsys.readouterr().out
    assert line in said
    rows = [row for row in said.splitlines() if row.startswith("│")]
    assert max(map(len, rows)) <= 80
    assert len({row.split()[1] for row in rows if "_" in row}) == 3  # none is broken in two
    assert main(["stitch", *words, "-i", "ps_inv"]) == 0
    assert "clearly below" not in capsys.readouterr().out


def test_a_process_that_has_no_scores_shows_nothing():
    assert shown({}, ["linear_cka"], "a", RANDOM) == []


def test_a_network_that_has_learned_nothing_is_told_of():
    assert untaught(0.15, 0.1, n=1000) == []
    (line,) = untaught(0.11, 0.1, n=1000)
    assert line.startswith("the network (11.00 %) is not clearly above the most frequent answer (1")


def test_a_run_that_taught_nothing_warns_in_the_terminal_and_in_the_report(run, capsys):
    path = run("train", "-m", "nbn_tiny10", "-d", "digits", "-e", "1")
    report = (path / "report.md").read_text()
    assert "learned nothing that shows; in train.py try more epochs" in report
    words = ["-m", "nbn_tiny10", "-d", "digits", "-e", "0", "--accelerator", "cpu"]
    assert main(["train", *words, "--run-name", "b"]) == 0
    assert "warning: the network (" in capsys.readouterr().out


def test_a_sender_or_a_receiver_that_learned_nothing_is_named():
    scores = {"accuracy/sender": 0.1, "accuracy/receiver": 0.9, "accuracy/most_frequent": 0.1}
    (line,) = unlearned(scores, 1000)
    assert line == (
        "the sender (10.00 %) is not clearly above the most frequent answer (10.00 %): it has "
        "learned nothing that shows; take the data that it was trained on (-d), or in train.py try "
        "more epochs, another -lr, or -opt adam"
    )
    assert unlearned({**scores, "accuracy/sender": 0.8}, 1000) == []
    assert unlearned({"accuracy/sender": 0.1}, 1000) == []  # nobody knows what chance is
    assert len(unlearned({**scores, "accuracy/receiver": 0.1}, 1000)) == 2


@pytest.mark.parametrize(
    "words",
    [
        "stitch A B fc2 fc2 -e 0 --measures linear_cka",
        "stitch A B --sender-layers fc2 --receiver-layers fc2 -e 0",
        "compare A B fc2 fc2",
        "compare A B fc2 fc2 linear_cka",
        "analyze A B fc2 --activations",
    ],
)
def test_networks_that_learned_nothing_are_told_of_wherever_their_accuracy_is(
    words, saved, few_digits, capsys
):
    paths = {"A": saved("lenet", 0), "B": saved("lenet", 1)}
    words = [paths.get(word, word) for word in words.split()]
    assert main([*words, "--run-name", "a", "--accelerator", "cpu"]) == 0
    said = capsys.readouterr().out
    report = Path(f"results/{words[0]}/a/report.md").read_text()
    for whose in ("sender", "receiver"):
        assert said.count(f"warning: the {whose} (") == 1
        assert report.count(f"**Warning:** the {whose} (") == 1


def test_an_evaluated_network_that_learned_nothing_is_told_of(saved, few_digits, capsys):
    words = ["evaluate", saved("lenet"), "--run-name", "a", "--accelerator", "cpu"]
    assert main(words) == 0
    assert "warning: the network (" in capsys.readouterr().out
    assert "**Warning:** the network (" in Path("results/evaluate/a/report.md").read_text()
