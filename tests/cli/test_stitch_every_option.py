"""Every option that says what a stitch is and what it is fitted to runs to its end and counts."""

import json
import math

import pytest

from frankenstein.runs.schema import options_of
from frankenstein.stitching.plan import FamilyFields, ObjectiveFields

SOLVED = "-i ps_inv -e 0 --measures unbiased_cka"
TRAINED = "-i ps_inv -e 1 -b 64 --no-augment --measures unbiased_cka"
ENDS = {  # words of each field, beside those of a plain run
    "family": (SOLVED, "--family orthogonal"),
    "low_rank": (SOLVED, "-r 2"),
    "l1": (SOLVED, "--l1 0.00001"),
    "orthogonal": (SOLVED, "--orthogonal"),
    "mask": (SOLVED, "--mask match"),
    "anchors": (SOLVED, "--anchors 10 --flatten"),
    "flatten": (SOLVED, "--flatten --ridge"),
    "init": (TRAINED, "-i eye"),
    "match_spread": (SOLVED, "--match-spread"),
    "match_covariance": (SOLVED, "--match-covariance"),
    "ridge": (SOLVED, "--ridge --solve-on 50"),
    "recount": (SOLVED, "--recount"),
    "solve_on": (SOLVED, "--solve-on 50"),
    "objective": (TRAINED, "--objective final_features"),
    "then": (TRAINED, "--objective direct --then task"),
    "direct": (TRAINED, "--direct cka"),
    "align_layers": (TRAINED, "--objective latent_alignment --align-layers bn8"),
    "align_weights": (
        TRAINED,
        "--objective latent_alignment --align-layers bn8 --align-weights 1 2 0 0",
    ),
    "target_type": (TRAINED, "--target-type soft_1"),
    "temperature": (TRAINED, "--target-type soft_2 --temperature 4"),
    "cka_reg": (TRAINED, "--cka-reg 5"),
}

PLAIN: dict[str, dict] = {}  # what a plain run found, made once


@pytest.fixture
def rows(run, saved):
    """What a stitch from bn7 to bn7 with these words found, less what names it."""

    def found(words):
        pair = saved("tiny10", 0), saved("tiny10", 1)
        words = ("--untrained", "1", *words.split())
        folder = run("stitch", *pair, "bn7", "bn7", *words)
        return json.loads((folder / "summary.json").read_text())

    return found


def test_every_field_is_here():
    assert set(ENDS) == {*options_of(FamilyFields), *options_of(ObjectiveFields)}


@pytest.mark.parametrize("field", ENDS)
def test_a_field_runs_to_its_end_and_moves_the_stitch(field, rows):
    plain, words = ENDS[field]
    if plain not in PLAIN:
        PLAIN[plain] = rows(plain)
    found, before = rows(f"{plain} {words}"), PLAIN[plain]
    numbers = {key: one for key, one in found.items() if isinstance(one, float)}
    assert all(map(math.isfinite, numbers.values()))
    assert numbers["loss/after"] != before["loss/after"]
