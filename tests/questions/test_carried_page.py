import csv
import io
import math

from frankenstein.questions.probes.carried_page import carried_csv, carried_table

PROBES = {
    "receiver's own": [(0.9, 0.01), (0.95, 0.02)],
    "rotation": [(0.8, 0.03), (math.nan, math.nan)],  # the second layers have other units
}
DIRECTIONS = {
    "receiver's own": [(0.99, 0.0), (0.98, 0.0)],
    "rotation": [(0.97, 0.0), (math.nan, 0.0)],
}


def test_a_probe_and_class_directions_stand_in_a_row_for_each_layer_and_way():
    *_, first, second, _, fourth = carried_table(["a", "b"], PROBES, DIRECTIONS).splitlines()
    cells = [
        [cell.strip() for cell in row.strip("|").split("|")] for row in (first, second, fourth)
    ]
    assert cells == [
        ["a", "receiver's own", "0.900 ± 0.010", "0.990"],
        ["a", "rotation", "0.800 ± 0.030", "0.970"],
        ["b", "rotation", "n/a ± n/a", "n/a"],
    ]


def test_the_csv_file_has_all_digits():
    rows = [*csv.DictReader(io.StringIO(carried_csv(["a", "b"], PROBES, DIRECTIONS)))]
    assert len(rows) == 4
    assert rows[1] == {
        "layer": "a",
        "way": "rotation",
        "accuracy": "0.8",
        "margin": "0.03",
        "area": "0.97",
    }
