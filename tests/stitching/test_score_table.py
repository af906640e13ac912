import json

import pytest

from frankenstein.report.columns import filled_columns
from frankenstein.runs.fields import KINDS
from frankenstein.stitching.controls import CONTROLS
from frankenstein.stitching.frauds import FRAUDS
from frankenstein.stitching.plan import StitchPlan
from frankenstein.stitching.score_table import (
    ROWS,
    columns_with,
    is_share,
    rows_of,
    solved_words,
    tables_of,
)


def test_rows_are_networks_stitches_and_controls():
    assert [*ROWS] == ["sender", "receiver", *KINDS, *CONTROLS]


def test_every_number_of_a_run_has_a_column_and_is_explained_in_its_report(run, saved):
    words = ("pool1", "pool1", "-e", "0", "-r", "2", "--measures", "linear_cka", "mean_cca")
    folder = run("stitch", saved("lenet", 0), saved("lenet", 1), *words)
    numbers = json.loads((folder / "summary.json").read_text())
    columns = filled_columns(columns_with(["linear_cka", "mean_cca"]), numbers)
    whats = {key.partition("/")[0].removesuffix("_low").removesuffix("_high") for key in numbers}
    # Every score of untrained senders has a spread, and a table that of the accuracy.
    whats -= {what for what in whats if what.endswith("_spread")} - {"accuracy_spread"}
    # Curves have a figure; the tables have the cut and the penultimate layer.
    curves = {what for what in whats if "@" in what}
    assert {"explained@fc2", "depth_cka@cut", "depth_cka@logits"} < curves
    whats -= curves - {"explained@cut"}
    assert whats == {column.key for column in columns}
    assert {"depth-explained.png", "depth-cka.png"} <= {one.name for one in folder.rglob("*.png")}
    report = (folder / "report.md").read_text()
    assert "and is not trained: `after` is `before`." in report
    for column in columns:
        assert column.page is None or f"\n- *{column.about.split('*')[1]}*" in report
    more = (*FRAUDS, "untrained_trained")
    assert set(rows_of(numbers)) == {row for row in ROWS if not row.startswith(more)}


def test_rows_of_a_sample_stand_in_a_table_of_their_own():
    rows = ["sender", "receiver", "after", "untrained", "itself"]
    numbers = {f"accuracy/{row}": 0.5 for row in rows}
    assert tables_of(numbers) == [rows]
    numbers |= {"accuracy/receiver_sampled": 0.5, "accuracy/after_sampled": 0.4}
    sampled = ["receiver_sampled", "after_sampled", "untrained", "itself"]
    assert tables_of(numbers) == [["sender", "receiver", "after"], sampled]


@pytest.mark.parametrize(
    ("family", "expected"),
    [
        ("affine", "the closed form of the stitch's own family, affine. One that is trained"),
        ("mlp", "the affine map in closed form, from which a stitch of the family mlp start"),
        ("relative", "own family, relative (anchors 50). Nothing of this family is trained. It is"),
    ],
)
def test_the_page_says_of_each_family_what_solved_is(family, expected):
    where = {"sender": "a", "receiver": "b", "sender_layer": "x", "receiver_layer": "y"}
    options = {"anchors": 50, "init": "ps_inv"} if family == "relative" else {}
    assert expected in ROWS["solved"].format(
        solved=solved_words(StitchPlan(**where, family=family, **options))
    )


@pytest.mark.parametrize("number", ["agreement/after", "accuracy_low/ps_inv", "outside/before"])
def test_shares_are_told_from_other_numbers(number):
    assert is_share(number)
    assert not is_share("loss/after")
    assert not is_share("linear_cka/after")


@pytest.mark.parametrize(("low", "expected"), [(0.2, 0.5), (0.1, None)])
def test_nothing_is_relative_to_a_receiver_at_chance(low, expected):
    (column,) = (one for one in columns_with([]) if one.key == "relative_accuracy")
    numbers = {"relative_accuracy/after": 0.5, "accuracy_low/receiver": low}
    assert column.of(numbers | {"accuracy/most_frequent": 0.1}, ["after"]) == [expected]
