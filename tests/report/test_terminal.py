import io
import re

import numpy as np
import pytest
from rich.console import Console

from frankenstein.report import Short, ShortView, terminal_matrix
from frankenstein.shapes import ShapeError

LAYERS = [f"{kind}{i}" for i in range(1, 9) for kind in ("conv", "bn", "relu")] + ["mean", "fc"]


def shown(matrix, width, colour=False):
    file = io.StringIO()
    system = "truecolor" if colour else None
    Console(file=file, width=width, force_terminal=colour, color_system=system).print(matrix)
    return file.getvalue().splitlines()


@pytest.mark.parametrize(("width", "count"), [(80, 15), (100, 15), (120, 26), (140, 26)])
def test_a_matrix_fits_on_the_screen_whole_or_a_layer_like_the_other_apart(width, count):
    values = np.arange(26 * 26).reshape(26, 26) % 26 / 100  # the hundredths are the column
    lines = shown(terminal_matrix(values, LAYERS, LAYERS), width)
    assert max(map(len, lines)) <= width
    places = [round(i * 25 / (count - 1)) for i in range(count)]
    assert lines[0].split() == [str(place + 1) for place in places]
    for line, place in zip(lines[1 : count + 1], places, strict=True):
        assert line.split() == [LAYERS[place], str(place + 1), *map(str, places)]
    left_out = ["shown are 15 of 26 rows and 15 of 26 columns"] if count < 26 else []
    assert lines[count + 1 :] == [*left_out, "cells are hundredths: 97 is 0.97, 1. is 1.00"]


def test_a_small_matrix_has_names_and_whole_numbers():
    lines = shown(terminal_matrix([[0.974, np.nan], [1.0, -0.001]], ["a", "b"], ["bn3", "fc"]), 80)
    assert [line.split() for line in lines] == [
        ["bn3", "fc"],
        ["a", "0.97", "n/a"],
        ["b", "1.00", "0.00"],
    ]


def test_compact_cells_keep_one_minus_and_what_is_missing_apart():
    values = np.zeros((1, 30))
    values[0, :4] = [1.0, -0.45, -1.0, np.nan]
    lines = shown(terminal_matrix(values, ["stitched"], [f"layer{i}" for i in range(30)]), 120)
    assert lines[1].startswith("stitched 1.-45-1.  ·  0")
    assert "30 layer29" in " ".join(lines)  # rows and columns differ, so a legend names the columns


def test_values_above_one_are_not_shown_as_hundredths():
    lines = shown(terminal_matrix(np.full((26, 26), 12.3), LAYERS, LAYERS), 240)
    assert sum(line.count("12.30") for line in lines) == 26 * 26
    lines = shown(terminal_matrix(np.full((26, 26), 12.3), LAYERS, LAYERS), 100)
    assert sum(line.count("12.30") for line in lines) == 13 * 13
    assert max(map(len, lines)) <= 100


def test_colour_follows_the_value_within_the_limits():
    (_, line) = shown(terminal_matrix([[0.0, 1.0, 5.0]], ["a"], ["x", "y", "z"]), 80, colour=True)
    backgrounds = re.findall(r"48;2;(\d+;\d+;\d+)", line)
    assert backgrounds == ["68;1;84", "253;231;37", "253;231;37"]


def test_wrong_shapes_are_refused():
    with pytest.raises(ShapeError, match="values must be one per row and column"):
        terminal_matrix([[1.0]], ["a", "b"], ["c"])


def test_a_narrow_terminal_shows_the_first_rows_of_answers_and_a_wide_one_all():
    rows = [[f"number {i}", *(f"{i}.{j}" for j in range(8))] for i in range(20)]
    short = Short("How to read it.", ["", *(f"relu{j}" for j in range(8))], rows)

    def said(width, count):
        console = Console(file=io.StringIO(), width=width)
        console.print(ShortView([(f"answer {k}", short) for k in range(count)]))
        return console.file.getvalue().splitlines()

    for count in (1, 3, 8):
        assert len(said(80, count)) <= 17
        assert said(80, count)[-1].startswith("these are the first rows")
        assert max(map(len, said(80, count))) <= 80
        assert sum("number 19" in line for line in said(160, count)) == count
    assert "  number 0: relu0 0.0, relu4 0.4, relu7 0.7" in said(80, 3)
