"""Many networks at once: each runs once, and every cell is that of the pair by itself."""

import csv
import json
import math
from itertools import combinations, product

import pytest
import torch
from torch import nn

from frankenstein.errors import PlanError, UserError
from frankenstein.measures import UndefinedSimilarityWarning
from frankenstein.report import Picture
from frankenstein.report.figure_values import points_svg
from frankenstein.report.networks import network_map
from frankenstein.runs import Run
from frankenstein.similarity import similarity_between, similarity_matrices, similarity_matrix
from frankenstein.similarity.networks.cards import paths, properties
from frankenstein.similarity.networks.estimates import estimate, grouping, pair_means
from frankenstein.similarity.networks.layout import distances_of, map_of, order_of, tree_of
from frankenstein.similarity.networks.matching import matching_layers
from frankenstein.similarity.networks.page import joined_blocks, pages_of
from frankenstein.similarity.plan import ComparePlan

MATRICES = ("mean", "spread")
LAYERS = ["bn1", "fc"]
# Of each kind of what is kept: sums, Gram matrices, sums by parts, examples; three have directions.
MEASURES = [
    *("angular_shape_distance", "linear_cka", "pwcca", "unbiased_cka"),
    *("cross_validated_r_squared", "mutual_knn", "deconfounded_cka"),
]


@pytest.fixture
def networks(small_network):
    """Three of one architecture, of which the last is wider."""
    return {"a": small_network(0), "b": small_network(1), "c": small_network(2, widths=(5, 7))}


@pytest.fixture
def images():
    return torch.randn(150, 1, 8, 8).split(40)


def test_every_network_runs_once_over_the_data(networks, images, calls):
    happened = calls(**{name: network.conv1 for name, network in networks.items()})
    found = similarity_between(networks, iter(images), MEASURES, LAYERS)
    assert happened == list(networks)  # 150 images are one block
    assert (found.networks, found.layers) == (("a", "b", "c"), tuple(LAYERS))
    assert found.values["pwcca"].shape == (3, 3, 2)


@pytest.mark.parametrize("options", [{}, {"block": 64, "limit": 50}])
def test_every_cell_is_that_of_the_pair(networks, images, options):
    measures = ["unbiased_cka", "mutual_knn"] if options else MEASURES
    found = similarity_between(networks, images, measures, LAYERS, **options)
    names = list(networks)
    for i, j in ((0, 0), (0, 1), (1, 0), (1, 2)):
        pairs = similarity_matrices(
            *(networks[names[k]] for k in (i, j)), images, measures, LAYERS, LAYERS, **options
        )
        for measure, pair in pairs.items():
            assert found.examples[measure] == pair.examples
            assert found.flattenings[measure] == pair.flattening
            cells = found.values[measure][i, j].diag() if i == j else found.across[measure][i, j]
            expected = pair.values.diag().diag() if i == j else pair.values
            torch.testing.assert_close(cells, expected, rtol=0, atol=1e-9, equal_nan=True)


def test_means_and_spreads_are_those_of_all_ordered_pairs(networks, images):
    found = similarity_between(networks, images, "linear_cka", LAYERS)
    nets = list(networks.values())
    pairs = torch.stack(
        [
            similarity_matrix(one, other, images, "linear_cka", LAYERS, LAYERS).values
            for one, other in product(nets, nets)
            if one is not other
        ]
    )
    mean, spread = found.mean_over_pairs("linear_cka"), found.spread_over_pairs("linear_cka")
    torch.testing.assert_close(mean.values, pairs.mean(0))
    torch.testing.assert_close(spread.values, (pairs - pairs.mean(0)).square().mean(0).sqrt())
    assert mean.rows == mean.columns == tuple(LAYERS)
    whole = found.matrix("linear_cka")
    torch.testing.assert_close(whole.values, found.values["linear_cka"].mean(2))
    assert found.matrix("linear_cka", "fc")["a", "b"] == pytest.approx(
        similarity_matrix(nets[0], nets[1], images, "linear_cka", "fc", "fc").values.item()
    )


