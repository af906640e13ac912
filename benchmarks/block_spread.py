"""How far unbiased CKA from blocks of examples is off, by the block: related and unrelated layers.

Random sets are drawn from all examples, whose own unbiased CKA is what an estimate should be on
average; every block has the same sets. There are 100,000 examples of normal distributions, and
1,797 digits with layers of two trained networks. Unrelated are layers with the examples of one side
in another order.
"""

import argparse

import torch
from torch import Tensor

from frankenstein.accumulators.grams import Grams
from frankenstein.data import Digits
from frankenstein.measures import unbiased_cka
from frankenstein.shapes import per_sample
from frankenstein.surgery import capture
from frankenstein.zoo import load_network

NETWORKS = [f"model_weights/tiny10/digits/in{i}-gn{i}.safetensors" for i in (0, 1)]
LAYERS = (("bn3", "bn5"), ("fc", "fc"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=200, help="sets of examples")
    parser.add_argument("--sizes", type=int, nargs="+", default=[300, 1000], help="of a set")
    parser.add_argument("--blocks", type=int, nargs="+", default=[64, 128, 250, 500])
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    populations = {**normal(), **digits()}
    for size in options.sizes:
        print(f"\n{options.draws} sets of {size:,}: mean error ± standard deviation, in 1/1000\n")
        blocks = [block for block in options.blocks if block < size] + [size]
        heads = [f"blocks of {block}" for block in blocks[:-1]] + ["whole"]
        print(f"| layers | CKA | {' | '.join(heads)} |\n| --- | ---: |{' ---: |' * len(heads)}")
        for name, (x, y, truth) in populations.items():
            found = torch.stack([estimates(x, y, size, blocks) for _ in range(options.draws)])
            errors = 1000 * (found - truth)
            both = zip(errors.mean(0), errors.std(0), strict=True)
            cells = [f"{mean:+.1f} ± {spread:.1f}" for mean, spread in both]
            print(f"| {name} | {truth:.3f} | {' | '.join(cells)} |", flush=True)


def estimates(x: Tensor, y: Tensor, size: int, blocks: list[int]) -> Tensor:
    """Of one random set, by block."""
    some = torch.randperm(len(x))[:size]
    pair = {"x": x[some]}, {"y": y[some]}
    return torch.stack([Grams(block).update(*pair).unbiased_cka()[0, 0] for block in blocks])


def normal(count: int = 100_000, units: int = 20) -> dict[str, tuple[Tensor, Tensor, float]]:
    """A rotation and noise."""
    scale = torch.linspace(1, 0.3, units)
    x = torch.randn(count, units) * scale
    rotation = torch.linalg.qr(torch.randn(units, units)).Q
    y = x @ rotation + 0.6 * torch.randn(count, units)
    other = torch.randn(count, units) * scale
    return {"normal": (x, y, whole(x, y)), "normal, unrelated": (x, other, whole(x, other))}


@torch.no_grad()
def digits() -> dict[str, tuple[Tensor, Tensor, float]]:
    data = Digits(image_size=32)
    data.setup()
    images = torch.cat([data.prepare(part) for part in (data.train_images, data.val_images)])
    names = [list(dict.fromkeys(side)) for side in zip(*LAYERS, strict=True)]
    sides = [
        capture(load_network(path), wanted)(images)
        for path, wanted in zip(NETWORKS, names, strict=True)
    ]
    found = {}
    for a, b in LAYERS:
        x, y = per_sample(sides[0][a]), per_sample(sides[1][b])
        found[f"digits, {a} with {b}"] = (x, y, whole(x, y))
        shuffled = y[torch.randperm(len(y))]
        found[f"digits, {a} with {b}, unrelated"] = (x, shuffled, whole(x, shuffled))
    return found


def whole(x: Tensor, y: Tensor) -> float:
    return unbiased_cka(x, y).item()


if __name__ == "__main__":
    main()
