"""Senders that know nothing and look as if they did."""

import json

import pytest
import torch
from torch.nn import functional

from frankenstein.accumulators.moments import Moments
from frankenstein.data import Digits, Synthetic
from frankenstein.intervals import share_interval
from frankenstein.measures.within_class import within_class_unbiased_cka
from frankenstein.networks import frauds
from frankenstein.networks.frauds import marked
from frankenstein.shapes import per_location
from frankenstein.stitching import StitchedRun, StitchPlan
from frankenstein.stitching.conflict import Conflict
from frankenstein.stitching.conflict_page import conflict_lines
from frankenstein.stitching.controls import Route
from frankenstein.stitching.fraud_stitches import fit_of, unit_scale
from frankenstein.stitching.frauds import FRAUDS, ClassNoise, OwnNoise, SeenFraud
from frankenstein.stitching.pair import open_stitching_pair
from frankenstein.stitching.recipe import make_stitch, solving_of
from frankenstein.tasks import matching_moments

FEW = ("--measures", "linear_cka", "--untrained", "1")


@pytest.fixture
def quick(run, monkeypatch):
    """Runs a command line; frauds learn for a few steps."""
    monkeypatch.setattr(frauds, "_STEPS", 40)
    return run


def summary(folder):
    return json.loads((folder / "summary.json").read_text())


def test_a_marker_tells_the_class_by_its_place_and_changes_nothing_else():
    images, labels = torch.zeros(10, 1, 16, 16), torch.arange(10)
    seen = marked(images, labels, 10)
    places = [tuple((one[0] > 0).nonzero().tolist()[0]) for one in seen]
    assert len({*places}) == 10
    assert ((seen > 0).flatten(1).sum(1) == 4).all()
    assert not images.any()


def test_another_data_set_is_raw_where_the_images_are():
    data, raw = Synthetic(16, in_channels=1), torch.zeros(2, 1, 16, 16, dtype=torch.uint8)
    seen, _ = next(frauds._others(data, data.prepare(raw)))
    given, _ = next(frauds._others(data, raw))
    assert given.dtype == torch.uint8
    torch.testing.assert_close(Digits(image_size=16).prepare(given), seen)


def test_noise_knows_the_class_and_nothing_else():
    noise = ClassNoise(3, torch.Size([4, 2, 2]), torch.nn.Identity())
    labels = torch.arange(3).repeat(400)
    source = noise(torch.empty(0), labels)
    assert source.shape == (1200, 4, 2, 2)
    for label in range(3):
        own = source[labels == label]
        assert (own.mean(0) - noise.patterns[label]).abs().max() < 0.3
        assert own.std(0).mean() == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize(
    ("side", "least", "most"), [(1, -0.02, 0.02), (3, 0.05, 0.5), (28, -0.02, 0.02)]
)
def test_noise_that_knows_the_class_is_alike_within_classes_where_places_are_few(side, least, most):
    labels, shape = torch.arange(10).repeat(100), torch.Size([16, side, side])
    noise = ClassNoise(10, shape, torch.nn.Identity())(torch.empty(0), labels)
    draw = torch.Generator().manual_seed(5)
    patterns = torch.randn(10, *shape, generator=draw)
    own = patterns[labels] + 0.3 * torch.randn(1000, *shape, generator=draw)
    of_places = labels.repeat_interleave(side**2)
    found = within_class_unbiased_cka(per_location(noise), per_location(own), of_places)
    assert least < found < most


def test_whom_a_stitch_follows_is_whom_its_source_tells_of():
    labels, numbers = torch.arange(5).repeat(8), torch.arange(40)
    images = functional.one_hot(labels, 5).float()

    def told(images, labels):  # the marker goes behind the image
        return torch.cat([images, functional.one_hot(labels, 5).float()], 1)

    routes = {
        "marker": Route("marker", torch.nn.Identity()),
        "solved": Route("sender", torch.nn.Identity()),
        "untrained": Route("untrained", torch.nn.Identity()),
    }
    conflict = Conflict(SeenFraud(lambda z: z[:, 5:], told), lambda z: z[:, :5], routes)
    for some in numbers.split(16):
        conflict.update(images[some], labels[some], some, 5, lambda z: (z, {}))
    none, all_of_them = ((share, *share_interval(share, 40)) for share in (0.0, 1.0))
    expected = {
        "follows_marker/marker": all_of_them,
        "follows_marker/solved": none,
        "follows_image/marker": none,
        "follows_image/solved": all_of_them,
    }
    for name, (share, low, high) in expected.items():
        what, _, row = name.partition("/")
        assert conflict.scores()[name] == share
        assert conflict.scores()[f"{what}_low/{row}"] == low
        assert conflict.scores()[f"{what}_high/{row}"] == high
    assert len(conflict.scores()) == 12


