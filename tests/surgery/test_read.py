"""Networks as people have them: what is read of them, and how they come back."""

import weakref

import pytest
import torch
import torchvision
from torch import nn

from frankenstein.errors import UserError
from frankenstein.measures import UndefinedSimilarityWarning, linear_cka, unbiased_cka
from frankenstein.similarity.matrices import similarity_matrices, similarity_matrix
from frankenstein.surgery import LayerError, capture, cut, cut_points, join
from frankenstein.surgery.capture import OUTPUT
from frankenstein.surgery.key_layers import later_layers
from frankenstein.surgery.lighten import fold
from frankenstein.surgery.read import Reader, reading
from frankenstein.zoo.build import build_network


class Blocks(nn.Module):
    """A block, a ReLU that is called twice and overwrites its input, and two outputs at once."""

    def __init__(self, by_value=False):
        super().__init__()
        self.by_value = by_value  # whether its steps depend on the values in its input
        self.block = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8))
        self.relu = nn.ReLU(inplace=True)
        self.second = nn.Linear(8, 8)
        self.recurrent = nn.GRU(8, 5, batch_first=True)
        self.unused = nn.Linear(1, 1)
        self.head = nn.Linear(5, 3)

    def forward(self, x):
        if self.by_value and x.sum() > 1e9:
            return x
        x = self.relu(self.block(x))
        x = self.relu(self.second(x))
        x, _ = self.recurrent(x[:, None])
        return self.head(x[:, 0])


def by_hand(network, x):
    """Every layer of Blocks, computed step by step."""
    found = {"block.0": network.block[0](x)}
    found["block"] = found["block.1"] = network.block[1](found["block.0"])
    found["relu"] = found["block"].relu()
    found["second"] = network.second(found["relu"])
    found["relu_1"] = found["second"].relu()
    found["head"] = network.head(network.recurrent(found["relu_1"][:, None])[0][:, 0])
    return found


@pytest.fixture(params=[False, True], ids=["graph", "hooks"])
def network(request):
    network = Blocks(by_value=request.param)
    for buffer in network.buffers():
        if buffer.is_floating_point():
            buffer.uniform_(0.5, 1.5)
    return network.eval()


def state(network):
    return (
        [(m.training, len(m._forward_hooks), len(m._forward_pre_hooks)) for m in network.modules()],
        [p.requires_grad for p in network.parameters()],
        set(vars(network)),
    )


ONE_TENSOR = ["block.0", "block.1", "block", "second", "head"]


def test_layers_are_what_the_network_computes_even_if_it_overwrites_them(network):
    x = torch.randn(7, 6)
    expected = by_hand(network, x)
    with reading(network, ONE_TENSOR) as read:
        for _ in range(2):
            found = read(x)
            assert list(found) == ONE_TENSOR
            for name, z in found.items():
                torch.testing.assert_close(z, expected[name], msg=name)


def test_a_module_that_is_called_twice_is_told_apart_in_a_graph_and_refused_with_hooks(network):
    x = torch.randn(7, 6)
    if not network.by_value:
        with reading(network, ["relu", "relu_1"]) as read:
            for name, z in read(x).items():
                torch.testing.assert_close(z, by_hand(network, x)[name])
        return
    with (
        reading(network, "relu") as read,
        pytest.raises(LayerError, match="'relu' of Blocks is called 2 times, which hooks cannot"),
    ):
        read(x)


def test_a_module_that_gives_several_tensors_is_refused_by_name(network):
    with (
        reading(network, "recurrent") as read,
        pytest.raises(LayerError, match="'recurrent' of Blocks gives several tensors; name a"),
    ):
        read(torch.randn(7, 6))


def test_modules_are_all_that_give_one_tensor(network):
    if network.by_value:
        told = "left out of Blocks: 'relu' is called 2 times.*'recurrent' gives several tensors"
        with reading(network, "modules") as read, pytest.warns(UserWarning, match=told):
            found = read(torch.randn(7, 6))
        assert set(found) == set(ONE_TENSOR)
    else:
        with reading(network, "modules") as read:
            found = read(torch.randn(7, 6))
        assert set(found) == {*ONE_TENSOR, "relu", "relu_1"}


