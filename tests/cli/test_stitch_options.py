"""Every option of stitch.py that says what a stitch is, how it starts and what it is fitted to."""

import json
from pathlib import Path

import pytest
import torch

from frankenstein.catalog import STITCHES
from frankenstein.cli import main
from frankenstein.stitches import Identity, LowRank, Matched, Orthogonal, load_stitch

KINDS = ("before", "after", "ps_inv")
FEW = ("--measures", "unbiased_cka", "--untrained", "1")


@pytest.fixture
def pair(saved):
    return saved("lenet", 0), saved("lenet", 1)


@pytest.fixture
def mlps(saved):
    return saved("mlp", 0), saved("mlp", 1)


def stitches(folder):
    return {kind: load_stitch(folder / f"{kind}.safetensors") for kind in KINDS}


def weights(folder):
    return [stitch.affine_map()[0].detach() for stitch in stitches(folder).values()]


def summary(folder):
    return json.loads((folder / "summary.json").read_text())


def moved(folder):
    before, after, _ = weights(folder)
    return not torch.equal(before, after)


def test_a_mask_keeps_its_partners_while_it_is_trained(run, mlps):
    rule = "match"
    folder = run("stitch", *mlps, "fc2", "fc2", "-m", rule, "-e", "1", *FEW)
    assert folder.name.endswith(f"-matched-{rule}-e1-untrained1")
    made = stitches(folder)
    before, after = made["before"], made["after"]
    assert isinstance(after, Matched)
    assert before.rule == after.rule == rule
    assert torch.equal(before.partner, after.partner)
    assert not torch.equal(before.scale, after.scale)
    assert sorted(after.partner.tolist()) == list(range(16))


def test_a_solved_mask_is_nearer_to_the_target_than_a_random_one(run, mlps):
    words = ("fc2", "fc2", "-i", "ps_inv", "-e", "0", "--measures", "mean_squared_distance")
    random, best = (
        summary(run("stitch", *mlps, *words, "-m", rule, "--untrained", "1"))
        for rule in ("random-permutation", "abs-semi-match")
    )
    key = "mean_squared_distance/{}".format
    assert best[key("ps_inv")] < best[key("after")] < random[key("after")]


def test_an_orthogonal_stitch_is_one_before_and_after(run, mlps):
    folder = run("stitch", *mlps, "fc2", "fc2", "--orthogonal", "-e", "1", *FEW)
    assert isinstance(stitches(folder)["after"], Orthogonal)
    for weight in weights(folder)[:2]:
        torch.testing.assert_close(weight @ weight.T, torch.eye(16), rtol=0, atol=1e-5)
    assert moved(folder)


def test_reduced_rank_regression_is_where_a_solved_low_rank_stitch_starts(run, mlps):
    folder = run("stitch", *mlps, "fc2", "fc2", "-r", "3", "-i", "ps_inv", "-e", "0", *FEW)
    made, (before, after, _) = stitches(folder), weights(folder)
    assert isinstance(made["before"], LowRank)
    assert torch.linalg.matrix_rank(after) == 3
    assert torch.equal(before, after)  # nothing was trained


def test_a_ridge_solves_the_stitch_and_its_controls_and_least_squares_stands_beside(run, mlps):
    words = ("fc2", "fc2", "-i", "ps_inv", "-e", "0", "--solve-on", "20", "--ridge", *FEW)
    folder = run("stitch", *mlps, *words)
    before, after, least_squares = weights(folder)
    assert torch.equal(before, after)
    assert after.norm() < 0.9 * least_squares.norm()
    numbers = summary(folder)
    assert {"loss/solved", "loss/solved_ps_inv"} < {*numbers}
    assert numbers["loss/untrained"] != numbers["loss/untrained_ps_inv"]