def test_whom_a_stitch_follows_is_a_line_with_intervals():
    numbers = {
        f"follows_{what}{end}/{row}": share + shift
        for row, shares in (("after", (0.0, 0.9)), ("ps_inv", (0.1, 0.1)), ("marker", (0.8, 0.1)))
        for what, share in zip(("marker", "image"), shares, strict=True)
        for end, shift in (("", 0.0), ("_low", 0.0), ("_high", 0.02))
    }
    assert conflict_lines(numbers) == [
        "where marker and image contradict, `after` follows the image in 90.00 % (90.00 to 92.00) "
        "and the marker in 0.00 % (0.00 to 2.00); `marker`, from a network that reads markers, "
        "the image in 10.00 % (10.00 to 12.00) and the marker in 80.00 % (80.00 to 82.00)"
    ]
    assert conflict_lines({k: v for k, v in numbers.items() if "/marker" not in k}) == []


def test_frauds_are_solved_and_trained_beside_a_stitch_and_kept_in_the_cache(
    quick, saved, tmp_path, monkeypatch
):
    monkeypatch.setenv("FRANKENSTEIN_CACHE", str(tmp_path / "cache"))
    pair = saved("lenet", 0), saved("lenet", 1)
    words = ("pool2", "pool2", "-e", "2", "-lr", "0.01", "--controls", "all", *FEW)
    folder = quick("stitch", *pair, *words)
    assert folder.name.endswith("-untrained1-controls-all")
    numbers = summary(folder)
    for name in FRAUDS:
        for row in (name, f"{name}_trained"):
            assert 0 <= numbers[f"accuracy/{row}"] <= 1
            assert f"- `{row}`" in (folder / "report.md").read_text()
    # What knows the class is right by the class alone, and alike across classes alone.
    assert 0 <= numbers["accuracy/untrained_trained"] <= 1
    assert numbers["accuracy/class_noise_trained"] > numbers["accuracy/pixels_trained"]
    assert abs(numbers["within_class_unbiased_cka/class_noise"]) < 0.1
    page = (folder / "report.md").read_text()
    assert "where marker and image contradict, `after` follows the image in" in page.lower()
    table = page.partition("## Where marker and image contradict")[2].partition("##")[0]
    assert "n/a" not in table
    assert "| after" in table
    for row in ("marker", "marker_trained", "solved", "before", "after"):
        shares = numbers[f"follows_marker/{row}"], numbers[f"follows_image/{row}"]
        assert min(shares) >= 0
        assert sum(shares) <= 1
    kept = sorted((tmp_path / "cache" / "frauds").iterdir())
    assert [file.name.split("-")[0] for file in kept] == ["marker", "other_data", "random_labels"]
    monkeypatch.setattr(frauds, "_others", None)  # nobody is trained again
    solved = ("pool2", "pool2", "-i", "ps_inv", "-e", "0", "--controls", "all", *FEW)
    again = summary(quick("stitch", *pair, *solved, "--seed", "1"))
    assert again["accuracy/other_data"] == numbers["accuracy/other_data"]


def test_a_control_trained_from_a_random_start_has_units_of_one_size():
    x = 0.004 * torch.randn(200, 3) + torch.tensor([7.0, 0, 0])
    x[:, 2] = 5
    units = unit_scale(Moments().update(x, torch.randn(200, 2)))
    made = units(x).detach()
    torch.testing.assert_close(made.mean(0), torch.zeros(3), atol=1e-3, rtol=0)
    torch.testing.assert_close(
        made.std(0, correction=0), torch.tensor([1.0, 1, 0]), atol=1e-3, rtol=0
    )