def test_globs_choose_layers_and_names_keep_their_order(network):
    with reading(network, ["head", "block*"]) as read:
        assert set(read(torch.randn(7, 6))) == {"head", "block", "block.0", "block.1"}
    with reading(network, ["second", "block.0"]) as read:
        assert list(read(torch.randn(7, 6))) == ["second", "block.0"]


@pytest.mark.parametrize("wanted", ["haed", "layer1.*"])
def test_what_is_not_there_is_refused(network, wanted):
    with pytest.raises(LayerError, match="Blocks has no layer"), reading(network, wanted):
        pass


def test_cut_points_need_a_graph(network):
    if network.by_value:
        with pytest.raises(LayerError, match="must not depend on the values"), reading(network):
            pass
    else:
        with reading(network) as read:
            assert "relu_1" in read(torch.randn(7, 6))


@pytest.mark.parametrize("fails", [False, True])
def test_a_network_comes_back_as_it_was_even_from_an_error(network, fails):
    network.train()
    network.block.eval()
    network.head.weight.requires_grad_(False)
    before = state(network)
    batches = [torch.randn(20, 6), torch.randn(20, 9 if fails else 6)]
    options = {"sender_layers": ["second"], "receiver_layers": ["head"]}
    if fails:
        with pytest.raises(RuntimeError):
            similarity_matrix(network, network, batches, block=20, **options)
    else:
        similarity_matrix(network, network, batches, block=20, **options)
    assert state(network) == before
    assert torch.is_grad_enabled()


class Travels(nn.Sequential):
    """Writes down where it is sent."""

    def to(self, device):
        self.went = [*getattr(self, "went", []), str(device)]
        return self


def test_a_network_on_another_device_is_moved_back():
    network = Travels(nn.Linear(6, 2))
    with pytest.raises(ZeroDivisionError), reading(network, "modules", device="meta"):
        raise ZeroDivisionError
    assert network.went == ["meta", "cpu"]


@pytest.mark.parametrize(
    "wrap",
    [
        *(lambda x: x, lambda x: (x, 0), lambda x: [x]),
        *(lambda x: {"image": x, "label": 0}, lambda x: {"picture": x}),
    ],
    ids=["tensor", "tuple", "list", "dict", "any name"],
)
def test_batches_are_taken_as_people_have_them(network, wrap):
    x = torch.randn(20, 6)
    options = {"sender_layers": "block*", "receiver_layers": "head"}
    expected = similarity_matrix(network, network, [x], **options)
    found = similarity_matrix(network, network, [wrap(x)], **options)
    assert torch.equal(found.values, expected.values)


@pytest.mark.parametrize("batch", [["a"], 7])
def test_a_batch_without_an_input_is_refused(network, batch):
    with pytest.raises(UserError, match="a batch is tensors, got a"):
        similarity_matrix(network, network, [batch], sender_layers="head", receiver_layers="head")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_measured_as_it_is(dtype):
    network = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 5)).to(dtype)
    x = torch.randn(50, 6)
    measures = ["unbiased_cka", "linear_cka"]
    found = similarity_matrices(network, network, [x], measures, "0", "2")
    with torch.no_grad():
        first = network[0](x.to(dtype))
        second = network[1:](first)
    exact = {"unbiased_cka": unbiased_cka, "linear_cka": linear_cka}
    for measure in measures:
        reference = exact[measure](first.double(), second.double()).item()
        assert found[measure]["0", "2"] == pytest.approx(reference, abs=1e-6)


def test_autocast_does_not_touch_the_products():
    network = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 5))
    x = torch.randn(50, 6)
    with torch.autocast("cpu", torch.bfloat16):
        found = similarity_matrix(network, network, [x], "unbiased_cka", "0", "2")
        halves = [nn.Sequential(network[:1])(x).float(), network(x).float()]
    expected = unbiased_cka(*(z.detach().double() for z in halves)).item()
    assert found["0", "2"] == pytest.approx(expected, abs=1e-6)


def test_channels_last_memory_changes_nothing():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 5, 3))
    x = torch.randn(20, 3, 8, 8)
    measures = ["unbiased_cka", "linear_cka"]
    expected = similarity_matrices(network, network, [x], measures)
    last = network.to(memory_format=torch.channels_last)
    found = similarity_matrices(last, last, [x.to(memory_format=torch.channels_last)], measures)
    for measure in measures:
        torch.testing.assert_close(
            found[measure].values, expected[measure].values, rtol=0, atol=1e-6
        )