def test_layers_of_other_architectures_match_by_name_or_in_order(networks, images):
    other = nn.Sequential(nn.Flatten(), nn.Linear(64, 9), nn.ReLU(), nn.Linear(9, 3)).eval()
    wanted = {"a": ["bn1", "fc"], "b": ["fc", "relu1"], "d": ["1", "3"]}
    some = {"a": networks["a"], "b": networks["b"]}
    shared = similarity_between(some, images, "linear_cka", wanted)
    assert (shared.layers, shared.across) == (("fc",), {})
    found = similarity_between(some | {"d": other}, images, "linear_cka", wanted)
    assert found.layers == ("bn1 / fc / 1", "fc / relu1 / 3")
    pair = similarity_matrix(networks["b"], other, images, "linear_cka", "relu1", "3")
    assert float(found.values["linear_cka"][1, 2, 1]) == pytest.approx(pair.values.item(), abs=1e-9)
    with pytest.raises(UserError, match="few enough to be summed"):
        found.mean_over_pairs("linear_cka")
    with pytest.raises(UserError, match=r"no layer by the same name.*2 of a, 1 of d"):
        matching_layers({"a": ("x", "y"), "d": ("z",)})


def test_networks_and_files_of_activations_stand_side_by_side(networks, images):
    with torch.no_grad():
        rows = networks["b"](torch.cat(images))
    sides = {"a": networks["a"], "file": {"fc": rows}}
    found = similarity_between(sides, images, ["unbiased_cka", "linear_cka"], "fc")
    pair = similarity_between({"a": networks["a"], "b": networks["b"]}, images, layers="fc")
    assert found.networks == ("a", "file")
    assert pair.matrix("angular_shape_distance")["a", "b"] > 0
    three = {name: {"fc": rows + i * torch.randn(rows.shape)} for i, name in enumerate("xyz")}
    alone = similarity_between(three, None, "linear_cka")
    assert alone.matrix("linear_cka")["x", "y"] > alone.matrix("linear_cka")["x", "z"]


def test_what_is_undefined_is_named_once(networks, images):
    with torch.no_grad():
        networks["b"].fc.weight.zero_()
    with pytest.warns(UndefinedSimilarityWarning, match="5 of 9 pairs.*'fc' of .*same for every"):
        found = similarity_between(networks, images, "linear_cka", "fc")
    assert found.matrix("linear_cka").values.isnan()[1].all()


@pytest.mark.parametrize(
    ("given", "message"),
    [([], "two networks or more"), ([nn.Linear(2, 2), 3], "2 is a int; give modules")],
)
def test_what_is_no_set_of_networks_is_refused(given, message):
    with pytest.raises(UserError, match=message):
        similarity_between(given, [torch.randn(8, 2)])


def test_means_over_pairs_and_what_they_are_without_a_network():
    values = torch.rand(5, 5, 2, dtype=torch.float64)
    chosen = torch.tensor([[abs(i - j) < 3 for i in range(5)] for j in range(5)])
    mean, without = pair_means(values, chosen)

    def brute(left):
        pairs = [(i, j) for i in left for j in left if i != j and chosen[i, j]]
        return torch.stack([values[pair] for pair in pairs]).mean(0)

    torch.testing.assert_close(mean, brute(range(5)))
    for gone in range(5):
        torch.testing.assert_close(without[gone], brute([i for i in range(5) if i != gone]))
    mean, without = pair_means(
        values, torch.tensor([[i + j == 1 for i in range(5)] for j in range(5)])
    )
    torch.testing.assert_close(mean, (values[0, 1] + values[1, 0]) / 2)
    assert without[:2].isnan().all()


def networks_at_random(count, generator, own=1.0, of_pair=0.5):
    """Values of a mean 1 between networks: each has a part of its own, and each pair one."""
    draw = {"generator": generator, "dtype": torch.float64}
    parts, pairs = own * torch.randn(count, **draw), of_pair * torch.randn(count, count, **draw)
    return 1 + parts[:, None] + parts + pairs.triu(1) + pairs.triu(1).T


