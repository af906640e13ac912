import pytest

from frankenstein.errors import PlanError, UserError
from frankenstein.studies.graph import graph_of
from frankenstein.studies.members import members_of, pairs_of

TRAIN = {"model": "mlp", "dataset": "digits", "epochs": 1}


def names(members):
    return [one.name for one in members]


def paired(networks, pairs):
    return [f"{a.name} {b.name}" for a, b in pairs_of(members_of(networks), pairs)]


def test_networks_are_trained_from_seeds_at_every_point_of_a_grid():
    found = members_of({"train": {**TRAIN, "epochs": [1, 2]}, "seeds": "0..1"})
    assert names(found) == ["mlp-epochs1-0", "mlp-epochs1-1", "mlp-epochs2-0", "mlp-epochs2-1"]
    assert found[3].trained_by == {
        **TRAIN,
        "epochs": 2,
        "init_noise": 1,
        "gradient_noise": 1,
    }
    (one,) = members_of({"train": {**TRAIN, "init_noise": 3}, "seeds": [7]})
    assert (one.trained_by["init_noise"], one.trained_by["gradient_noise"]) == (3, 7)
    assert names(members_of({"train": {"model": ["lenet", "torchvision/resnet18"]}})) == [
        "lenet",
        "resnet18",
    ]


