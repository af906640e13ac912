import subprocess
import sys

import pytest
import torch

from frankenstein.errors import PlanError, UserError
from frankenstein.runs import Run
from frankenstein.similarity import ComparePlan, similarity_matrices
from frankenstein.similarity.plan import measure_of
from frankenstein.zoo import load_network


def test_a_plan_is_made_without_torch():
    code = (
        "import sys; from frankenstein.similarity import ComparePlan; "
        "ComparePlan(sender='a', receiver='b', measures=['cka']); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"measures": ["unbised_cka"]}, "'unbised_cka' is no measure; did you mean unbiased_cka"),
        ({"sender_layer": ","}, "sender_layer names no layer, got ','"),
        ({"bootstrap": 20}, "bootstrap must be at least 39 for the ends of 95 %, or 0 for none"),
        (
            {"measures": ["cka", "within_class_linear_cka"], "permutations": 9},
            "within_class_linear_cka has no intervals and no null, for draws keep no labels",
        ),
        (
            {"measures": ["within_class_unbiased_cka"], "more": ["c"]},
            "within_class_unbiased_cka is of two networks, and these are 3",
        ),
        ({"keep": 7}, "keep must be at least 8, got 7"),
        ({"block": 3}, "block must be at least 4, got 3"),
        ({"stitch": "after"}, "stitch is for the folder of a run, and a is none"),
        ({"layer": "relu2"}, "layer is for the folder of a run, and a is none"),
        ({"measures": ["l2"]}, "name sender_layer and receiver_layer, or take mean_squared"),
        ({"receiver": None, "sender_layer": "x"}, "sender_layer x is of two networks, and"),
    ],
)
def test_fields_that_contradict_each_other_are_refused(fields, told):
    with pytest.raises(PlanError, match=told):
        ComparePlan(**{"sender": "a", "receiver": "b"} | fields)


@pytest.mark.parametrize(
    ("fields", "is_table"),
    [
        ({}, False),
        ({"measures": ["cka"]}, False),
        ({"measures": ["cka"], "sender_layer": "bn1", "receiver_layer": "bn2"}, True),
        ({"sender_layer": "bn1", "receiver_layer": "bn2"}, False),
        ({"measures": ["cka"], "sender_layer": "bn*", "receiver_layer": "bn2"}, False),
        ({"measures": ["cka"], "sender_layer": "modules", "receiver_layer": "bn2"}, False),
        ({"measures": ["cka"], "sender_layer": "a,b", "receiver_layer": "bn2"}, False),
        ({"receiver": None}, True),
    ],
)
def test_measures_of_two_single_representations_are_one_table(fields, is_table):
    plan = ComparePlan(**{"sender": "a", "receiver": "b"} | fields)
    assert plan.is_table == is_table


def test_dr_frankensteins_words_are_measures():
    assert list(map(measure_of, ("cka", "ps_inv", "mutual_knn"))) == [
        "linear_cka",
        "r_squared",
        "mutual_knn",
    ]


def test_a_plan_runs_in_python_and_its_run_gives_the_matrices_back(few_digits, saved):
    files = {"sender": saved("lenet", 0), "receiver": saved("lenet", 1)}
    plan = ComparePlan(
        **files,
        sender_layer="relu*",
        receiver_layer="relu2,fc1",
        measures=["cka", "unbiased_cka", "mutual_knn"],
        bootstrap=39,
        accelerator="cpu",
        quiet=True,
    )
    run = plan.run()
    again = Run.read(run.folder)
    assert again.plan == plan
    assert again.numbers == run.numbers
    assert (run.folder / "report.html").is_file()
    assert "read_plan(ComparePlan, " in (run.folder / "report.md").read_text()

    matrices = again.matrices()
    assert sorted(matrices) == ["linear_cka", "mutual_knn", "unbiased_cka"]
    data = few_digits(image_size=32)
    data.setup()
    networks = [load_network(file) for file in files.values()]
    expected = similarity_matrices(*networks, data.mixed_val_batches(), [*matrices], *plan.layers)
    for name, matrix in matrices.items():
        assert torch.equal(matrix.values, expected[name].values)
        assert matrix.title == expected[name].title
        for row in matrix.rows:
            for column in matrix.columns:
                assert matrix[row, column] == run.numbers[f"{name}/{row}/{column}"]


def test_two_layers_leave_numbers_and_no_matrix(few_digits, saved):
    run = ComparePlan(
        sender=saved("lenet", 0),
        receiver=saved("lenet", 1),
        sender_layer="relu2",
        receiver_layer="relu2",
        measures=["corr", "l2"],
        accelerator="cpu",
        quiet=True,
    ).run()
    assert Run.read(run.folder).matrices() == {}
    assert list(run.numbers)[:2] == ["corr/relu2/relu2", "l2/relu2/relu2"]


def test_a_network_without_a_receiver_is_no_run(few_digits, saved):
    with pytest.raises(PlanError, match=r"missing receiver \(file of the second network\)"):
        ComparePlan(sender=saved("lenet"), accelerator="cpu").run()


def test_only_a_stitching_run_has_a_stitched_representation(few_digits, saved):
    options = {"accelerator": "cpu", "quiet": True}
    pair = {"sender": saved("lenet", 0), "receiver": saved("lenet", 1)}
    other = ComparePlan(**pair, sender_layer="fc1", receiver_layer="fc1", **options).run()
    with pytest.raises(
        UserError, match=r"is no run of stitch\.py: there is no .*after\.safetensors"
    ):
        ComparePlan(sender=str(other.folder), **options).run()