@pytest.mark.parametrize("count", [4, 8])
@pytest.mark.parametrize("of_examples", [0.0, 0.5])
def test_intervals_hold_the_mean_of_all_networks_as_often_as_they_say(count, of_examples):
    """Where pairs are taken for independent draws, the interval holds it far too rarely."""
    generator = torch.Generator().manual_seed(count)
    draws, held, naive = 600, 0, 0
    for _ in range(draws):
        shift = of_examples * torch.randn((), generator=generator, dtype=torch.float64)
        values = networks_at_random(count, generator) + shift
        mean, without = pair_means(values)
        low, high = estimate(mean, without, of_examples**2)
        held += bool(low < 1 < high)
        pairs = values[torch.ones(count, count).triu(1) > 0]
        naive += bool((pairs.mean() - 1).abs() < 2.1 * pairs.std() / math.sqrt(len(pairs)))
    assert held / draws > 0.93
    assert naive / draws < 0.75


@pytest.mark.parametrize("labels", ["aaabbb", "aabbcc", "aabb"])
def test_groups_that_mean_nothing_are_found_as_rarely_as_they_should_be(labels):
    generator = torch.Generator().manual_seed(0)
    held, small, draws = [0, 0, 0], 0, 300
    for seed in range(draws):
        values = networks_at_random(len(labels), generator)
        found = grouping("x", list(labels), values, seed=seed, shuffles=39)
        parts = (found.within, 1), (found.between, 1), (found.difference, 0)
        held = [
            n + (one.low < truth < one.high) for n, (one, truth) in zip(held, parts, strict=True)
        ]
        small += found.p <= 0.05
    assert min(held) / draws > 0.9
    assert small / draws < 0.08


def test_groups_that_mean_something_are_found():
    labels = ["a"] * 5 + ["b"] * 5
    apart = torch.tensor([[float(one != other) for one in labels] for other in labels])
    values = networks_at_random(10, torch.Generator().manual_seed(0), own=0.1, of_pair=0.1) + apart
    found = grouping("architecture", labels, values, values + 0.01 * torch.randn(20, 10, 10))
    assert found.difference.low > 0.5
    assert found.p == pytest.approx(1 / 1000, abs=0.02)
    assert (found.within.pairs, found.between.pairs) == (20, 25)
    assert grouping("seed", list("abcdefghij"), values) is None


def test_a_map_of_points_is_these_points_turned():
    points = torch.randn(9, 2, dtype=torch.float64)
    distances = torch.cdist(points, points)
    found, stress = map_of(distances)
    torch.testing.assert_close(torch.cdist(found, found), distances, atol=1e-7, rtol=0)
    assert stress < 1e-7
    four = torch.ones(4, 4, dtype=torch.float64).fill_diagonal_(0)  # a tetrahedron has no flat map
    _, stress = map_of(four)
    assert 0.1 < stress < 0.4


def test_a_tree_joins_what_is_near_and_orders_it():
    places = torch.tensor([0.0, 5.0, 0.1, 5.2, 9.0], dtype=torch.float64)
    tree = tree_of((places[:, None] - places).abs())
    assert {*tree[0, :2]} == {0, 2}
    assert {*tree[1, :2]} == {1, 3}
    order = order_of(tree)
    assert order in ([0, 2, 1, 3, 4], [4, 3, 1, 2, 0], [2, 0, 1, 3, 4], [4, 3, 1, 0, 2])


def test_distances_of_measures_of_both_kinds():
    values = torch.tensor([[1.0, 0.8], [0.6, 1.0]])
    assert distances_of(values, "linear_cka")[0, 1] == pytest.approx(0.3)
    assert distances_of(1 - values, "angular_shape_distance")[1, 0] == pytest.approx(0.3)
    assert distances_of(values, "shared_dimensions")[0, 1].isnan()


def card(**facts):
    made = {"architecture": "lenet", "dataset": "digits", "init_seed": 0, "order_seed": 0}
    return made | {"epochs": 20, "weights": None} | facts


