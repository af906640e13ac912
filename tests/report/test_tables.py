import io
import math
import re

import pytest
import torch
from rich.console import Console

from frankenstein.report import format_value, markdown_table, rich_table
from frankenstein.report.tables import interval_text
from frankenstein.shapes import ShapeError

HEADER = ["stitch", "accuracy", "rank"]
ROWS = [["affine", torch.tensor(0.98125), 32], ["a|b\nc", None, 8], ["sparse", math.nan, None]]


def cells(line):
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def test_every_line_of_a_markdown_table_has_as_many_cells_and_letters():
    lines = markdown_table(ROWS, HEADER, percent=["accuracy"]).splitlines()
    assert [len(cells(line)) for line in lines] == [3] * 5
    assert len({len(line) for line in lines}) == 1
    assert cells(lines[0]) == HEADER
    assert [re.sub("-+", "-", cell) for cell in cells(lines[1])] == [":-", "-:", "-:"]
    assert [cells(line) for line in lines[2:]] == [
        ["affine", "98.12 %", "32"],
        [r"a\|b c", "n/a", "8"],
        ["sparse", "n/a", "n/a"],
    ]


def test_the_terminal_shows_the_same_cells():
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(rich_table(ROWS, HEADER, percent=["accuracy"], title="Stitches"))
    shown = console.export_text()
    assert all(word in shown for word in ("Stitches", "affine", "98.12 %", "n/a", *HEADER))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "n/a"),
        (math.nan, "n/a"),
        (math.inf, "inf"),
        (0.0, "0"),
        (0.9, "0.9000"),
        (-0.123456, "-0.1235"),
        (12.3456, "12.35"),
        (999.97, "1000"),
        (12345.6, "12346"),
        (1.23456e-7, "1.235e-07"),
        (1.23456e12, "1.235e+12"),
        (1797, "1797"),
        (True, "yes"),
        ("bn3", "bn3"),
        (torch.tensor(0.5), "0.5000"),
    ],
)
def test_numbers_have_four_significant_digits(value, text):
    assert format_value(value) == text


def test_no_zero_is_negative():
    assert format_value(-1e-6, percent=True) == "0.00 %"
    assert interval_text(-1e-6, 0.1) == "0.00 to 10.00"
    assert interval_text(-1e-6, 0.1, signed=True) == "+0.00 to +10.00"


@pytest.mark.parametrize("table", [markdown_table, rich_table])
def test_a_row_of_the_wrong_length_is_refused(table):
    with pytest.raises(ShapeError, match=r"a row needs 2 cells \(a, b\), got 1"):
        table([["x"]], ["a", "b"])


def test_intervals_stand_to_the_right_as_numbers_do():
    rows = [["0", "0.91 ± 0.02", "95.1 to 97.2", "1"], ["1", "n/a", "n/a", "2 ± 3 or so"]]
    rule = markdown_table(rows, list("abcd")).splitlines()[1]
    assert [cell[-1] for cell in cells(rule)] == ["-", ":", ":", "-"]


def test_a_table_without_rows_is_its_header():
    assert len(markdown_table([], ["a"]).splitlines()) == 2