class Swin(nn.Module):
    """A map with its channels first, and one with them last."""

    input_shape = (3, 4, 4)

    def __init__(self):
        super().__init__()
        self.move = nn.Conv2d(3, 6, 1)
        self.norm = nn.LayerNorm(6)
        self.again = nn.LayerNorm(6)
        self.head = nn.Linear(6, 10)

    def forward(self, x):
        x = self.norm(self.move(x).permute(0, 2, 3, 1))
        return self.head(self.again(x).mean((1, 2)))


@torch.no_grad()
def test_a_reader_gives_what_reading_gives_and_is_a_module_that_folds(small_network):
    network, x = small_network(0), torch.randn(5, 1, 8, 8)
    layers = ["relu2", "bn1", "fc"]
    reader = Reader(network, layers)
    with reading(network, layers) as read:
        expected = read(x)
    assert list(reader(x)) == layers
    for name, z in reader(x).items():
        assert torch.equal(z, expected[name]), name
    for name, z in fold(reader)(x).items():
        torch.testing.assert_close(z, expected[name], msg=name)


@torch.no_grad()
def test_a_reader_moves_channels_first_unless_it_is_told_how_layers_lie():
    network, x = Swin(), torch.randn(5, 3, 4, 4)
    z = capture(network, ["norm"])(x)["norm"]
    assert torch.equal(Reader(network, ["norm"])(x)["norm"], z.movedim(-1, 1))
    flat = Reader(network, ["norm", "move"], {"norm": nn.Flatten()})(x)
    assert torch.equal(flat["norm"], z.flatten(1))
    assert flat["move"].shape == (5, 6, 4, 4)


@torch.no_grad()
@pytest.mark.parametrize("flatten", [False, True])
def test_layers_behind_a_cut_are_read_from_what_is_there(flatten):
    network, x = Swin().eval(), torch.randn(5, 3, 4, 4)
    half = join(network, network, "norm", "norm", flatten).receiver
    found = Reader.of_end(half.end, ["again", "head"])(half.front(x))
    for name, z in Reader(network, ["again", "head"])(x).items():
        assert torch.equal(found[name], z), name
    with pytest.raises(LayerError, match="'move' of Swin does not lie behind 'norm'"):
        Reader.of_end(half.end, ["move"])


@torch.no_grad()
@pytest.mark.parametrize(("name", "layer"), [("vit_tiny", "blocks.3"), ("resnet20_w1", "layer2")])
def test_sums_inside_of_blocks_are_read_behind_a_cut_by_their_names(name, layer):
    network = build_network(name, 10, 1, 0).eval()
    x, later = torch.randn(2, 1, 32, 32), later_layers(network, layer)
    assert any(".add" in one for one in later)
    front, end = cut(network, layer)
    found = Reader.of_end(end, [*later, OUTPUT])(front(x))
    assert list(found) == [*later, OUTPUT]
    for one, z in Reader(network, [*later, OUTPUT])(x).items():
        assert torch.equal(found[one], z), one


def test_maps_with_their_channels_last_are_pooled_over_places():
    network = Swin()
    x = torch.randn(30, 3, 4, 4)
    found = similarity_matrix(network, network, [x], "linear_cka", "norm", "move")
    with torch.no_grad():
        moved = network.move(x)
        last = network.norm(moved.permute(0, 2, 3, 1))
        expected = linear_cka(last.mean((1, 2)).double(), moved.mean((2, 3)))
    assert found["norm", "move"] == pytest.approx(expected.item(), abs=1e-6)


@pytest.mark.parametrize("measure", ["unbiased_cka", "linear_cka"])
def test_nan_is_refused_and_a_dead_layer_is_nan_each_with_its_name(network, measure):
    x = torch.randn(20, 6)
    options = {"sender_layers": ["block.0", "second"], "receiver_layers": "block.0"}
    with torch.no_grad():
        network.second.weight.zero_()
    told = f"{measure} is undefined for 'second' of the first network"
    with pytest.warns(UndefinedSimilarityWarning, match=told):
        matrix = similarity_matrix(network, network, [x], measure, **options)
    assert matrix.values.isnan().tolist() == [[False], [True]]
    with torch.no_grad():
        network.second.weight.fill_(torch.nan)
    with pytest.raises(UserError, match="NaN or Inf in the first representation, 'second'"):
        similarity_matrix(network, network, [x], measure, **options)


