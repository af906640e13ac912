import pytest

from frankenstein.errors import PlanError
from frankenstein.similarity.plan import ComparePlan
from frankenstein.stitching.plan import StitchPlan
from frankenstein.studies.grid import choices_of
from frankenstein.training.plan import TrainPlan


def points(kind, block):
    return [(one.label, dict(one.fields)) for one in choices_of(kind, block, own=("out_dir",))]


def test_a_field_with_several_values_is_a_grid_and_every_choice_has_a_name_of_its_own():
    assert points(TrainPlan, {"model": "lenet", "epochs": [1, 5], "lr": [0.1, 0.01]}) == [
        ("epochs1-lr0.1", {"model": "lenet", "epochs": 1, "lr": 0.1}),
        ("epochs1-lr0.01", {"model": "lenet", "epochs": 1, "lr": 0.01}),
        ("epochs5-lr0.1", {"model": "lenet", "epochs": 5, "lr": 0.1}),
        ("epochs5-lr0.01", {"model": "lenet", "epochs": 5, "lr": 0.01}),
    ]
    assert points(TrainPlan, {"model": "lenet"}) == [("", {"model": "lenet"})]
    assert [label for label, _ in points(StitchPlan, {"augment": [True, False]})] == [
        "augment",
        "no_augment",
    ]


def test_a_list_is_the_value_of_a_field_that_takes_one_and_a_list_of_lists_its_grid():
    measures = ["linear_cka", "mean_cca"]
    assert points(ComparePlan, {"measures": measures}) == [("", {"measures": measures})]
    assert points(ComparePlan, {"measures": [measures, ["l2"]]}) == [
        ("linear_cka+mean_cca", {"measures": measures}),
        ("l2", {"measures": ["l2"]}),
    ]


def test_whole_numbers_are_a_range_with_its_end():
    assert [fields["low_rank"] for _, fields in points(StitchPlan, {"low_rank": "2..4"})] == [
        2,
        3,
        4,
    ]


def test_an_option_of_one_family_is_of_the_choices_of_that_family_alone():
    block = {"family": ["affine", "low_rank"], "low_rank": [1, 2], "epochs": 0}
    assert points(StitchPlan, block) == [
        ("affine", {"family": "affine", "epochs": 0}),
        ("low_rank1", {"family": "low_rank", "low_rank": 1, "epochs": 0}),
        ("low_rank2", {"family": "low_rank", "low_rank": 2, "epochs": 0}),
    ]


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        ({"epoch": 1}, "train has no field epoch; did you mean epochs?"),
        ({"epochs": [1, "many"]}, "epochs of train takes a whole number, got 'many'"),
        ({"epochs": []}, "epochs of train is an empty grid"),
        ({"epochs": "4..1"}, "a range goes up, by 10,000 numbers at most, got 4..1"),
        ({"epochs": "0..99999"}, "a range goes up"),
        ({"out_dir": "here"}, "out_dir of train is the study's to say; leave it out"),
        ("lenet", "train of a study takes {field: value}, got 'lenet'"),
    ],
)
def test_a_block_that_is_none_is_told(block, expected):
    with pytest.raises(PlanError) as told:
        choices_of(TrainPlan, block, own=("out_dir",))
    assert expected in str(told.value)


def test_layers_of_a_comparison_are_called_what_they_are_called():
    with pytest.raises(PlanError) as told:
        choices_of(ComparePlan, {"layers": ["conv1", "fc1"]}, own=())
    assert "compare has no field layers; say sender_layer, where several layers are a list" in str(
        told.value
    )
    assert 'one text such as "conv1,fc1" in one run' in str(told.value)
