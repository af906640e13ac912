"""Groups of runs on the same networks are held against each other network by network."""

import csv
from itertools import combinations
from pathlib import Path

import pytest
import torch

from frankenstein.similarity.networks.estimates import over_pairs
from frankenstein.studies.finished import FinishedRun, JoinedRuns, groups
from frankenstein.studies.paired import paired_differences
from frankenstein.studies.paired_page import difference_blocks, differences_csv

SCORES = ["accuracy/after", "accuracy/receiver", "loss/after"]


def run(sender, receiver, scores, **fields):
    card = {"init_seed": 0, "order_seed": 0}
    cards = {"sender": {**card, "sha256": str(sender)}, "receiver": {**card, "sha256": receiver}}
    options = {"sender": str(sender), "receiver": str(receiver), "epochs": 1, **fields}
    return FinishedRun(Path(), {"verb": "stitch", "options": options, "cards": cards}, scores)


def joined_of(differences, networks=5, **fields):
    """Task, and direct by so much better; pairs of networks are far apart from each other."""
    runs = []
    for i, j in combinations(range(networks), 2):
        own = (i + j) / 20
        for objective, more in (("task", 0.0), ("direct", float(differences[i, j]))):
            scores = {"accuracy/after": own + more, "accuracy/receiver": own, "loss/after": 3.0}
            other = fields if objective == "direct" else {}
            runs.append(run(i, str(j), scores, objective=objective, **other))
    return JoinedRuns(groups(runs), SCORES)


def test_a_paired_difference_has_the_interval_of_leaving_out_one_network_at_a_time():
    values = 0.01 + 0.001 * torch.rand(5, 5, dtype=torch.float64)
    values = (values + values.T) / 2
    joined = joined_of(values)
    (one,) = paired_differences(joined)
    assert (one.group, one.less) == ("objective direct", "objective task")
    assert [*one.means] == ["accuracy/after"]  # what is the same in both is no difference
    found = one.means["accuracy/after"]
    mean, low, high, _ = over_pairs(values)
    assert (found.n, found.networks) == (10, 5)
    assert (found.value, found.low, found.high) == pytest.approx(
        (float(mean), float(low), float(high))
    )
    own = joined.mean("objective direct", "accuracy/after")
    assert 0 < found.low < found.high < 0.02 < own.margin  # which the groups by themselves hide


def test_a_difference_may_be_negative_and_stands_in_a_table_and_a_csv():
    joined = joined_of(torch.full((5, 5), -0.01))
    differences = paired_differences(joined)
    (row,) = csv.DictReader(differences_csv(differences).splitlines())
    assert (row["group"], row["less"], row["n"]) == ("objective direct", "objective task", "10")
    assert float(row["mean"]) == pytest.approx(-0.01)
    assert float(row["low"]) == pytest.approx(-0.01)
    words, table = difference_blocks(differences, "stitch")
    assert "`stitch-differences.csv`" in words
    assert "| -1.00 ± 0.00 % |" in table


def test_groups_that_differ_in_more_or_share_no_networks_have_none():
    values = torch.full((5, 5), 0.01)
    assert paired_differences(joined_of(values, epochs=2)) == []
    assert [*difference_blocks([], "stitch")] == []
    runs = [
        run(i, str(i + 1), {"accuracy/after": 0.5}, objective=objective)
        for objective, start in (("task", 0), ("direct", 10))
        for i in range(start, start + 4)
    ]
    assert paired_differences(JoinedRuns(groups(runs), SCORES)) == []