@torch.no_grad()
def test_every_module_of_a_torchvision_network_is_found_by_its_name_as_a_glob_and_among_modules():
    network = torchvision.models.mobilenet_v3_small().eval()
    x = torch.randn(2, 3, 32, 32)
    expected: dict[str, torch.Tensor] = {}

    def keep(name):
        def hook(module, given, result):
            expected[name] = result.clone()  # what follows may overwrite it

        return hook

    handles = [m.register_forward_hook(keep(name)) for name, m in network.named_modules() if name]
    network(x)
    for handle in handles:
        handle.remove()
    for wanted in (list(expected), "*", "modules"):
        with reading(network, wanted) as read:
            found = read(x)
        for name, z in expected.items():
            assert torch.equal(found[name], z), name
    with reading(network, ["features.3.block.0.0", "features.1?"]) as read:
        assert list(read(x)) == ["features.3.block.0.0", *(f"features.1{i}" for i in (0, 1, 2))]
    assert {"features.0.1", "features.0.2"} < cut_points(network).keys()


def test_what_is_one_step_of_the_graph_is_opened_by_hooks():
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    network = nn.Sequential(nn.Linear(4, 8), nn.TransformerEncoder(layer, 1)).eval()
    x = torch.randn(6, 5, 4)
    with reading(network, ["1.layers.0.norm1", "1.layers.0.linear1"]) as read:
        found = read(x)
    inner = network[1].layers[0]
    torch.testing.assert_close(
        found["1.layers.0.linear1"], inner.linear1(found["1.layers.0.norm1"]).detach()
    )
    with (
        reading(network, "1.layers.0.self_attn.out_proj") as read,
        pytest.raises(LayerError, match=r"'1\.layers\.0\.self_attn\.out_proj' of .* is not called"),
    ):
        read(x)
    assert not any(module._forward_hooks for module in network.modules())


class Steps(nn.Module):
    """A residual block and steps that overwrite what is read, or a module that only hooks see."""

    def __init__(self, depends_on_data):
        super().__init__()
        self.depends_on_data = depends_on_data
        self.lines = nn.ModuleList(nn.Linear(4, 4) for _ in range(6))
        self.relu = nn.ModuleList(nn.ReLU(inplace=True) for _ in range(6))

    def forward(self, x):
        if self.depends_on_data and x.sum() > 1e9:
            x = x + 1
        for line, relu in zip(self.lines, self.relu, strict=True):
            x = relu(line(x)) + x
        return x


@pytest.mark.parametrize("depends_on_data", [False, True], ids=["graph", "hooks"])
def test_what_is_folded_is_the_layer_as_it_was_and_is_let_go(depends_on_data):
    network, x = Steps(depends_on_data).eval(), torch.randn(5, 4)
    layers = [f"{kind}.{i}" for i in range(6) for kind in ("lines", "relu")]
    alive, most = [], 0

    def copied(name, z):
        nonlocal most
        alive.append(weakref.ref(z))
        most = max(most, sum(ref() is not None for ref in alive))
        return z.clone()

    with reading(network, layers) as read:
        whole = read(x)
        for _ in range(2):
            folded = read(x, copied)
            assert list(folded) == list(whole) == layers
            assert all(torch.equal(folded[s], whole[s]) for s in layers)
    assert most <= 4


def test_blocks_and_the_step_that_makes_them_are_folded_once():
    network = torchvision.models.resnet18(num_classes=3).eval()
    seen = []
    with reading(network, ["layer1.0", "layer1.0.relu_1"]) as read:
        both = read(torch.randn(2, 3, 32, 32), lambda name, z: seen.append(name) or z.sum())
    assert len(seen) == 1
    assert both["layer1.0"] is both["layer1.0.relu_1"]


def test_a_layer_that_cannot_be_folded_is_refused_by_name():
    network = nn.Sequential(nn.Linear(4, 4), nn.Flatten(0), nn.Unflatten(0, (-1, 4)))
    with reading(network, ["0", "1"]) as read, pytest.raises(LayerError, match=r"'1' of .* batch"):
        read(torch.randn(5, 4), lambda name, z: z)
