"""What is compared: layers of two networks, or two single representations."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from frankenstein.errors import PlanError
from frankenstein.networks.network import Network
from frankenstein.networks.pair import open_pair
from frankenstein.runs.names import networks_name, run_label
from frankenstein.similarity.plan import ComparePlan, measure_of
from frankenstein.similarity.stitched import read_stitched
from frankenstein.surgery.read import Read, reading


@dataclass(frozen=True)
class Subject:
    """Two networks, and which of their representations are held against each other."""

    networks: tuple[Network, Network]
    name: str  # of a run about it
    words: list[str]  # measures, as they are asked for
    dataset: str | None
    data_root: str | None
    # Inside, functions from images to {layer: representation}, one of each network.
    readers: Callable[[], AbstractContextManager[tuple[Read, Read]]]

    @property
    def measures(self) -> list[str]:
        """What the catalog calls them, each once."""
        return list(dict.fromkeys(map(measure_of, self.words)))


def subject_of(plan: ComparePlan, device: torch.device) -> Subject:
    """What a plan is about: its files opened, its layers not looked at yet.

    Raises:
        UserError: if files do not hold networks that see the same images, or no stitching run.
    """
    return _of_run(plan, device) if plan.of_run else _of_networks(plan, device)


def _of_networks(plan: ComparePlan, device: torch.device) -> Subject:
    sender, receiver = open_pair(plan.sender, str(plan.receiver), plan.model)
    dataset = plan.dataset or receiver.dataset
    name = networks_name((sender, receiver), dataset, "-vs-")
    if plan.is_table:
        layers = [str(plan.sender_layer), str(plan.receiver_layer)]
        name = "-".join([networks_name((sender, receiver), dataset), *layers])

    @contextmanager
    def readers() -> Iterator[tuple[Read, Read]]:
        ours, theirs = plan.layers
        with (
            reading(sender.module, ours, device) as read_sender,
            reading(receiver.module, theirs, device) as read_receiver,
        ):
            yield read_sender, read_receiver

    words = plan.measures or ["unbiased_cka"]
    return Subject((sender, receiver), name, words, dataset, plan.data_root, readers)


def _of_run(plan: ComparePlan, device: torch.device) -> Subject:
    if not Path(plan.sender).is_dir():
        raise PlanError("missing ‹receiver› (file of the second network)")
    made = read_stitched(plan.sender, plan.kind, plan.layer, plan.model, plan.other_networks)

    @contextmanager
    def readers() -> Iterator[tuple[Read, Read]]:
        yield made.readers(device)

    return Subject(
        made.networks,
        "-".join([run_label(plan.sender, plan.dataset), made.kind, made.layer]),
        plan.measures or made.plan.measures,
        plan.dataset or made.plan.dataset or made.networks[1].dataset,
        plan.data_root or made.plan.data_root,
        readers,
    )
