"""What a benchmark will take, measured on a step of training and a few pairs before it begins."""

import time
import warnings
from collections.abc import Callable

import torch

from frankenstein.benchmark.plan import BenchmarkPlan
from frankenstein.benchmark.zoo import groups_of, tests_of
from frankenstein.catalog import DATASETS, MEASURES
from frankenstein.errors import counted
from frankenstein.labels import label_loss
from frankenstein.measures import LayerSimilarities
from frankenstein.measures.undefined import UndefinedSimilarityWarning
from frankenstein.networks.data import num_classes_of
from frankenstein.studies.clock import in_words
from frankenstein.studies.graph import Node
from frankenstein.zoo import build_network

_EXAMPLES, _UNITS = 360, 84


def cost(plan: BenchmarkPlan, nodes: list[Node]) -> str:
    """Networks, pairs and processor time, in a sentence."""
    tests = tests_of(plan)
    networks = sum(node.name.startswith("train/") for node in nodes)
    sizes = [len(groups_of(test, plan.seeds)) for test in tests.values() if not test.layers]
    pairs = sum(size * (size - 1) // 2 for size in sizes)
    measures = plan.measures or [*MEASURES]
    data = DATASETS[str(plan.dataset)](data_root=plan.data_root, batch_size=plan.batch_size)
    data.setup()
    steps = networks * plan.epochs * (data.num_train // plan.batch_size)
    seconds = steps * _step(plan) + pairs * _pair(measures)
    return (
        f"{counted(networks, 'network')} of {plan.model} to train for "
        f"{counted(plan.epochs, 'epoch')} on {data.num_train} images, {counted(pairs, 'pair')} of "
        f"networks and {counted(len(measures), 'measure')} in {counted(len(tests), 'test')}: about "
        f"{in_words(seconds)} of one core, without its start, by a step and a pair that were timed"
    )


def _step(plan: BenchmarkPlan) -> float:
    """Seconds of a training step."""
    channels = DATASETS[str(plan.dataset)].in_channels
    classes = num_classes_of(str(plan.dataset), plan.data_root)
    network = build_network(plan.model, classes, channels)
    images = torch.rand(plan.batch_size, *network.input_shape)  # type: ignore[misc]
    labels = torch.zeros(plan.batch_size, dtype=torch.long)
    return _seconds(lambda: label_loss(network(images), labels).backward())


def _pair(measures: list[str]) -> float:
    """Seconds of one pair by all measures."""
    draw = torch.Generator().manual_seed(0)
    x, y = torch.randn(2, _EXAMPLES, _UNITS, generator=draw)
    inputs, labels = torch.randn(_EXAMPLES, 8, generator=draw), torch.arange(_EXAMPLES) % 10

    def once() -> None:
        similar = LayerSimilarities(measures, block=_EXAMPLES, limit=_EXAMPLES, one_grid=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UndefinedSimilarityWarning)
            similar.update({"x": x}, {"y": y}, inputs, labels).values()

    return _seconds(once)


def _seconds(once: Callable[[], object]) -> float:
    """Of the second time: the first one imports and warms up."""
    once()
    began = time.process_time()
    once()
    return time.process_time() - began
