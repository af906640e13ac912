"""What it costs to record a network and to cut it, against torch.export and the network itself.

Recording: a network that nobody has seen, against `torch.export.export` with a free batch size.
Halves: `end(front(x))`, cut in the middle, against `network(x)`, without gradients. Cuts: thirty of
one new network against one. The ways take turns within one process; seconds are of the processor.
"""

import argparse
import copy
import os
import platform
import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any

import timm
import torch
import torchvision
import transformers
from torch import Tensor, nn
from torch.export import Dim

from frankenstein.surgery import cut, cut_points
from frankenstein.surgery.record import record

Batch = dict[str, Tensor]
IMAGES, SMALL = (3, 224, 224), (3, 64, 64)
TINY = {
    "vocab_size": 60,
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 48,
}
_SMALL = {"vocab_size": 60, "n_embd": 32, "n_layer": 3, "n_head": 4, "use_cache": False}
_GPT = _SMALL | {"bos_token_id": 1, "eos_token_id": 2}
NETWORKS: dict[str, Callable[[], tuple[nn.Module, Batch]]] = {
    "torchvision resnet18": lambda: pictured(torchvision.models.resnet18(), "x", IMAGES),
    "torchvision densenet121": lambda: pictured(torchvision.models.densenet121(), "x", IMAGES),
    "torchvision vit_b_16": lambda: pictured(torchvision.models.vit_b_16(), "x", IMAGES),
    "timm convnext_atto": lambda: pictured(timm.create_model("convnext_atto"), "x", SMALL),
    "timm mobilenetv3_small_050": lambda: pictured(
        timm.create_model("mobilenetv3_small_050"), "x", SMALL
    ),
    "transformers BERT, 3 layers": lambda: worded(
        transformers.BertModel(transformers.BertConfig(**TINY))
    ),
    "transformers GPT-2, 3 layers": lambda: worded(
        transformers.GPT2Model(transformers.GPT2Config(**_GPT))
    ),
}
CUTS = 30


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="turns of each way, after one more")
    parser.add_argument(
        "--only", nargs="*", default=[""], help="networks with one of these words in their names"
    )
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    print(
        f"{options.rounds} turns of each; {platform.machine()}, {os.cpu_count()} cores, "
        f"{torch.get_num_threads()} threads, Python {platform.python_version()}, torch "
        f"{torch.__version__}, torchvision {torchvision.__version__}, timm {timm.__version__}, "
        f"transformers {transformers.__version__}.\n\n"
        f"| network | recorded in s | of torch.export's time | halves, of the network's | {CUTS} "
        "cuts, of one | put together |\n| --- | ---: | ---: | ---: | ---: | ---: |"
    )
    for name, make in NETWORKS.items():
        if not any(word in name for word in options.only):
            continue
        torch.manual_seed(0)
        network, batch = make()
        seconds, share = recording(network, batch, options.rounds)
        halves = running(network, batch, options.rounds)
        cuts = " | ".join(cutting(network, batch, options.rounds, used) for used in (False, True))
        print(f"| {name} | {seconds:.2f} | {share} | {halves} | {cuts} |", flush=True)
    if any(word in "maxvit_t" for word in options.only):
        print(f"\n{everywhere(torchvision.models.get_model('maxvit_t').eval())}")


def pictured(network: nn.Module, name: str, shape: tuple[int, ...]) -> tuple[nn.Module, Batch]:
    return network.eval(), {name: torch.randn(4, *shape)}


def worded(network: nn.Module) -> tuple[nn.Module, Batch]:
    ids = torch.randint(3, 60, (4, 16))
    return network.eval(), {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


def recording(network: nn.Module, batch: Batch, rounds: int) -> tuple[float, str]:
    """Seconds to record a network, and its share of torch.export's."""
    free = {name: {0: Dim("batch", min=2)} for name in batch}

    def recorded(new: nn.Module) -> object:
        return record(new, batch)

    def exported(new: nn.Module) -> object:
        return torch.export.export(new, (), dict(batch), dynamic_shapes=free)

    ours, theirs = take_turns([recorded, exported], lambda: copy.deepcopy(network), rounds)
    return statistics.median(ours), ratio(ours, theirs)


@torch.no_grad()
def running(network: nn.Module, batch: Batch, rounds: int) -> str:
    """Time of both halves, as a share of the whole network's."""
    points = list(cut_points(network, inputs=batch))
    front, end = cut(network, points[len(points) // 2], inputs=batch)
    given = {} if len(batch) == 1 else batch
    ways: list[Callable[[Any], object]] = [
        lambda _: end(front(**batch), **given),
        lambda _: network(**batch),
    ]
    return ratio(*take_turns(ways, lambda: None, 3 * rounds))


def cutting(network: nn.Module, batch: Batch, rounds: int, used: bool) -> str:
    """Time of thirty cuts of a new network as a share of one's; `used` halves are put together."""
    points = list(cut_points(network, inputs=batch))
    chosen = [points[i * len(points) // CUTS] for i in range(CUTS)]

    def cuts(new: nn.Module, layers: list[str]) -> None:
        for layer in layers:
            for half in cut(new, layer, inputs=batch):
                if used:
                    half.graph  # noqa: B018 - it is put together when it is first used

    ways: list[Callable[[Any], object]] = [
        lambda new: cuts(new, chosen),
        lambda new: cuts(new, chosen[CUTS // 2 :][:1]),
    ]
    return ratio(*take_turns(ways, lambda: copy.deepcopy(network), rounds))


def everywhere(network: nn.Module) -> str:
    """What it costs to list the cut points of a network and then to cut it at all of them."""
    start = time.process_time()
    points = list(cut_points(network, (3, 224, 224)))
    listed = time.process_time()
    for layer in points:
        cut(network, layer)
    end = time.process_time()
    return (
        f"maxvit_t: its {len(points)} cut points are listed in {listed - start:.2f} s, and cutting "
        f"it at all of them takes {end - listed:.2f} s more."
    )


def take_turns(
    ways: list[Callable[[Any], object]], new: Callable[[], Any], rounds: int
) -> list[list[float]]:
    """Seconds of each turn of each way, each on something new; the first turn does not count."""
    seconds: list[list[float]] = [[] for _ in ways]
    for turn in range(rounds + 1):
        for way, times in zip(ways, seconds, strict=True):
            given = new()
            start = time.process_time()
            way(given)
            if turn:
                times.append(time.process_time() - start)
    return seconds


def ratio(ours: list[float], theirs: list[float]) -> str:
    """The median of the ratios of turns, and their least and largest."""
    shares = [a / b for a, b in zip(ours, theirs, strict=True)]
    return f"{statistics.median(shares):.2f} ({min(shares):.2f} to {max(shares):.2f})"


if __name__ == "__main__":
    main()