def test_networks_may_be_files_globs_runs_and_sources(saved, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b"):
        (tmp_path / "results/train" / name).mkdir(parents=True)
        (tmp_path / "results/train" / name / "network.safetensors").touch()
    found = members_of(["results/train/*", saved("mlp"), "lenet#1", "lenet#2", "lenet#1"])
    assert names(found) == ["a", "b", "mlp-10-1-in0", "lenet-1", "lenet-2", "lenet-1-2"]
    assert found[0].source == "results/train/a/network.safetensors"
    assert names(members_of({"sources": "results/train/b", "train": TRAIN})) == ["mlp", "b"]


def test_pairs_are_all_the_next_those_of_other_seeds_or_a_list():
    networks = [{"train": {**TRAIN, "epochs": [1, 2]}, "seeds": "0..1"}]
    a, b, c, d = names(members_of(networks))
    assert paired(networks, "all") == [
        f"{one} {other}" for one, other in [(a, b), (a, c), (a, d), (b, c), (b, d), (c, d)]
    ]
    both_ways = paired([f"lenet#{seed}" for seed in range(5)], "both")
    assert len(both_ways) == len({*both_ways}) == 20
    assert {"lenet-0 lenet-1", "lenet-1 lenet-0"} <= {*both_ways}
    assert paired(networks, "chain") == [f"{a} {b}", f"{b} {c}", f"{c} {d}"]
    assert paired(networks, "same") == [f"{a} {b}", f"{c} {d}"]
    assert paired(networks, [[a, d], [d, a]]) == [f"{a} {d}", f"{d} {a}"]
    assert paired(["lenet#0", "lenet#1", "mlp#0"], "same") == ["lenet-0 lenet-1"]


def test_a_pair_waits_for_its_networks_and_takes_their_files():
    blocks = {"stitch": {"all": True, "epochs": 0}, "compare": [{}, {"measures": ["mean_cca"]}]}
    networks = [{"train": TRAIN, "seeds": "0..1"}, "mlp#5"]
    nodes = {
        n.name: n for n in graph_of(networks, "chain", blocks, "FOLDER", {"accelerator": "cpu"})
    }
    assert [*nodes] == [
        "train/mlp-0",
        "train/mlp-1",
        "stitch/mlp-0-to-mlp-1",
        "stitch/mlp-1-to-mlp-5",
        "compare/mlp-0-vs-mlp-1",
        "compare/mlp-1-vs-mlp-5",
        "compare/mlp-0-vs-mlp-1-2",
        "compare/mlp-1-vs-mlp-5-2",
    ]
    stitch = nodes["stitch/mlp-1-to-mlp-5"]
    assert (stitch.after, stitch.opens) == (("train/mlp-1",), True)
    assert stitch.plan.sender == "FOLDER/train/mlp-1/network.safetensors"
    assert (stitch.plan.receiver, stitch.plan.out_dir) == ("mlp#5", "FOLDER")
    assert nodes["compare/mlp-0-vs-mlp-1"].after == ("train/mlp-0", "train/mlp-1")
    assert nodes["compare/mlp-0-vs-mlp-1-2"].plan.run_name == "mlp-0-vs-mlp-1-2"
    assert {node.plan.accelerator for node in nodes.values()} == {"cpu"}
    stitch = {"late": {"all": True}, "ranks": {"all": True, "low_rank": [1, 2]}}
    named = graph_of(["mlp#0", "mlp#1"], "all", {"stitch": stitch}, "FOLDER", {})
    assert [node.name.partition("mlp-1-")[2] for node in named] == [
        "late",
        "ranks-low_rank1",
        "ranks-low_rank2",
    ]


def test_pairs_both_ways_are_stitched_both_ways_and_compared_once():
    blocks = {"stitch": {"sender_layer": ["fc1", "fc2"], "epochs": 0}, "compare": {}}
    nodes = graph_of([f"mlp#{i}" for i in range(3)], "both", blocks, "FOLDER", {})
    stitches = {n.name.removeprefix("stitch/"): n.plan for n in nodes if n.name[0] == "s"}
    assert len(stitches) == 3 * 2 * 2
    assert {plan.layers for plan in stitches.values()} == {("fc1", "fc1"), ("fc2", "fc2")}
    assert {"mlp-1-to-mlp-0-fc1", "mlp-0-to-mlp-1-fc2"} <= stitches.keys()
    assert [n.name for n in nodes if n.name[0] == "c"] == ["compare/3-networks"]
    asked = {"compare": {"permutations": 9}}  # of two networks
    two = graph_of([f"mlp#{i}" for i in range(3)], "both", asked, "FOLDER", {})
    assert len(two) == 3


@pytest.mark.parametrize(
    "of_two", [{"permutations": 200}, {"measures": ["within_class_unbiased_cka"]}]
)
def test_all_pairs_of_several_networks_are_compared_in_one_run_or_two_by_two(of_two):
    blocks = {"compare": {"measures": [["mean_cca"], ["linear_cka"]]}, "analyze": {"units": True}}
    networks = [{"train": TRAIN, "seeds": "0..1"}, "mlp#5"]
    nodes = {node.name: node for node in graph_of(networks, "all", blocks, "FOLDER", {})}
    assert [name for name in nodes if not name.startswith("train/")] == [
        "compare/3-networks-mean_cca",
        "compare/3-networks-linear_cka",
        "analyze/mlp-0-vs-mlp-1",
        "analyze/mlp-0-vs-mlp-5",
        "analyze/mlp-1-vs-mlp-5",
    ]
    node = nodes["compare/3-networks-mean_cca"]
    files = [f"FOLDER/train/mlp-{seed}/network.safetensors" for seed in (0, 1)]
    assert node.plan.networks == [*files, "mlp#5"]
    assert (node.after, node.opens) == (("train/mlp-0", "train/mlp-1"), True)
    nodes = graph_of(networks, "all", {"compare": of_two}, "FOLDER", {})
    assert [node.name for node in nodes if node.name.startswith("compare/")] == [
        "compare/mlp-0-vs-mlp-1",
        "compare/mlp-0-vs-mlp-5",
        "compare/mlp-1-vs-mlp-5",
    ]


@pytest.mark.parametrize(
    ("networks", "pairs", "expected"),
    [
        ("no.safetensors", "all", "no file no.safetensors"),
        ("no/*.safetensors", "all", "no file matches no/*.safetensors"),
        ({"trian": TRAIN}, "all", "networks has no field trian; known: train, seeds, sources; did"),
        ({"seeds": "0..4"}, "all", "seeds are of networks that are trained"),
        ({"train": TRAIN, "seeds": 3}, "all", "seeds takes a range such as 0..4 or a list"),
        ({"train": TRAIN, "seeds": [1, 1]}, "all", "seeds has a number twice"),
        (3, "all", "networks are {train: ..., seeds: 0..4}, files"),
        ([], "all", "names no network"),
        ("lenet#0", "all", "pairs 'all' of 1 networks are none"),
        (["lenet#0", "lenet#1"], "al", "pairs is all, both, same, chain or a list of [name, name]"),
        (["lenet#0", "lenet#1"], [["lenet-0", "lenet-3"]], "no network is called lenet-3; known:"),
        (["lenet", "mlp"], "same", "pairs same is of seeds, and those of lenet are not known"),
    ],
)
def test_networks_and_pairs_that_are_none_are_told(networks, pairs, expected):
    with pytest.raises(UserError) as told:
        graph_of(networks, pairs, {"compare": {}}, "FOLDER", {})
    assert expected in str(told.value)


def test_a_plan_that_refuses_its_fields_is_told_by_its_verb():
    blocks = {"stitch": {"all": True, "family": "affine", "low_rank": 3}}
    with pytest.raises(PlanError, match="stitch of this study: low_rank belongs to"):
        graph_of(["lenet#0", "lenet#1"], "all", blocks, "FOLDER", {})
