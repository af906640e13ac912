"""The verdict of a stitch is made of its numbers and of those of controls."""

import pytest

from frankenstein.stitching.verdict import verdicts


def numbers(after, control, within=(0.7, 0.1), final=(0.9, 0.5), spread=0.05):
    """Accuracies with intervals of 2 points to both sides, and two likenesses."""
    made = {}
    for row, accuracy, i in (("after", after, 0), ("untrained", control, 1)):
        made |= {f"accuracy/{row}": accuracy}
        made |= {f"accuracy_low/{row}": accuracy - 0.02, f"accuracy_high/{row}": accuracy + 0.02}
        made |= {f"stitching_penalty/{row}": 0.95 - accuracy}
        made |= {f"stitching_penalty_low/{row}": 0.93 - accuracy}
        made |= {f"stitching_penalty_high/{row}": 0.97 - accuracy}
        made |= {f"within_class_unbiased_cka/{row}": within[i], f"final_explained/{row}": final[i]}
    return made | {"final_explained_spread/untrained": spread}


def test_all_is_beyond_a_control_that_is_far_below():
    (line,) = verdicts(numbers(0.9, 0.7))
    assert line == (
        "`after`: 90.00 % right, 5.0 points below the receiver; clearly above the best control, "
        "`untrained` with 70.00 %; likeness within classes 0.70 (`untrained` 0.10); R² at the "
        "penultimate layer 0.90 (`untrained` 0.50). All of that is beyond a sender that has "
        "learned nothing."
    )


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (numbers(0.9, 0.89, (0.1, 0.1), (0.5, 0.5)), "Nothing of that is beyond a sender"),
        (
            numbers(0.9, 0.89),
            "nothing: likeness within classes and R² at the penultimate layer; not so: accuracy.",
        ),
        (
            numbers(0.9, 0.7, final=(0.59, 0.5)),  # within two standard deviations
            "nothing: accuracy and likeness within classes; not so: R² at the penultimate layer.",
        ),
        (numbers(0.95, 0.7), "95.00 % right, not clearly other than the receiver; clearly"),
        (numbers(0.99, 0.7), "99.00 % right, 4.0 points above the receiver; clearly"),
    ],
)
def test_each_is_told_that_is_beyond_its_control_and_each_that_is_not(given, expected):
    (line,) = verdicts(given)
    assert expected in line


def test_a_spread_that_makes_a_likeness_no_difference_is_told():
    (line,) = verdicts(numbers(0.9, 0.7, final=(0.59, 0.5)))
    assert "penultimate layer 0.59 (`untrained` 0.50 ± 0.05 over its senders)" in line
    (line,) = verdicts(numbers(0.9, 0.7, final=(0.61, 0.5)))
    assert "penultimate layer 0.61 (`untrained` 0.50)" in line


def test_controls_of_a_sample_are_held_against_the_stitch_on_it():
    given = numbers(0.9, 0.85)
    for key in ("accuracy", "accuracy_low", "accuracy_high"):
        given[f"{key}/after_sampled"] = given[f"{key}/after"] - 0.04
    (line,) = verdicts(given)
    assert "not clearly above the best control, `untrained` with 85.00 % (86.00 % on the" in line


def test_without_controls_and_without_likeness_nothing_is_made_up():
    given = numbers(0.9, 0.7)
    assert verdicts({k: v for k, v in given.items() if "/untrained" not in k}) == []
    plain = {k: v for k, v in given.items() if "within" not in k and "final" not in k}
    assert "likeness" not in verdicts(plain)[0]
    assert "All of that is beyond" in verdicts(plain)[0]


def at_the_ceiling(**changed):
    given = numbers(1.0, 0.995, final=(0.99999, 0.99981), spread=0.0)
    given |= {"accuracy/receiver": 0.998, "explained@cut/after": 0.98, "outside/after": 0.15}
    given |= {"explained@cut/untrained": 0.93, "outside/untrained": 0.41}
    return given | changed


def test_at_the_ceiling_accuracy_is_said_to_tell_nothing_and_the_cut_stands_first():
    (line,) = verdicts(at_the_ceiling())
    assert (
        "accuracy cannot tell here, for the control `untrained` has 99.50 %; R² at the cut 0.98 "
        "(`untrained` 0.93); likeness within classes 0.70 (`untrained` 0.10); R² at the "
        "penultimate layer 1.00 (`untrained` 1.00); outside 15.00 % (`untrained` 41.00 %). Beyond "
        "a sender that has learned nothing: R² at the cut and likeness within classes; not so: R² "
        "at the penultimate layer."
    ) in line


def test_below_the_ceiling_accuracy_is_told_as_ever():
    (line,) = verdicts(at_the_ceiling(**{"accuracy/receiver": 0.98}))
    assert "cannot tell" not in line
    assert "R² at the cut" not in line


@pytest.mark.parametrize(("own", "beyond"), [(0.5049, False), (0.509, False), (0.5101, True)])
def test_a_likeness_is_beyond_only_if_the_digits_that_are_printed_show_it(own, beyond):
    (line,) = verdicts(numbers(0.9, 0.7, final=(own, 0.5), spread=0.0))
    assert ("not so: R² at the penultimate layer" not in line) == beyond


def test_a_trained_stitch_is_not_called_beyond_a_control_that_is_only_solved():
    (line,) = verdicts(numbers(0.9, 0.7), trained=["after"], advice="take all")
    assert line == (
        "`after`: 90.00 % right, 5.0 points below the receiver; clearly above the best control, "
        "`untrained` with 70.00 %, which is only solved; likeness within classes 0.70 "
        "(`untrained` 0.10); R² at the penultimate layer 0.90 (`untrained` 0.50). Whether that is "
        "beyond a sender that has learned nothing is open, for training lifts such a control, "
        "too: take all."
    )
    (line,) = verdicts(numbers(0.9, 0.89), trained=["after"])
    assert line.endswith(
        "such a control, too. In accuracy it is not even beyond a control that is only solved."
    )
    (line,) = verdicts(numbers(0.9, 0.89, (0.1, 0.1), (0.5, 0.5)), trained=["after"])
    assert line.endswith("Nothing of that is beyond a sender that has learned nothing.")