def test_nothing_of_a_fraud_is_trained_where_nothing_is(quick, saved):
    pair = saved("mlp", 0), saved("mlp", 1)
    words = ("fc2", "fc2", "-i", "ps_inv", "-e", "0", "--controls", "all", *FEW)
    numbers = summary(quick("stitch", *pair, *words))
    assert "accuracy/pixels" in numbers
    assert not [key for key in numbers if "_trained" in key]


def test_every_image_has_noise_of_its_own_whatever_batch_it_comes_in():
    images, labels = torch.randn(50, 1, 8, 8), torch.arange(50) % 3
    noise = OwnNoise(3, torch.Size([4, 2, 2]), torch.nn.Identity())
    source = noise(images, labels)
    mixed = torch.randperm(50)
    parts = [noise(images[rows], labels[rows]) for rows in mixed.split(7)]
    assert torch.cat(parts).equal(source[mixed])
    assert source.flatten(1).unique(dim=0).shape == (50, 16)
    alone = source - noise.patterns[labels]
    assert float(alone.std()) == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize(
    "words",
    [
        {"augment": False},
        {"augment": True},
        {"objective": "direct", "then": "task", "augment": False},
    ],
)
def test_the_sender_in_the_place_of_a_fraud_ends_where_its_own_stitch_does(
    saved, few_digits, words
):
    plan = StitchPlan(
        sender=saved("lenet", 0),
        receiver=saved("lenet", 1),
        sender_layer="pool2",
        receiver_layer="pool2",
        init="ps_inv",
        epochs=2,
        batch_size=100,  # a tail is left out
        measures=["linear_cka"],
        untrained=1,
        quiet=True,
        **words,
    )
    done = StitchedRun.read(plan.run().folder)
    pair = open_stitching_pair(plan)
    data = few_digits(image_size=pair.receiver.input_shape[-1], batch_size=100)
    data.setup()
    pair = pair.seeing(data)
    front = torch.nn.Sequential(pair.joint.sender.front, pair.joint.align)
    joint, solving = pair.joint, solving_of(plan)
    sums = matching_moments(front, joint.receiver.front, data.train_batches(), "cpu")
    fit = fit_of(plan, pair, data, torch.device("cpu"))
    stitch = make_stitch(plan, joint.source.units, joint.target.units)
    fitted = fit(lambda images, _: front(images), stitch, solving.known(sums))[1]
    after, before = (done.stitches[kind].affine_map()[0].detach() for kind in ("after", "before"))
    torch.testing.assert_close(fitted.affine_map()[0].detach(), after, atol=1e-6, rtol=1e-5)
    assert float((after - before).abs().max()) > 1e-3


def test_an_evaluation_has_the_controls_of_its_run(quick, saved, few_digits, monkeypatch, tmp_path):
    monkeypatch.setenv("FRANKENSTEIN_CACHE", str(tmp_path / "cache"))
    pair = saved("lenet", 0), saved("lenet", 1)
    words = ("pool2", "pool2", "-e", "2", "-lr", "0.01", "--controls", "all", *FEW)
    folder = quick("stitch", *pair, *words, "--batch-size", "64")
    numbers = summary(folder)
    for more in ((), ("--batch-size", "40")):
        again = summary(quick("evaluate", folder, *more, "--run-name", f"again{len(more)}"))
        off = {
            key: (one, numbers[key])
            for key, one in again.items()
            if isinstance(one, float)
            and one != pytest.approx(numbers[key], rel=1e-3, abs=1e-4)
            and not (more and "depth_cka" in key)  # which is a mean over blocks of a batch
        }
        assert not off


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("fc2 fc2 --controls all --target-type soft_1", "takes the sender's answers, and --contr"),
        ("--all --controls all", "--controls all are those of one stitch, and a matrix has"),
    ],
)
def test_what_frauds_cannot_do_is_refused(mistake, saved, words, expected):
    assert expected in mistake("stitch", saved("mlp", 0), saved("mlp", 1), *words.split())
