"""What is compared: layers of two networks, or two single representations."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from frankenstein.errors import PlanError
from frankenstein.networks.data import check_same_answers, open_pair
from frankenstein.networks.network import Network, networks_name
from frankenstein.runs.fields import StitchKind
from frankenstein.runs.stitch_run import check_made_for, read_stitch_run, run_label
from frankenstein.similarity.matrices import behind
from frankenstein.similarity.plan import ComparePlan, measure_of
from frankenstein.stitches import load_stitch
from frankenstein.surgery import join, seeing
from frankenstein.surgery.blocks import telling_layers
from frankenstein.surgery.read import Read, Reader, reading

Looks = tuple[nn.Module | None, nn.Module | None]  # of `look_of`


@dataclass(frozen=True)
class Subject:
    """Two networks, and which of their representations are held against each other."""

    networks: tuple[Network, Network]
    name: str  # of a run about it
    words: list[str]  # measures, as they are asked for
    dataset: str | None
    data_root: str | None
    # Inside, functions from images to {layer: representation}, one of each network, which may have
    # a look at them first.
    readers: Callable[[Looks], AbstractContextManager[tuple[Read, Read]]]

    @property
    def measures(self) -> list[str]:
        """What the catalog calls them, each once."""
        return list(dict.fromkeys(map(measure_of, self.words)))


def subject_of(plan: ComparePlan, device: torch.device) -> Subject:
    """What a plan is about: its files opened, its layers not looked at yet.

    Raises:
        UserError: if there are no such networks, or no stitching run.
    """
    return _of_run(plan, device) if plan.of_run else _of_networks(plan, device)


def _of_networks(plan: ComparePlan, device: torch.device) -> Subject:
    sender, receiver = open_pair(plan.sender, str(plan.receiver), plan.model, **plan.told)
    dataset = plan.dataset or receiver.dataset
    name = networks_name((sender, receiver), dataset, "-vs-")
    if plan.is_table:
        layers = [str(plan.sender_layer), str(plan.receiver_layer)]
        name = "-".join([networks_name((sender, receiver), dataset), *layers])

    @contextmanager
    def readers(looks: Looks) -> Iterator[tuple[Read, Read]]:
        ours, theirs = (
            named or telling_layers(network.module)
            for named, network in zip(plan.layers, (sender, receiver), strict=True)
        )
        with (
            reading(sender.module, ours, device) as read_sender,
            reading(receiver.module, theirs, device) as read_receiver,
        ):
            yield behind(looks[0], read_sender), behind(looks[1], read_receiver)

    words = plan.measures or ["unbiased_cka"]
    return Subject((sender, receiver), name, words, dataset, plan.data_root, readers)


def _of_run(plan: ComparePlan, device: torch.device) -> Subject:
    if not Path(plan.sender).is_dir():
        raise PlanError("missing ‹receiver› (file of the second network)")
    made = read_stitched(
        plan.sender, plan.kind, plan.layer, plan.model, plan.other_networks, plan.allow_code
    )

    @contextmanager
    def readers(looks: Looks) -> Iterator[tuple[Read, Read]]:
        yield made.readers(device, looks)

    return Subject(
        made.networks,
        "-".join([run_label(plan.sender, plan.dataset), made.kind, made.layer]),
        plan.measures or made.plan.measures,
        plan.dataset or made.plan.dataset or made.networks[1].dataset,
        plan.data_root or made.plan.data_root,
        readers,
    )


@dataclass(frozen=True)
class Stitched:
    """Two representations of an image, at the receiver's cut or behind it."""

    networks: tuple[Network, Network]
    stitched: nn.Module  # what a stitch makes of the sender's representation at the cut
    target: nn.Module  # the receiver's own
    behind: nn.Module | None  # from the cut to {layer: representation}; None: at the cut
    kind: StitchKind
    layer: str  # of the receiver
    plan: Any  # of the run

    def readers(self, device: torch.device, looks: Looks = (None, None)) -> tuple[Read, Read]:
        """Functions from images to {kind: the stitched} and to {layer: the receiver's own}."""
        parts = [part for part in (self.stitched, self.target, self.behind) if part is not None]
        nn.ModuleList(parts).to(device)

        def reader(module: nn.Module, name: str) -> Read:
            def read(images: torch.Tensor) -> dict[str, torch.Tensor]:
                at_cut = module(images.to(device))
                return {name: at_cut if self.behind is None else self.behind(at_cut)[self.layer]}

            return read

        stitched, target = (
            seeing(*both) for both in zip((self.stitched, self.target), looks, strict=True)
        )
        return reader(stitched, self.kind), reader(target, self.layer)


def read_stitched(
    folder: str,
    kind: StitchKind = "after",
    layer: str | None = None,  # of the receiver, behind the cut; the cut itself if absent
    model: str | None = None,  # network in a .pt file; as the run has it if absent
    other_networks: bool = False,
    allow_code: bool = False,
) -> Stitched:
    """The stitched representation of a run, from its folder.

    Raises:
        UserError: if it holds no such run, or its networks are no longer those it was made for and
            `other_networks` does not allow that.
        LayerError: if the receiver has no such layer behind the cut.
    """
    plan, files = read_stitch_run(folder, [kind], allow_code=allow_code)
    networks = open_pair(plan.sender, plan.receiver, model or plan.model, **plan.told)
    check_same_answers(*networks)
    if not other_networks:
        check_made_for(files.values(), networks)
    sender, receiver = (network.module for network in networks)
    joint = join(sender, receiver, plan.sender_layer, plan.receiver_layer, plan.flatten)
    return Stitched(
        networks,
        nn.Sequential(joint.sender.front, joint.align, load_stitch(files[kind])),
        joint.receiver.front,
        None if layer is None else Reader.of_end(joint.receiver.end, [layer]),
        kind,
        layer or plan.receiver_layer,
        plan,
    )
