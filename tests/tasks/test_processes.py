"""Two processes (gloo) say what one says, of 501 examples that no batch size divides."""

import os

import pytest
import pytorch_lightning as pl
import torch
from torch import distributed
from torch.utils.data import DataLoader, TensorDataset

from frankenstein.callbacks import RepresentationSimilarity
from frankenstein.catalog import MEASURES, STITCHES
from frankenstein.data import Synthetic
from frankenstein.surgery import cut
from frankenstein.tasks import DataModule, Stitching, matching_moments
from frankenstein.zoo import build_network

OPTIONS = {"low_rank": {"rank": 2}, "sparse": {"l1": 0.1}, "matched": {"rule": "match"}}
MEASURED = [name for name, row in MEASURES.items() if row.needs in ("moments", "folds")]

pytestmark = [
    pytest.mark.forks,
    pytest.mark.filterwarnings("ignore:.*in eval mode at the start of training"),
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    # It repeats an example, as Lightning says itself, and is not counted twice.
    pytest.mark.filterwarnings("ignore:Using `DistributedSampler` with the dataloaders"),
    pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning"),
]


def of_a_users_loader(task, data, devices):
    """The same of a DataLoader, into which Lightning puts a sampler that repeats an example."""
    images, labels = data.prepare(data.val_images), data.val_labels
    trainer = pl.Trainer(
        accelerator="cpu",
        devices=devices,
        strategy="ddp" if devices > 1 else "auto",
        callbacks=[RepresentationSimilarity(MEASURED)],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    loader = DataLoader(TensorDataset(images, labels), batch_size=64)
    trainer.validate(task, loader, verbose=False)
    return trainer.callback_metrics.items()


def run(devices):
    """Every metric, accuracy and solved stitch; on several devices, what the first process has."""
    data = Synthetic(28, num_classes=10, in_channels=1, test_size=501, train_size=333)
    data.eval_batch_size = 64
    networks = [build_network("mlp", 10, 1, init_seed=seed).eval() for seed in (0, 1)]
    task = Stitching(*networks, "tanh2", "tanh2", STITCHES["affine"](16, 16))
    trainer = pl.Trainer(
        accelerator="cpu",
        devices=devices,
        strategy="ddp" if devices > 1 else "auto",
        callbacks=[RepresentationSimilarity(MEASURED)],
        use_distributed_sampler=False,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.validate(task, DataModule(data), verbose=False)
    found = dict(trainer.callback_metrics)
    found |= {f"user/{name}": value for name, value in of_a_users_loader(task, data, devices)}
    # In float32 what a network makes of an image may depend on the batch that it comes in.
    batches = [(images.double(), labels) for images, labels in data.train_batches()]
    fronts = [cut(one.double(), "tanh2", batches[0][0]).front for one in networks]
    moments = matching_moments(*fronts, batches)
    for family in [name for name, row in STITCHES.items() if row.from_sums]:
        stitch = STITCHES[family](16, 16, **OPTIONS.get(family, {})).double().solve(moments)
        found |= {f"{family}/{name}": tensor for name, tensor in stitch.state_dict().items()}
    return found


def forked(rank, folder):
    """The same as one of two processes."""
    child = os.fork()
    if child:
        return child
    try:
        os.environ.update(LOCAL_RANK=str(rank), NODE_RANK="0", WORLD_SIZE="2")
        where = f"file://{folder}/meet"
        distributed.init_process_group("gloo", init_method=where, rank=rank, world_size=2)
        torch.save(run(2), folder / f"{rank}.pt")
        os._exit(0)
    finally:
        os._exit(1)


def test_two_processes_say_what_one_says(tmp_path):
    children = [forked(rank, tmp_path) for rank in range(2)]
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0]
    one = run(1)
    two = [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2)]
    assert {"val/accuracy", "val/loss"} < set(one)
    assert [name.split("/")[1] for name in one if name.startswith("similarity/")] == MEASURED
    for found in two:
        assert found.keys() == one.keys()
        for name, value in one.items():
            if name == "val/accuracy":
                assert found[name] == value
                assert round(501 * value.item(), 3).is_integer()
            tolerance = 1e-6 if name == "val/loss" else 1e-10
            torch.testing.assert_close(
                found[name],
                value,
                rtol=tolerance,
                atol=tolerance,
                msg=lambda m, n=name: f"{n}: {m}",
            )
