"""Relative representations against Procrustes and least squares on the same anchors.

From one Fashion-MNIST network to another, as accuracy in % on held-out images, mean and standard
deviation over draws of the anchors. The decoder of a relative stitch learns from all training
images of the receiver; `receiver itself` is its stitch from the receiver's own coordinates, and
`weakest ridge` the decoder that is best on the receiver, whatever the anchors say of it.
"""

import argparse
import copy

import torch
from families import NETWORKS, accuracy, gathered, made_of
from torch import Tensor, nn

from frankenstein.accumulators.anchors import Anchored
from frankenstein.accumulators.moments import Moments
from frankenstein.accumulators.ridge import member, ridge_fits
from frankenstein.data.idx import Fashion
from frankenstein.intervals import mean_and_spread
from frankenstein.shapes import per_location
from frankenstein.stitches import Affine, Orthogonal, Relative
from frankenstein.surgery import cut
from frankenstein.surgery.lighten import fold
from frankenstein.zoo import load_network

ANCHORS, SOME = (10, 30, 100, 300), 500


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-root", default="data")
    parser.add_argument("--layer", default="bn7")
    parser.add_argument("--train", type=int, default=10_000, help="images the decoder learns from")
    parser.add_argument("--test", type=int, default=3_000)
    parser.add_argument("--draws", type=int, default=3, help="of the anchors")
    options = parser.parse_args()
    data = Fashion(image_size=32, data_root=options.data_root)
    data.setup()
    images, _ = gathered(data.train_batches(options.train))
    held_out, labels = gathered(data.val_batches(options.test))
    halves = [cut(load_network(NETWORKS.format(i)).eval(), options.layer) for i in (0, 1)]
    x, y = (made_of(fold(one.front), images) for one in halves)
    tested, own = (made_of(fold(one.front), held_out) for one in halves)
    end, shape = fold(halves[1].end), y.shape[1:]
    print("| anchors | Procrustes | least squares | relative | receiver itself | weakest ridge |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: |")
    for k in ANCHORS:
        found = []
        for draw in range(options.draws):
            order = torch.randperm(len(x), generator=torch.Generator().manual_seed(draw))
            some = order[:k]
            pairs = Moments(per_location).update(x[some], y[some])
            procrustes, squares = (
                family(x.shape[1], y.shape[1]).solve(pairs) for family in (Orthogonal, Affine)
            )
            z = y.flatten(1)
            anchored = anchored_by(order, k, x.flatten(1), z)
            from_sender = Relative(x[0].numel(), z.shape[1], k).solve_by(anchored)
            weakest = with_least_penalty(from_sender, anchored)
            from_itself = Relative(z.shape[1], z.shape[1], k).solve_by(anchored_by(order, k, z, z))
            back = nn.Unflatten(1, shape)
            found.append(
                [
                    accuracy(nn.Sequential(*parts, end), z, labels)
                    for parts, z in (
                        ([procrustes], tested),
                        ([squares], tested),
                        ([nn.Flatten(), from_sender, back], tested),
                        ([nn.Flatten(), from_itself, back], own),
                        ([nn.Flatten(), weakest, back], tested),
                    )
                ]
            )
        cells = [
            "{:.1f} ± {:.1f}".format(*mean_and_spread(one)) for one in zip(*found, strict=True)
        ]
        print(f"| {k} | {' | '.join(cells)} |", flush=True)


def anchored_by(order: Tensor, k: int, x: Tensor, y: Tensor) -> Anchored:
    """The first k of the order as anchors, and all of them to learn from."""
    anchored = Anchored(k)
    for rows in (order[:k], *order.split(SOME)):
        anchored.update(x[rows], y[rows])
    return anchored


def with_least_penalty(stitch: Relative, anchored: Anchored) -> Relative:
    """The same with the decoder that rebuilds the receiver best."""
    weight, bias = member(ridge_fits(anchored.learned()), 0)
    weakest = copy.deepcopy(stitch)
    weakest.weight.copy_(weight)
    weakest.bias.copy_(bias)
    return weakest


if __name__ == "__main__":
    main()
