import csv

import pytest
import torch
from matplotlib.figure import Figure
from torch import nn

from frankenstein.accumulators.grams import Grams
from frankenstein.accumulators.moments import Moments
from frankenstein.errors import UserError
from frankenstein.measures import UndefinedSimilarityWarning, unbiased_cka
from frankenstein.shapes import FLATTENINGS, per_sample
from frankenstein.similarity.matrices import (
    OrderWarning,
    in_blocks,
    similarity_matrices,
    similarity_matrix,
)
from frankenstein.surgery import LayerError, capture, cut_points
from frankenstein.zoo import network_sha256


class Once:
    """Batches that can be read once, with a count of those that were."""

    def __init__(self, count=3, size=16):
        self.read = 0
        self.batches = [(torch.randn(size, 1, 8, 8), torch.zeros(size)) for _ in range(count)]

    def __iter__(self):
        while self.batches:
            self.read += 1
            yield self.batches.pop(0)


@pytest.fixture
def pair(small_network):
    return small_network(0), small_network(1, widths=(5, 6))


def test_all_cut_points_of_both_are_compared_in_one_pass(pair, calls):
    names = tuple(cut_points(pair[0]))
    happened = calls(sender=pair[0].conv1, receiver=pair[1].conv1)
    batches = Once(5, size=128)
    matrix = similarity_matrix(*pair, batches)
    assert matrix.rows == matrix.columns == names
    assert matrix.values.shape == (len(names), len(names))
    assert matrix.values.isfinite().all()
    assert batches.read == 5
    assert happened == ["sender", "receiver"] * 5
    assert (matrix.examples, matrix.block) == (640, 64)
    assert (matrix.measure, matrix.flattening) == ("unbiased_cka", "per_sample")


def test_layers_asked_for_come_in_the_order_asked_for(pair):
    batches = list(Once())
    some = similarity_matrix(
        *pair, batches, sender_layers=["bn2", "conv1"], receiver_layers=["relu1"]
    )
    everything = similarity_matrix(*pair, batches)
    assert (some.rows, some.columns) == (("bn2", "conv1"), ("relu1",))
    assert some["bn2", "relu1"] == pytest.approx(everything["bn2", "relu1"], abs=1e-12)
    assert some["conv1", "relu1"] == pytest.approx(everything["conv1", "relu1"], abs=1e-12)


def test_a_cell_is_the_unbiased_cka_of_the_two_representations(pair):
    batches = list(Once(1, size=40))
    x = capture(pair[0], ["bn1"])(batches[0][0])["bn1"]
    y = capture(pair[1], ["relu2"])(batches[0][0])["relu2"]
    expected = unbiased_cka(Moments(flatten=per_sample).update(x, y))
    assert similarity_matrix(*pair, batches)["bn1", "relu2"] == pytest.approx(
        expected.item(), abs=1e-6
    )


def test_few_images_are_one_block_which_is_the_measure_exactly(pair):
    images = torch.randn(300, 1, 8, 8)
    x, y = (capture(network, ["bn1"])(images)["bn1"].detach() for network in pair)
    expected = unbiased_cka(Moments(flatten=per_sample).update(x, y)).item()
    options = {"sender_layers": "bn1", "receiver_layers": "bn1"}
    for size in (300, 128, 7):
        matrix = similarity_matrix(*pair, images.split(size), **options)
        assert matrix["bn1", "bn1"] == pytest.approx(expected, abs=1e-7)
        assert (matrix.examples, matrix.block) == (300, 300)
        assert matrix.title == "unbiased_cka, per_sample, 300 examples"
    estimate = similarity_matrix(*pair, images.split(128), block=128, **options)
    assert estimate["bn1", "bn1"] != pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    ("count", "shape", "block", "sizes"),
    [
        (512, (1, 8, 8), 512, [512]),
        (513, (1, 8, 8), 64, [128, 128, 128, 128, 1]),
        (120, (3, 190, 190), 64, [120]),
        (100, (2, 400, 400), 64, [100]),
        (3, (1,), 4, [3]),
        (0, (1,), 4, []),
    ],
)
def test_the_size_of_a_block_follows_from_the_inputs(count, shape, block, sizes):
    batches = torch.zeros(1).expand(count, *shape).split(100) if count else []
    found, inputs = in_blocks(batches)
    assert (found, [len(part) for part in inputs]) == (block, sizes)


