"""Apple's GPUs have no float64. A tensor that says it lies on one, and refuses it, stands in."""

import pytest
import torch
from torch import nn
from torch.utils._pytree import tree_map

from frankenstein.accumulators.folds import Folds
from frankenstein.accumulators.moments import Moments
from frankenstein.catalog import MEASURES
from frankenstein.measures import LayerSimilarities, linear_cka
from frankenstein.stitches import Affine
from frankenstein.tasks.means import Mean


class OnMps(torch.Tensor):
    """Numbers of the CPU behind the rules of mps: no float64, and no step with CPU tensors."""

    @staticmethod
    def __new__(cls, inner):
        layout = {"strides": inner.stride(), "storage_offset": inner.storage_offset()}
        options = {"dtype": inner.dtype, "device": "mps", "requires_grad": inner.requires_grad}
        return torch.Tensor._make_wrapper_subclass(cls, inner.shape, **layout, **options)

    def __init__(self, inner):
        self.inner = inner

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        if func is torch.Tensor.__getitem__:  # which asks for the real device
            return cls(args[0].inner[args[1]])
        with torch._C.DisableTorchFunctionSubclass():
            return func(*args, **(kwargs or {}))

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        strangers = []

        def inner(z):
            if not isinstance(z, torch.Tensor) or isinstance(z, cls):
                return z.inner if isinstance(z, cls) else z
            strangers.append(z) if z.ndim else None
            return z

        kwargs = kwargs or {}
        device = kwargs.get("device")
        args, kwargs = tree_map(inner, args), tree_map(inner, kwargs)
        if strangers and func is not torch.ops.aten.copy_.default:
            raise RuntimeError(f"{func}: expected all tensors on the same device")
        if device is not None:
            kwargs["device"] = "cpu"
        result = func(*args, **kwargs)
        if device is not None and torch.device(device).type == "cpu":
            return result
        return tree_map(cls._on_mps, result)

    @classmethod
    def _on_mps(cls, z):
        if isinstance(z, torch.Tensor) and z.dtype == torch.float64:
            raise TypeError("Cannot convert a MPS Tensor to float64 dtype")
        return cls(z) if isinstance(z, torch.Tensor) else z


def maps():
    torch.manual_seed(0)
    xs = {"a": torch.randn(60, 3, 4, 4), "b": torch.randn(60, 5)}
    ys = {"c": torch.randn(60, 4, 4, 4) + xs["a"][:, :1], "d": torch.randn(60, 5) + xs["b"]}
    return xs, ys


def test_the_stand_in_refuses_what_mps_refuses():
    z = OnMps(torch.randn(4, 3))
    with pytest.raises(TypeError, match="float64"):
        z.double()
    with pytest.raises(RuntimeError, match="same device"):
        z + torch.randn(4, 3)
    assert (z @ z.T).device.type == "mps"
    assert z.cpu().double().device.type == "cpu"


@pytest.mark.filterwarnings("ignore::frankenstein.measures.UndefinedSimilarityWarning")
@pytest.mark.parametrize("block", [None, 64])
@pytest.mark.parametrize("shared", [0, float("inf")])
def test_every_measure_of_activations_there_is_that_of_the_cpu(shared, block):
    names = [name for name, row in MEASURES.items() if row.needs not in ("inputs", "classes")]
    xs, ys = maps()
    values = []
    for place in (OnMps, torch.clone):
        kept = LayerSimilarities(names, "pooled", block, shared_up_to=shared)
        for rows in (slice(40), slice(40, None)):
            kept.update(*({s: place(z[rows]) for s, z in side.items()} for side in (xs, ys)))
        values.append({name: kept.value(name, "b", "d") for name in names})
    for name in names:
        torch.testing.assert_close(values[0][name], values[1][name], rtol=0, atol=0, equal_nan=True)


def test_gram_matrices_and_wide_rows_are_those_of_the_cpu():
    xs, ys = maps()
    wide = {"w": torch.randn(60, 700)}
    values = []
    for place in (OnMps, torch.clone):
        kept = LayerSimilarities(["unbiased_cka", "linear_cka"], "per_sample")
        kept.update(*({s: place(z) for s, z in side.items()} for side in (xs | wide, ys)))
        values.append(kept.values())
    assert all(torch.equal(values[0][name], values[1][name]) for name in values[0])


def test_matrices_there_can_be_given_to_measures_and_stitches():
    x, y = (side[s] for side, s in zip(maps(), "bd", strict=True))
    assert linear_cka(OnMps(x), OnMps(y)) == linear_cka(x, y)
    assert Folds().update(OnMps(x), OnMps(y)).without().n == 60
    stitch = Affine(5, 5).solve(Moments().update(OnMps(x), OnMps(y)))
    assert torch.equal(stitch.weight, Affine(5, 5).solve(Moments().update(x, y)).weight)


def test_a_mean_over_examples_moves_there_and_counts_on():
    mean = Mean()
    mean._apply(lambda z: z if isinstance(z, OnMps) else OnMps._on_mps(z))
    mean.total = mean.total + 0
    assert mean.total.dtype == torch.float32
    mean.total = OnMps(torch.zeros(()))
    for value, examples in ((0.5, 100), (0.25, 50)):
        mean.update(OnMps(torch.tensor(value)), examples)
    assert float(mean.total.cpu() / 150) == pytest.approx(62.5 / 150)
    here = Mean()
    here._apply(nn.Identity())
    assert here.total.dtype == torch.float64