def test_a_stitch_is_held_against_controls_that_are_made_as_it_is():
    given = numbers(0.9, 0.7)
    of_untrained = {key: value for key, value in given.items() if key.endswith("/untrained")}
    given |= {
        f"{key}_trained": value + 0.19 * key.startswith("accuracy")
        for key, value in of_untrained.items()
    }
    given |= {
        key.replace("/after", "/before"): v for key, v in given.items() if key.endswith("/after")
    }
    after, before = verdicts(given, ["after", "before"], trained=["after"])
    assert "not clearly above the best control, `untrained_trained` with 89.00 %" in after
    assert "only solved" not in after
    assert "; clearly above the best control, `untrained` with 70.00 %" in before
    assert "All of that is beyond" in before


def test_training_that_leaves_the_target_is_told():
    given = numbers(0.9, 0.7, final=(0.8, 0.5))
    given |= {"final_explained/before": 0.92}
    given |= {"explained@cut/before": 0.8, "explained@cut/after": 0.795}
    assert "fell" not in verdicts(given)[0]
    (line,) = verdicts(given, ["after"], trained=["after"])
    fell = "R² fell at the penultimate layer from 0.92 to 0.80."
    assert line.endswith(f" Training made it less like the target: {fell}")
    given["explained@cut/after"] = -0.1
    assert (
        "fell at the cut from 0.80 to -0.10 and at the pen" in verdicts(given, trained=["after"])[0]
    )


def test_training_that_moves_to_the_target_in_one_place_and_off_in_another_is_told_of_both():
    given = numbers(0.9, 0.7, final=(0.82, 0.5)) | {"final_explained/before": 0.32}
    assert "R²" not in verdicts(given, trained=["after"])[0].partition("Whether")[2]
    given |= {"explained@cut/before": 0.28, "explained@cut/after": -0.004}
    (line,) = verdicts(given, trained=["after"])
    assert line.endswith(
        " By training R² fell at the cut from 0.28 to 0.00, and rose at the penultimate layer from "
        "0.32 to 0.82."
    )


def beside_frauds(after, within=0.7, final=0.9):
    """`after` beside noise that is told the labels and is always right, and two others."""
    given = numbers(after, 0.6, (within, 0.1), (final, 0.5))
    given |= numbers_of("class_noise_trained", 1.0, 0.0, 0.6)
    given |= numbers_of("untrained_trained", 0.64, 0.2, 0.6)
    return given | numbers_of("pixels_trained", 0.5, 0.3, 0.1)


def numbers_of(row, accuracy, within, final):
    made = numbers(accuracy, 0.0, (within, 0.0), (final, 0.0))
    return {key.replace("/after", f"/{row}"): x for key, x in made.items() if "/after" in key}


def test_what_is_beyond_untrained_senders_and_not_beyond_frauds_that_know_the_labels_is_told_so():
    (line,) = verdicts(beside_frauds(0.9), trained=["after"])
    assert line.startswith(
        "`after`: 90.00 % right, 5.0 points below the receiver; clearly below the best control, "
        "`class_noise_trained` with 100.00 %; clearly above the best that never learned the "
        "classes, `untrained_trained` with 64.00 %; likeness within classes 0.70 "
        "(`pixels_trained` 0.30); R² at the penultimate layer 0.90 (`"
    )
    assert line.endswith(
        ". Beyond every control: likeness within classes and R² at the penultimate layer. Beyond "
        "senders that never learned the classes, and not beyond frauds that are told the labels: "
        "accuracy."
    )


def test_a_fraud_at_the_ceiling_does_not_hide_what_untrained_senders_do_not_reach():
    given = beside_frauds(0.995) | {"accuracy/receiver": 0.998}
    assert "cannot tell" not in verdicts(given, trained=["after"])[0]
    given |= {"accuracy/untrained_trained": 0.994, "accuracy_high/untrained_trained": 1.0}
    (line,) = verdicts(given, trained=["after"])
    assert "cannot tell here, for the control `untrained_trained` has 99.40 %" in line


def test_what_is_not_beyond_untrained_senders_is_told_so_beside_frauds():
    (line,) = verdicts(beside_frauds(0.65, within=0.2), trained=["after"])
    assert "not clearly above the best that never learned the classes, `untrained_tr" in line
    assert line.endswith(
        ". Beyond every control: R² at the penultimate layer. Not beyond senders that never "
        "learned the classes: accuracy and likeness within classes."
    )


def test_a_stitch_is_held_against_controls_of_its_own_family():
    given = numbers(0.9, 0.1)
    of_affine = numbers(0.95, 0.94)
    given |= {
        key.replace("/after", "/ps_inv"): v for key, v in of_affine.items() if "/after" in key
    }
    given |= {
        key.replace("/untrained", "/untrained_ps_inv"): value
        for key, value in of_affine.items()
        if "/untrained" in key
    }
    orthogonal, affine = verdicts(given, ["after", "ps_inv"])
    assert "clearly above the best control, `untrained` with 10.00 %" in orthogonal
    assert "All of that is beyond a sender that has learned nothing." in orthogonal
    assert orthogonal.endswith(
        "`untrained_ps_inv`, the affine map of least squares from such a sender and no stitch of "
        "this kind, has 94.00 %."
    )
    assert "not clearly above the best control, `untrained_ps_inv` with 94.00 %" in affine
