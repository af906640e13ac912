"""Why a stitch is outside: how much of its distance is a shift, and how much lies in directions
in which the receiver hardly varies. Of a run of one stitch, as `docs/stitching.md` explains it.
"""

import argparse

import torch
from torch import Tensor, nn

from frankenstein.data import ImageData
from frankenstein.networks.data import data_for
from frankenstein.runs.fields import KINDS
from frankenstein.stitching.off_distribution import FLOOR, ReferenceSums, Share, unit_statistics
from frankenstein.stitching.pair import StitchedRun


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", help="folder of a run of stitch.py")
    parser.add_argument("--images", type=int, default=1000, help="training images of the receiver")
    options = parser.parse_args()
    run = StitchedRun.read(options.run)
    networks = [run.pair.sender, run.pair.receiver]
    dataset = run.plan.dataset or run.pair.receiver.dataset
    assert dataset is not None
    data = data_for(networks, dataset, run.plan.data_root, 250)
    joint = run.pair.seeing(data).joint
    sums = ReferenceSums()
    for images, _ in data.train_batches(options.images):
        sums.update(joint.receiver.front(images))
    reference = sums.solve()
    assert reference.basis is None
    unit = torch.eye(len(reference.root))
    covariance = reference.root @ reference.root.T - reference.added * unit
    variances, directions = torch.linalg.eigh(covariance)
    few = variances < reference.added
    print(
        f"{int(few.sum())} of {len(few)} directions hold less than {FLOOR:g} of the mean variance "
        f"each, and {variances[few].sum() / variances.sum():.2%} of it together."
    )
    own = _statistics(joint.receiver.front, data)
    print("| | shift | there | variance there over the receiver's | outside | means put right |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    weights = 1 / (variances + reference.added)
    for kind in KINDS:
        stitched = _statistics(nn.Sequential(joint.sender.front, run.aligned(kind)), data)
        scores = ((stitched - reference.mean) @ directions).square() * weights
        mean = ((stitched.mean(0) - reference.mean) @ directions).square() * weights
        spread, usual = (((z - z.mean(0)) @ directions).square().mean(0) for z in (stitched, own))
        share = Share(reference)
        share.update("receiver", own)
        share.update("as it is", stitched)
        share.update("means put right", stitched - stitched.mean(0) + own.mean(0))
        outside = share.shares()
        print(
            f"| `{kind}` | {mean.sum() / scores.mean(0).sum():.0%} | "
            f"{scores.mean(0)[few].sum() / scores.mean(0).sum():.0%} | "
            f"{spread[few].sum() / usual[few].sum():.0f} | {outside['as it is']:.1%} | "
            f"{outside['means put right']:.1%} |"
        )


def _statistics(front: nn.Module, data: ImageData) -> Tensor:  # (N, 2 C)
    """Of every held-out image; rows are vectors, which `unit_statistics` leaves as they are."""
    return torch.cat([unit_statistics(front(images)) for images, _ in data.val_batches()])


if __name__ == "__main__":
    main()