def test_a_matrix_says_what_it_is_wherever_it_is_shown(pair, tmp_path):
    options = {"sender_layers": ["bn1", "relu1"], "receiver_layers": ["bn1"]}
    matrix = similarity_matrix(*pair, torch.randn(600, 1, 8, 8).split(100), **options)
    title = "unbiased_cka, per_sample, 600 examples in blocks of 64"
    assert matrix.title == title
    assert matrix.plot().axes[0].get_title().replace("\n", " ") == title
    path = matrix.to_csv(tmp_path / "matrix.csv")
    assert path.read_text().startswith(f'"sender \\ receiver: {title}",bn1\n')
    first, head, *lines = str(matrix).splitlines()
    assert first == f"{title}; rows: sender, columns: receiver"
    assert head.split() == ["bn1"]
    for line, row in zip(lines, matrix.rows, strict=True):
        assert line.split() == [row, f"{matrix[row, 'bn1']:.2f}"]


def test_blocks_are_the_same_whatever_the_batches(pair):
    images = torch.cat([batch for batch, _ in Once(4)])[:61]
    read = [capture(network, ["bn1"])(images)["bn1"].detach() for network in pair]
    grams = Grams(block=20)
    for start in range(0, 61, 20):  # the last one of its size cannot be estimated from
        grams.update(*({"bn1": z[start : start + 20]} for z in read))
    for size in (61, 40, 16, 7, 1):
        options = {"sender_layers": "bn1", "receiver_layers": "bn1", "block": 20}
        matrix = similarity_matrix(*pair, images.split(size), **options)
        assert matrix["bn1", "bn1"] == pytest.approx(grams.unbiased_cka().item(), abs=1e-8)
        assert (matrix.examples, matrix.block) == (60, 20)


def test_a_network_with_itself_has_a_diagonal_of_ones_and_is_symmetric(small_network):
    network = small_network(0)
    values = similarity_matrix(network, network, Once()).values
    torch.testing.assert_close(values.diagonal(), torch.ones(len(values), dtype=torch.float64))
    torch.testing.assert_close(values, values.T)


def test_both_networks_come_back_as_they_were(pair):
    sender, receiver = pair
    sender.train()
    sender.bn1.eval()
    receiver.conv1.weight.requires_grad_(False)

    def state():
        return [
            (
                network_sha256(network),
                [m.training for m in network.modules()],
                [p.requires_grad for p in network.parameters()],
                [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in network.modules()],
                set(vars(network)),
            )
            for network in pair
        ]

    before = state()
    similarity_matrix(sender, receiver, Once())
    assert state() == before
    with pytest.raises(UserError):
        similarity_matrix(sender, receiver, [(torch.full((5, 1, 8, 8), torch.nan), None)])
    assert state() == before


def test_networks_in_training_mode_are_compared_as_at_evaluation(pair):
    batches = list(Once())
    expected = similarity_matrix(*pair, batches).values
    pair[0].train(), pair[1].train()
    assert torch.equal(similarity_matrix(*pair, batches).values, expected)


def test_a_layer_that_is_not_in_the_matrix_is_named_with_the_nearest(pair):
    matrix = similarity_matrix(*pair, Once())
    with pytest.raises(KeyError, match="no layer 'bn3' in this matrix; did you mean"):
        matrix["bn3", "bn1"]
    with pytest.raises(KeyError, match="no layer 'conf1' in this matrix; did you mean conv1"):
        matrix["bn1", "conf1"]
    for one in ("bn1", ["bn1", "bn1"], ("bn1",), 0):
        with pytest.raises(
            KeyError, match=r"a value has two layers, as in matrix\['conv1', 'conv1'"
        ):
            matrix[one]