def test_a_teacher_with_a_temperature_leads_elsewhere_from_the_same_start(run, mlps):
    words = ("fc2", "fc2", "-e", "1", "-lr", "0.01", "--seed", "1", *FEW)
    soft = "--target-type", "soft_1"  # tests/tasks/test_soft_targets.py has all of them
    kinds = [(*soft, "--temperature", "2"), soft]
    folders = [run("stitch", *mlps, *words, *more) for more in kinds]
    assert folders[0].name.endswith("-random-soft_1-t2.0-e1-lr0.01-seed1-untrained1")
    found = [weights(folder) for folder in folders]
    for i, (before, after, _) in enumerate(found):
        assert torch.equal(before, found[0][0])
        assert not torch.equal(before, after)
        assert not any(torch.equal(after, other) for _, other, _ in found[:i])


def test_direct_matching_by_gradient_comes_nearer_to_the_target(run, mlps):
    words = ("fc2", "fc2", "-e", "8", "-lr", "0.03", "-b", "64")
    more = ("--direct", "mse", "--measures", "mean_squared_distance", "--untrained", "1")
    near = summary(run("stitch", *mlps, *words, *more))
    key = "mean_squared_distance/{}".format
    assert near[key("ps_inv")] < near[key("after")] < 0.5 * near[key("before")]
    words = (*words, "--untrained", "1", "--measures", "linear_cka")
    alike = summary(run("stitch", *mlps, *words, "--direct", "cka"))
    assert alike["linear_cka/after"] > alike["linear_cka/before"]


def test_flattened_maps_are_stitched_from_place_to_place_in_three_batches_of_one_epoch(run, pair):
    folder = run("stitch", *pair, "pool2", "fc2", "-f", "--debug", "-b", "16", *FEW)
    assert folder.name.endswith("-flat-b16-untrained1-debug")
    assert all(weight.shape == (84, 400) for weight in weights(folder))
    lines = (folder / "metrics.csv").read_text().splitlines()
    steps = {int(line.split(",")[lines[0].split(",").index("step")]) for line in lines[1:]}
    assert max(steps) <= 3
    assert moved(folder)


def test_a_flattened_network_stitched_to_itself_with_identity_loses_nothing(run, saved):
    words = ("pool2", "pool2", "-f", "--family", "identity", *FEW)
    folder = run("stitch", saved("lenet"), saved("lenet"), *words)
    found = summary(folder)
    assert isinstance(stitches(folder)["after"], Identity)
    assert found["agreement/after"] == found["relative_accuracy/after"] == 1
    assert found["unbiased_cka/after"] == pytest.approx(1)
    assert found["accuracy/after"] == found["accuracy/receiver"]


def test_fewer_examples_to_solve_on_give_another_pseudo_inverse(run, mlps):
    words = ("fc2", "fc2", "-e", "0", *FEW)
    few, many = (run("stitch", *mlps, *words, "--solve-on", count) for count in ("50", "100000"))
    assert not torch.equal(weights(few)[2], weights(many)[2])
    for words in ("is solved is solved on 256 training", "Controls are solved on 256 training"):
        assert words in (many / "report.md").read_text()  # all that there are


def test_few_images_to_solve_on_are_those_of_the_controls_and_a_draw_of_the_seed(run, mlps):
    words = ("fc2", "fc2", "-i", "ps_inv", "-e", "0", "--solve-on", "50", *FEW)
    one, other = (run("stitch", *mlps, *words, "--seed", seed) for seed in ("0", "1"))
    found = summary(one)
    assert found["loss/solved"] == found["loss/after"]
    assert "Controls are solved on 50 training images" in (one / "report.md").read_text()
    assert not torch.equal(weights(one)[2], weights(other)[2])


def test_a_source_of_another_kind_is_laid_like_the_target_in_all_that_a_run_shows(
    few_digits, pair, capsys
):
    words = ["stitch", *pair, "pool1", "fc2", "-e", "1", "--debug", *FEW, "--run-name", "a"]
    assert main([*words, "--accelerator", "cpu"]) == 0
    assert "is laid like the target" in capsys.readouterr().out
    folder = Path("results/stitch/a")
    assert all(weight.shape == (84, 6) for weight in weights(folder))
    assert (folder / "report.md").is_file()


