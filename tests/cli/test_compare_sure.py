import csv
import io
import json
import os
import re
import signal
import threading
from contextlib import redirect_stdout

import pytest

from frankenstein.cli import main


@pytest.fixture
def pair(saved):
    return saved("lenet", 0), saved("lenet", 1)


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_several_measures_of_layers_by_name_list_and_glob_in_one_run(run, pair):
    words = ("relu*", "pool1,fc1", "linear_cka", "unbiased_cka", "cka", "--flattening", "pooled")
    folder = run("compare", *pair, *words)
    report = (folder / "report.md").read_text()
    for measure in ("linear_cka", "unbiased_cka"):
        found = rows(folder / f"{measure}.csv")
        assert [next(iter(row.values())) for row in found] == ["relu1", "relu2", "relu3", "relu4"]
        assert list(found[0])[1:] == ["pool1", "fc1"]
        assert f"## {measure}" in report
        assert (folder / "figures" / f"{measure}.png").is_file()
        # The table of all cells says what the CSV does.
        cells = [f"{float(found[1][layer]):.3f}" for layer in ("pool1", "fc1")]
        assert re.search(rf"\| relu2 +\| +{cells[0]} +\| +{cells[1]} +\|", report)
    assert len(list(folder.glob("*.csv"))) == 2  # cka is linear_cka
    record = json.loads((folder / "run.json").read_text())
    assert record["flattenings"] == {"linear_cka": "pooled", "unbiased_cka": "pooled"}


def test_intervals_and_nulls_stand_beside_every_value(run, pair):
    words = ("relu1,conv1", "relu1", "unbiased_cka", "unit_correlation")
    folder = run("compare", *pair, *words, "--bootstrap", "39", "--permutations", "19")
    found = rows(folder / "certainty.csv")
    numbers = json.loads((folder / "summary.json").read_text())
    assert [(row["measure"], row["sender_layer"]) for row in found] == [
        ("unbiased_cka", "relu1"),
        ("unbiased_cka", "conv1"),
        ("unit_correlation", "relu1"),
        ("unit_correlation", "conv1"),
    ]
    for row in found:
        assert float(row["low"]) < float(row["of_the_kept"]) < float(row["high"])
        assert int(row["kept"]) == 60
    for row in found[:2]:
        assert float(row["p"]) == float(row["family_p"]) == 1 / 20
        assert 0 < float(row["calibrated"]) < float(row["of_the_kept"])
        assert float(row["null_mean"]) < float(row["low"])
        layers = f"{row['sender_layer']}/{row['receiver_layer']}"
        assert numbers[f"unbiased_cka_calibrated/{layers}"] == float(row["calibrated"])
        assert numbers[f"unbiased_cka_family_p/{layers}"] == 1 / 20
    report = (folder / "report.md").read_text()
    assert "95 % interval over examples: percentiles of 39 random halves" in report
    assert "✓: the family p is 0.05 or less" in report
    assert (folder / "figures" / "unbiased_cka-calibrated.png").is_file()
    assert "over 19 shuffles" in report
    assert re.search(r"\| relu1 +\| \d\.\d{3} \\\[\d\.\d{3}, \d\.\d{3}\\\] null -?0\.\d{3}", report)
    # One number to every pair is a sentence, and no figure.
    told = re.search(r"examples of one side shuffled, unbiased_cka is -?0\.0\d on average", report)
    assert (folder / "figures" / "unbiased_cka-null.png").is_file() == (told is None)
    again = run("compare", "--config", folder / "config.yaml")
    assert (again / "certainty.csv").read_text() == (folder / "certainty.csv").read_text()


def test_the_interval_of_fewer_examples_than_the_value_says_so(run, pair):
    folder = run("compare", *pair, "fc1", "fc1", "--bootstrap", "39", "--keep", "20")
    assert {row["kept"] for row in rows(folder / "certainty.csv")} == {"20"}
    report = (folder / "report.md").read_text()
    assert "20 of the 60 images, drawn uniformly" in report
    assert "as wide as for 20 images: wider than the whole value deserves" in report
    assert json.loads((folder / "run.json").read_text())["kept"] == 20


def test_two_layers_by_measures_have_them_as_columns(run, pair):
    sure = ("--bootstrap", "39", "--permutations", "19")
    folder = run("compare", *pair, "relu2", "relu2", "cka", "l2", "mean_squared_distance", *sure)
    report = (folder / "report.md").read_text()
    head, _, *lines = [
        line for line in report.splitlines() if re.match(r"\| (meas|:--|[cml])", line)
    ][:5]
    names = [name.strip() for name in head.strip("|").split("|")]
    assert names[:7] == ["measure", "value", "of the kept", "low", "high", "null mean", "p"]
    cells = {line.split("|")[1].strip(): line.strip("|").split("|")[1:7] for line in lines}
    value, kept, low, high, null, p = map(float, cells["cka"])
    assert low < value == kept < high
    assert null < value
    assert p == 0.05
    # A distance is small where two are alike, and l2 is its share of a unit.
    assert float(cells["l2"][4]) > float(cells["l2"][0])
    assert float(cells["l2"][4]) == pytest.approx(
        float(cells["mean_squared_distance"][4]) / 16, rel=1e-3
    )


def test_what_is_kept_is_said_first(few_digits, pair, capsys):
    words = ("relu1", "relu1,fc1", "--permutations", "19", "--accelerator", "cpu", "--keep", "30")
    assert main(["compare", *pair, *words]) == 0
    text = capsys.readouterr().out
    size = 30 * 4 * (6 * 28 * 28 * 2 + 120) / 1e6
    assert text.startswith(f"keeping 30 of 60 images for intervals and nulls: {size:.1f} MB\n")
    assert "drawing examples" in text
    assert re.search("of 30 kept images: shuffled examples give .* on average;", text)


class Impatient(io.StringIO):
    """A terminal at which somebody stops what is going to take long."""

    def write(self, text):
        count = super().write(text)
        if "take about" in text:
            threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGTERM)).start()
        return count


def test_long_drawing_is_announced_with_its_time_before_it_begins(few_digits, pair):
    words = ("relu1", "relu1", "unbiased_cka", "mutual_knn", "--permutations", "100000")
    with redirect_stdout(Impatient()) as said:
        assert main(["compare", *pair, *words, "--accelerator", "cpu"]) == 143
    time = r"\d+ (s|min)"
    assert re.search(
        rf"100000 shuffles take about {time} \(unbiased_cka {time}, mutual_knn {time}\); fewer",
        " ".join(said.getvalue().split()),
    )