def test_a_layer_that_a_network_does_not_have_is_refused(pair):
    with pytest.raises(LayerError, match="has no layer 'bn11'; did you mean bn1"):
        similarity_matrix(*pair, Once(), receiver_layers=["bn11"])


def test_an_unknown_measure_is_refused(pair):
    with pytest.raises(UserError, match="unknown measure 'mean_ccca'; did you mean mean_cca"):
        similarity_matrix(*pair, Once(), measure="mean_ccca")


def test_too_few_examples_give_nan_and_none_are_refused(pair):
    with pytest.warns(UndefinedSimilarityWarning, match="no block held the 4 examples"):
        assert similarity_matrix(*pair, Once(1, size=3)).values.isnan().all()
    for measure in ("unbiased_cka", "linear_cka", "mutual_knn", "cross_validated_r_squared"):
        with pytest.raises(UserError, match="no examples were given; is the data set empty"):
            similarity_matrix(*pair, Once(1, size=0), measure)


def test_the_csv_keeps_every_digit(pair, tmp_path):
    matrix = similarity_matrix(*pair, Once())
    path = matrix.to_csv(tmp_path / "matrix.csv")
    with path.open(newline="") as file:
        header, *rows = csv.reader(file)
    assert tuple(header[1:]) == matrix.columns
    assert tuple(row[0] for row in rows) == matrix.rows
    assert [[float(cell) for cell in row[1:]] for row in rows] == matrix.values.tolist()


def test_it_can_be_drawn(pair):
    figure = similarity_matrix(*pair, Once(), sender_layers=["bn1"]).plot()
    assert isinstance(figure, Figure)
    labels = [text.get_text() for axes in figure.axes for text in axes.get_xticklabels()]
    assert "relu2" in labels


def test_several_measures_are_pointed_to_the_function_that_takes_them(pair):
    with pytest.raises(UserError, match=r"one measure by name.*similarity_matrices takes several"):
        similarity_matrix(*pair, [torch.randn(8, 1, 12, 12)], ["linear_cka", "mean_cca"])


def test_blocks_of_inputs_that_lie_class_by_class_are_warned_of(pair):
    labels = torch.arange(8).repeat_interleave(100)
    images = torch.randn(800, 1, 8, 8) + torch.randn(8, 1, 8, 8)[labels]
    layers = {"sender_layers": "bn1", "receiver_layers": "bn1"}
    with pytest.warns(
        OrderWarning, match=r"means of 64 vary \d\d times as much as in random order"
    ):
        similarity_matrix(*pair, images.split(100), **layers)
    # No warning, which would be an error, of one block, in random order, or of other measures.
    similarity_matrix(*pair, images.split(100), block=800, **layers)
    similarity_matrix(*pair, images[torch.randperm(800)].split(100), **layers)
    similarity_matrix(*pair, images.split(100), "linear_cka", **layers)


@pytest.mark.parametrize("flattening", [name for name in FLATTENINGS if name != "last"])
@pytest.mark.parametrize("measure", ["unbiased_cka", "linear_cka"])
def test_layers_that_are_let_go_one_by_one_have_the_values_of_all_at_once(measure, flattening):
    networks = [
        nn.Sequential(
            nn.Conv2d(1, 3 + i, 3),
            nn.BatchNorm2d(3 + i),
            nn.ReLU(inplace=True),
            nn.Conv2d(3 + i, 4, 1),
            nn.ReLU(inplace=True),
        ).eval()
        for i in range(2)
    ]
    batches = Once(5).batches
    told = []
    given = [*networks, batches, [measure], "*", "*", flattening]
    one_by_one = similarity_matrices(*given, block=16)[measure]
    at_once = similarity_matrices(*given, block=16, watch=lambda *now: told.append(now))[measure]
    assert len(told) == 5
    torch.testing.assert_close(one_by_one.values, at_once.values, rtol=0, atol=1e-12)
    assert one_by_one["0", "0"] != one_by_one["1", "1"] != one_by_one["2", "2"]