@pytest.mark.parametrize("family", ["batchnorm", "conv3x3"])
def test_larger_families_are_trained_kept_and_scored_as_they_were(run, pair, family):
    folder = run("stitch", *pair, "pool1", "pool1", "--family", family, "-e", "1", *FEW)
    made = stitches(folder)
    assert type(made["after"]) is STITCHES[family].target
    first, last = made["before"].state_dict(), made["after"].state_dict()
    assert not any(torch.equal(first[name], last[name]) for name in last if "num_" not in name)
    found = summary(folder)
    assert not any(key.endswith("/solved_ps_inv") for key in found)
    again = summary(run("evaluate", folder))
    assert again["accuracy/after"] == found["accuracy/after"]
    assert again["loss/after"] == pytest.approx(found["loss/after"], rel=1e-5)


SOFT = "--target-type soft_1"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        # What contradicts the family.
        ("--mask match --family affine", "--mask belongs to a matched stitch, and this one is aff"),
        (
            "--mask match -r 4",
            "--mask belongs to a matched stitch, and this one is low_rank; leave",
        ),
        ("--mask match --l1 1", "--mask belongs to a matched stitch, and this one is sparse"),
        ("--orthogonal -r 4", "--orthogonal belongs to an orthogonal stitch, and this one is low"),
        ("--orthogonal --l1 1", "--orthogonal belongs to an orthogonal stitch, and this one is sp"),
        ("--orthogonal --mask match", "belongs to an orthogonal stitch, and this one is matched"),
        ("--orthogonal --family affine", "belongs to an orthogonal stitch, and this one is affine"),
        ("--family matched", "a matched stitch needs --mask"),
        ("--family matched -m identity", "a matched stitch needs --mask"),
        ("-m best", "-m takes identity, semi-match, abs-semi-match, random-permutation or match"),
        # What contradicts the objective.
        (
            f"--direct mse {SOFT}",
            "--target-type belongs to the objective task, and this one is direct; leave it out",
        ),
        (
            "--match-spread --orthogonal",
            "--match-spread does not go with an orthogonal stitch; take",
        ),
        (
            "--match-covariance -m match",
            "does not go with a matched stitch; take affine or low_rank",
        ),
        ("--match-covariance --match-spread", "--match-covariance puts the spread right, too"),
        ("--ridge -r 3", "--ridge solves affine stitches, and this one is low_rank; leave one"),
        ("--direct mse --objective task", "--direct belongs to the objective direct, and this one"),
        ("--objective latent", "--objective takes task, direct, final_features or latent_alignm"),
        ("--objective task --then task", "--then task follows another --objective, and this one"),
        ("--align-layers fc1", "--align-layers belongs to the objective latent_alignment, and th"),
        (
            "--objective latent_alignment --align-layers fc3 fc3",
            "--align-layers names fc3 more than once; name it once",
        ),
        ("--objective final_features -e 0", "--objective acts in training, and --epochs 0"),
        ("--direct cka --cka-reg 1", "--direct cka is CKA alone; leave --cka-reg out or take"),
        ("--temperature 2", "--temperature softens the answers of a teacher; choose a --target-ty"),
        ("--temperature 2 --direct mse", "--temperature softens the answers of a teacher"),
        (f"--temperature 0 {SOFT}", "a temperature is above 0 and finite, got 0.0"),
        (f"--temperature inf {SOFT}", "--temperature takes a number, got 'inf'"),
        ("--cka-reg nan", "--cka-reg takes a number, got 'nan'"),
        ("--target-type soft_3", "--target-type takes hard, soft_1, soft_2, soft_12 or soft_1_plu"),
        ("--direct l2", "--direct takes mse or cka, got 'l2'"),
        # What acts in training, where there is none.
        ("--direct mse --family permutation", "--direct acts in training, and a stitch of family"),
        ("--direct cka --family identity", "acts in training, and a stitch of family identity has"),
        (f"{SOFT} --family permutation", "--target-type acts in training, and a stitch of family"),
        ("--direct mse -e 0", "--direct acts in training, and --epochs 0 leaves none"),
        (f"{SOFT} -e 0", "--target-type acts in training, and --epochs 0 leaves none"),
        ("--cka-reg 1 -e 0", "--cka-reg acts in training, and --epochs 0 leaves none"),
        ("--family mlp -e 0", "an mlp stitch has no closed form, and --epochs 0 trains none"),
        ("--family conv3x3 -f", "--flatten leaves no neighbours, which a conv3x3 stitch sees"),
        ("--family identity -e 5", "--epochs 5 asks for training, and a stitch of family identity"),
        ("--family permutation -e 3", "permutation has no parameters to train; leave it out"),
        ("--family permutation -lr 0.1", "--lr acts in training, and a stitch of family permutat"),
        ("-lr 0.1 -e 0", "--lr acts in training, and --epochs 0 leaves none"),
        ("-b 64 -e 0", "--batch-size acts in training, and --epochs 0 leaves none"),
        ("-b 64 --family identity", "--batch-size acts in training, and a stitch of family id"),
        ("-wd 0.1 -e 0", "--weight-decay acts in training, and --epochs 0 leaves none"),
        ("-opt sgd -e 0", "--optimizer acts in training, and --epochs 0 leaves none"),
        ("-s 3 -e 0", "--save-frequency acts in training, and --epochs 0 leaves none"),
        ("--no-augment -e 0", "--no-augment acts in training, and --epochs 0 leaves none"),
        ("--precision bf16-mixed -e 0", "--precision acts in training, and --epochs 0 leaves"),
        # Starts that say nothing.
        ("--orthogonal -i ones-zeros", "--init ones-zeros singles out no orthogonal stitch"),
        ("--family permutation -i ones-zeros", "--init ones-zeros singles out no permutation"),
        ("--family identity -i perm", "--init perm singles out no identity stitch; choose another"),
        # Numbers.
        ("--solve-on 0", "--solve-on must be at least 1, got 0"),
        ("-wd -1", "-wd must be at least 0, got -1.0"),
        ("-b 0", "-b must be at least 1, got 0"),
        ("--seed -1", "--seed must be at least 0, got -1"),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_reason(mistake, mlps, words, expected):
    assert expected in mistake("stitch", *mlps, "fc2", "fc2", *words.split())


@pytest.mark.parametrize(
    ("layers", "words", "expected"),
    [
        (
            "fc2 fc1",
            "-m match",
            "match gives each target unit a source unit of its own, got 16 for 3",
        ),
        ("fc2 fc1", "--family conv3x3", "sees neighbours on a grid, and fc1 has none; take affine"),
        ("fc2 fc1", "-m random-permutation", "got 16 for 32; use semi-match"),
        ("fc2 fc1", "--orthogonal", "needs as many target units as source units, got 16 and 32"),
    ],
)
def test_what_does_not_fit_the_layers_is_refused(mistake, mlps, layers, words, expected):
    assert expected in mistake("stitch", *mlps, *layers.split(), *words.split())


def test_a_vector_has_no_places_even_where_an_option_might_find_them(mistake, pair):
    said = mistake("stitch", *pair, "fc1", "pool2", "-m", "semi-match")
    assert "the source is a vector and the target has places (5, 5); cut the receiver" in said


def test_networks_of_other_classes_than_the_data_are_refused(mistake, saved):
    few = saved("lenet", 0, num_classes=7), saved("lenet", 1, num_classes=7)
    said = mistake("stitch", *few, "fc1", "fc1")
    assert "digits has 10 classes, and the receiver tells 7 apart" in said