def test_groups_are_told_by_cards():
    cards = {
        "a": card(),
        "b": card(init_seed=1, order_seed=1),
        "c": card(architecture="resnet20_w2", init_seed=1, order_seed=1),
        "d": card(architecture="resnet20_w3"),
    }
    found = properties(cards)
    assert found == {
        "architecture": ["lenet", "lenet", "resnet20_w2", "resnet20_w3"],
        "weights' seed": ["0", "1", "1", "0"],
    }
    assert properties({"a": card(), "b": card()}) == {}


def test_groups_of_networks_are_those_of_what_they_learned_from():
    plain = card(random_labels=0.0, augmentation=1)
    marked = card(random_labels=0.0, augmentation=1, marker=0.5)
    random = card(random_labels=0.25, augmentation=1)
    cards = {"a": plain, "b": plain, "c": marked, "d": marked, "e": random, "f": random}
    assert properties({**cards, "older": card()}) == {
        "random labels": ["0"] * 4 + ["0.25"] * 2 + ["unknown"],
        "marker": ["none"] * 2 + ["0.5"] * 2 + ["none"] * 2 + ["unknown"],
        "augmentation": ["1"] * 6 + ["unknown"],
    }
    other = card(random_labels=0.25, augmentation=1, epochs=2)
    assert paths({"a": plain, "other": other}) == []  # no two states of one training


def write_networks(saved):
    return [saved("lenet", 0), saved("lenet", 1), saved("dense", 0), saved("dense", 1)]


def test_a_run_of_many_networks_has_the_numbers_of_the_pairs(run, saved, blank_figures):
    files = [saved("lenet", seed) for seed in range(3)]
    folder = run("compare", *files, "conv1,fc2", "linear_cka", "--bootstrap", 39)
    numbers = json.loads((folder / "summary.json").read_text())
    rows = list(csv.DictReader((folder / "pairs.csv").read_text().splitlines()))
    assert len(rows) == 3 * 4
    known = {
        (r["network"], r["other"], r["layer"], r["other_layer"]): float(r["value"]) for r in rows
    }
    names = sorted({row["network"] for row in rows} | {row["other"] for row in rows})
    pairs = {}
    for (i, one), (j, other) in combinations(enumerate(files), 2):
        pair = run("compare", one, other, "conv1,fc2", "conv1,fc2", "linear_cka")
        for key, value in json.loads((pair / "summary.json").read_text()).items():
            word, *layers = key.split("/")
            if word == "linear_cka":
                assert known[names[i], names[j], *layers] == pytest.approx(value, abs=1e-9)
                pairs.setdefault(tuple(layers), []).append(value)
    assert numbers["linear_cka_mean/fc2"] == pytest.approx(sum(pairs["fc2", "fc2"]) / 3)
    assert 0 <= numbers["linear_cka_low/fc2"] < numbers["linear_cka_mean/fc2"]
    tidy = csv.DictReader((folder / "layers.csv").read_text().splitlines())
    rows_of = {(row["layer"], row["other_layer"]): row for row in tidy}
    for layer in ("conv1", "fc2"):  # page, summary and table have one interval
        for end in ("mean", "low", "high", "spread"):
            said = float(rows_of[layer, layer][end])
            assert said == pytest.approx(numbers[f"linear_cka_{end}/{layer}"], abs=1e-12)
    assert all(0 <= float(row["low"]) <= float(row["high"]) <= 1 for row in rows_of.values())
    assert rows_of["fc2", "fc2"]["interval_over"] == "networks and examples"
    assert rows_of["conv1", "fc2"]["interval_over"] == "networks"
    page = (folder / "report.md").read_text()
    assert "3 networks, each run once over 60 held-out images, and all 3 pairs" in page
    assert "leaving out one network at a time" in page
    pictures = [f"linear_cka-{picture}.png" for picture in ("networks", "tree", "map", *MATRICES)]
    assert {*pictures} <= {path.name for path in (folder / "figures").glob("*.png")}
    made = Run.read(folder)
    means = [sum(pairs[s, s][k] for s in ("conv1", "fc2")) / 2 for k in range(3)]
    assert f"The mean linear_cka of 3 pairs of networks is {sum(means) / 3:.2f}" in made.finding
    assert f"({max(means):.2f}), the least" in made.finding
    matrices = made.matrices()
    assert [*matrices] == ["linear_cka", *(f"linear_cka-{what}" for what in MATRICES)]
    assert matrices["linear_cka"][names[0], names[1]] == pytest.approx(means[0])
    both = pairs["conv1", "fc2"] + pairs["fc2", "conv1"]  # there and back
    assert matrices["linear_cka-mean"]["conv1", "fc2"] == pytest.approx(sum(both) / 6)
    again = [block for block in joined_blocks(made, made.folder) if isinstance(block, Picture)]
    assert [f"{picture.name}.png" for picture in again] == pictures


