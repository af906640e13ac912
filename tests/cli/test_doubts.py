import pytest

from frankenstein.cli import main
from frankenstein.cli.doubts import doubts, untaught
from frankenstein.cli.score_tables import shown
from frankenstein.compare.shares import share_interval


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
    assert "learned nothing that shows; try more epochs" in (path / "report.md").read_text()
    words = ["-m", "nbn_tiny10", "-d", "digits", "-e", "0", "--accelerator", "cpu"]
    assert main(["train", *words, "--run-name", "b"]) == 0
    assert "warning: the network (" in capsys.readouterr().out
