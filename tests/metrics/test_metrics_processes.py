import warnings

import pytest
import torch
from torch import distributed, multiprocessing

from frankenstein.metrics import Similarity, SimilarityMatrix

SIZES = (24, 17, 31)
SHARES = {  # which batches each of two processes sees
    "uneven": ([0, 1], [2]),
    "first empty": ([], [0, 1, 2]),
    "second empty": ([0, 1, 2], []),
}
METRICS = {
    "one": lambda: Similarity("unbiased_cka"),
    "moments": lambda: SimilarityMatrix("mean_cca", ["a", "b"], ["c"]),
    "grams": lambda: SimilarityMatrix("unbiased_cka", ["a", "b"], ["c"]),
}


def batches():
    generator = torch.Generator().manual_seed(0)
    mixer = torch.randn(4, 3, generator=generator)
    for i, size in enumerate(SIZES):
        a = torch.randn(size, 4, generator=generator) + 100 * i
        b = torch.randn(size, 2, 3, 3, generator=generator)
        yield {"a": a, "b": b}, {"c": a @ mixer + torch.randn(size, 3, generator=generator)}


def fed(kind, numbers):
    metric = METRICS[kind]()
    for i, (xs, ys) in enumerate(batches()):
        if i in numbers:
            metric.update(*((xs["a"], ys["c"]) if kind == "one" else (xs, ys)))
    return metric


def other_process(_, folder):
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # torchmetrics warns of a process without examples
    process(1, folder)


def process(rank, folder):
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2
    )
    found = {
        f"{kind}, {name}": fed(kind, share[rank]).compute()
        for kind in METRICS
        for name, share in SHARES.items()
    }
    torch.save(found, f"{folder}/{rank}.pt")
    distributed.destroy_process_group()


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What each of two processes computes; this one is the first."""
    folder = tmp_path_factory.mktemp("processes")
    other = multiprocessing.spawn(other_process, args=(str(folder),), nprocs=1, join=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        process(0, folder)
    other.join()
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]


@pytest.mark.parametrize("kind", METRICS)
@pytest.mark.parametrize("share", SHARES)
def test_two_processes_find_what_one_finds(found, kind, share):
    expected = fed(kind, range(len(SIZES))).compute()
    for mine in found:
        torch.testing.assert_close(mine[f"{kind}, {share}"], expected, rtol=1e-10, atol=1e-12)
