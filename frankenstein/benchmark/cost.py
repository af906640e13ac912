"""What a benchmark will take, measured on a step of training and a pair before it begins."""

import time
from collections.abc import Callable
from itertools import combinations

import torch
from torch import nn

from frankenstein.benchmark.compare import between
from frankenstein.benchmark.plan import BenchmarkPlan
from frankenstein.benchmark.zoo import groups_of, shown_alike, tests_of
from frankenstein.catalog import DATASETS, MEASURES
from frankenstein.errors import counted
from frankenstein.labels import label_loss
from frankenstein.networks.data import num_classes_of
from frankenstein.studies.clock import in_words
from frankenstein.zoo import build_network

_EXAMPLES, _UNITS = 360, 84


def new_network(plan: BenchmarkPlan) -> nn.Module:
    """A network such as those that will be trained."""
    dataset = str(plan.dataset)
    classes = num_classes_of(dataset, plan.data_root)
    return build_network(plan.model, classes, DATASETS[dataset].in_channels)


def cost(plan: BenchmarkPlan, network: nn.Module) -> str:
    """Networks, pairs and processor time, in a sentence."""
    networks, pairs = set[str](), 0
    for tests in shown_alike(tests_of(plan)).values():
        groups = [groups_of(test, plan.seeds) for test in tests.values()]
        pairs += len({pair for names in groups for pair in combinations(names, 2)})
        networks = networks.union(*groups)
    measures = plan.measures or [*MEASURES]
    data = DATASETS[str(plan.dataset)](data_root=plan.data_root, batch_size=plan.batch_size)
    data.setup()
    steps = len(networks) * plan.epochs * (data.num_train // plan.batch_size)
    images = torch.rand(plan.batch_size, *network.input_shape)  # type: ignore[misc]
    labels = torch.zeros(plan.batch_size, dtype=torch.long)
    seconds = steps * _seconds(lambda: label_loss(network(images), labels).backward())
    x, y = torch.randn(2, _EXAMPLES, _UNITS)
    beside = torch.randn(_EXAMPLES, 8), torch.arange(_EXAMPLES) % 10
    seconds += pairs * _seconds(lambda: between({"x": x, "y": y}, measures, *beside))
    return (
        f"{counted(len(networks), 'network')} of {plan.model} to train for "
        f"{counted(plan.epochs, 'epoch')} on {data.num_train} images, {counted(pairs, 'pair')} of "
        f"networks and {counted(len(measures), 'measure')} in {counted(len(plan.asked), 'test')}: "
        f"at least {in_words(seconds)} of one core, by a step and a pair that were timed; "
        "starts, logs and stitches come on top"
    )


def _seconds(once: Callable[[], object]) -> float:
    """Of the second time: the first one imports and warms up."""
    once()
    began = time.process_time()
    once()
    return time.process_time() - began