def test_groups_are_on_the_page_of_a_pattern_of_files(run, saved, blank_figures):
    first, *others = write_networks(saved)
    folder = run("compare", first, *others, "fc1,fc2", "-d", "digits")
    numbers = json.loads((folder / "summary.json").read_text())
    assert {"angular_shape_distance_difference/architecture"} <= numbers.keys()
    assert "lenet (2), dense (2)" in (folder / "report.md").read_text()
    record = json.loads((folder / "run.json").read_text())
    assert len(record["cards"]) == 4


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nothing/*.safetensors"], "nothing is called nothing/*.safetensors"),
        (["{0}", "{1}", "{2}", "--receiver-layer", "fc1"], "unknown option"),
        (["{0}", "{1}", "{2}", "fc1", "--permutations", "20"], "--permutations is of two networks"),
        (["{0}", "{1}", "{2}", "fc1", "l2"], "l2 is of two single layers"),
        (["{0}", "{1}", "{2}", "fc9"], "no network has a layer 'fc9'"),
        (["{0}", "{1}", "{2}", "fc1", "linear_ckaa"], "did you mean linear_cka?"),
    ],
)
def test_what_many_networks_cannot_have_is_refused(mistake, saved, words, message):
    files = [saved("lenet", seed) for seed in range(3)]
    assert message in mistake("compare", *(word.format(*files) for word in words))


def test_a_pattern_is_the_files_that_it_matches_in_order(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("in10", "in2", "in1", "in3.partial"):
        (tmp_path / name).mkdir()
    plan = ComparePlan(sender="in*")
    assert plan.networks == ["in1", "in2", "in10"]
    assert (plan.sender, plan.receiver, plan.more) == ("in1", "in2", ["in10"])
    with pytest.raises(PlanError, match="alone; it takes two networks"):
        ComparePlan(sender="in1?")


def test_paths_are_states_of_one_training():
    cards = {
        "late": card(epoch=2.0, step=40),
        "early": card(epoch=0.5, step=10),
        "end": card(),
        "other": card(init_seed=1),
    }
    (path,) = paths(cards)
    assert path.networks == ("early", "late", "end")
    assert (path.steps, path.unit) == ((10, 40, 400), "step")


def test_a_point_of_a_map_of_networks_leads_to_the_run_that_made_it(tmp_path):
    made = tmp_path / "train" / "one 1"
    made.mkdir(parents=True)
    for name in ("run.json", "report.html"):
        (made / name).touch()
    names = ["whole", "at a step", "from elsewhere"]
    files = ["network.safetensors", "snapshots/step0.safetensors", "../a.safetensors"]
    cards = {name: card(file=str(made / file)) for name, file in zip(names, files, strict=True)}
    pages = pages_of(cards, tmp_path / "compare" / "run")
    assert pages == dict.fromkeys(names[:2], "../../train/one%201/report.html")
    drawn = points_svg(network_map([[0, 0], [1, 0], [0, 1]], names, pages=pages))
    assert drawn.count('<a href="../../train/one%201/report.html" tabindex="-1"><circle') == 2
