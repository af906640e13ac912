"""Which unit is which, one to one and beyond."""

import csv

import pytest
import torch

from frankenstein.measures import matched_correlation
from frankenstein.questions.units.unit_pairs import Paired, unit_pairs, write_pairs


@pytest.fixture
def x():
    return torch.randn(50, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_a_planted_order_is_found_whatever_the_scale_of_units(x):
    order = torch.tensor([3, 1, 6, 0, 2, 5, 4])
    found = unit_pairs(x, 5 * x[:, order] + 2)
    assert found.one_to_one == 7
    assert [order[unit] for unit in found.receiver] == [*found.sender]
    assert found.correlation == pytest.approx([1.0] * 7)


@pytest.mark.parametrize(("d", "e"), [(7, 4), (4, 7)])
def test_of_other_widths_the_fewer_are_paired_and_who_is_left_stands_with_its_likest(x, d, e):
    x, y = x[:, :d], x[:, :e] + 0.5 * torch.roll(x, 1, 0)[:, :e]
    found = unit_pairs(x, y)
    assert found.one_to_one == 4
    assert len(found.sender) == 7
    assert sorted(found.sender if d > e else found.receiver) == [*range(7)]
    assert found.mean == pytest.approx(float(matched_correlation(x, y)), abs=1e-4)
    correlation = torch.corrcoef(torch.cat([x, y], 1).T)[:d, d:]
    for i, j, value in zip(*found[:3], strict=True):
        assert value == pytest.approx(float(correlation[i, j]), abs=1e-4)
    wide, best = found.sender[4:], correlation.argmax(1)
    if d < e:
        wide, best = found.receiver[4:], correlation.argmax(0)
    assert [int(best[unit]) for unit in wide] == [*(found.receiver if d > e else found.sender)[4:]]


def test_dead_units_are_left_out(x):
    x[:, 2] = 1.0
    assert 2 not in unit_pairs(x, x).sender
    assert unit_pairs(torch.ones(5, 3), x[:5]).sender == []


def test_the_file_has_every_pair_beside_the_untrained_one_of_its_rank(x, tmp_path):
    y = x.roll(1, 0)
    paired = Paired(unit_pairs(x, x[:, :5]), [unit_pairs(x, y[:, :5])] * 2, (7, 5))
    path = write_pairs(tmp_path / "pairs.csv", {"relu1": paired})
    rows = [*csv.DictReader(path.read_text().splitlines())]
    assert [row["matching"] for row in rows] == ["one to one"] * 5 + ["likest"] * 2
    assert {row["layer"] for row in rows} == {"relu1"}
    assert rows[0]["correlation"] == "1.0000"
    expected = [f"{value:.4f}" for value in unit_pairs(x, y[:, :5]).correlation]
    assert [row["untrained"] for row in rows] == expected
