"""What is compared: layers of two networks or files, or two single representations."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from frankenstein.activations import Activations, activations_at
from frankenstein.activations.checks import tell_maps_and_vectors
from frankenstein.activations.confounders import read_classes, read_confounders
from frankenstein.catalog import MEASURES
from frankenstein.errors import PlanError, UserError
from frankenstein.networks.data import check_same_answers, open_all, open_pair
from frankenstein.networks.network import Network, networks_name, short_name
from frankenstein.runs.fields import StitchKind
from frankenstein.runs.stitch_run import check_made_for, read_stitch_run, run_label
from frankenstein.similarity.matrices import reader_of
from frankenstein.similarity.plan import ComparePlan, measure_of
from frankenstein.similarity.shown import Shown
from frankenstein.stitches import load_stitch
from frankenstein.surgery import LayerError, join, seeing
from frankenstein.surgery.blocks import telling_layers
from frankenstein.surgery.padded import reads_text
from frankenstein.surgery.read import Fold, Read, Reader, folded
from frankenstein.surgery.sources import recorded

Opened = Network | Activations
Looks = tuple[nn.Module | None, nn.Module | None]  # of `look_of`


@dataclass(frozen=True)
class Subject:
    """Two networks, or files of activations, and what is held against each other of them."""

    sides: tuple[Opened, Opened]
    name: str  # of a run about it
    words: list[str]  # measures, as they are asked for
    dataset: str | None
    data_root: str | None
    texts: Sequence[str]
    # Inside, functions from batches to {layer: representation}, one of each side.
    readers: Callable[[Shown], AbstractContextManager[tuple[Read, Read]]]
    confounders: Activations | None = None  # of two files
    labels: Tensor | None = None  # of two files, the class of every row

    @property
    def networks(self) -> tuple[Network, ...]:
        """Those of the two that are networks."""
        return tuple(side for side in self.sides if isinstance(side, Network))

    @property
    def files(self) -> tuple[Activations, ...]:
        """Those of the two that are there already."""
        return tuple(side for side in self.sides if isinstance(side, Activations))

    @property
    def measures(self) -> list[str]:
        """What the catalog calls them, each once."""
        return list(dict.fromkeys(map(measure_of, self.words)))


def subject_of(plan: ComparePlan, device: torch.device) -> Subject:
    """What a plan is about: its files opened, its layers not looked at yet.

    Raises:
        UserError: if there are no such networks, or no stitching run.
    """
    return _of_run(plan, device) if plan.of_run else _of_two(plan, device)


def _of_two(plan: ComparePlan, device: torch.device) -> Subject:
    one, other = sides = _opened(plan)
    networks = [side for side in sides if isinstance(side, Network)]
    dataset = plan.dataset or (networks[-1].dataset if networks else None)
    check_same_data(sides, dataset)
    words = plan.measures or ["unbiased_cka"]
    files = [side for side in sides if isinstance(side, Activations)]
    beside = next((file.labels for file in files if file.labels is not None), None)
    measures = list(map(measure_of, words))
    confounders = _confounders(plan, networks, measures, beside is not None)
    between = "-" if plan.is_table else "-vs-"
    name = between.join(short_name(side.source) for side in sides)
    if len(networks) == 2:
        name = networks_name(networks, dataset, between)
    if plan.normalize:
        name = "-".join([name, "normalized", *(f"{one:g}" for one in plan.normalize)])
    if plan.is_table:
        name = "-".join([name, str(plan.sender_layer), str(plan.receiver_layer)])

    @contextmanager
    def readers(shown: Shown) -> Iterator[tuple[Read, Read]]:
        with (
            reader_of(one, _wanted(one, plan.layers[0]), shown, device) as ours,
            reader_of(other, _wanted(other, plan.layers[1]), shown, device) as theirs,
        ):
            yield ours, theirs

    if len(files) == 2 and plan.flattening is None:
        ours, theirs = ({s: layer.shape for s, layer in one.layers.items()} for one in files)
        tell_maps_and_vectors(ours, theirs, (one.source, other.source))
    labels = beside if not networks and _by_class(measures) else None
    labels = labels if plan.labels is None else read_classes(plan.labels, files)
    data = dataset, plan.data_root, plan.texts
    return Subject(sides, name, words, *data, readers, confounders, labels)


def _opened(plan: ComparePlan) -> tuple[Opened, Opened]:
    """Both sides, each a file of activations with the layers asked for, or a network."""
    sources = {"sender": plan.sender, "receiver": str(plan.receiver)}
    one, other = opened(plan, sources, dict(zip(sources, plan.layers, strict=True)))
    return one, other


def opened(
    plan: ComparePlan,
    sources: Mapping[str, str],  # by role
    layers: Mapping[str, list[str] | None],
) -> list[Opened]:
    """Files of activations, with the layers asked for, and networks, in order.

    Raises:
        UserError: if there is none, or an option is of no use to files.
    """
    made: dict[str, Opened] = {
        role: found.of(layers[role])
        for role, source in sources.items()
        if (found := activations_at(source, role)) is not None
    }
    if len(made) == len(sources):
        for name in ("model", *plan.told):
            if getattr(plan, name) is not None:
                raise UserError(
                    f"‹{name}› is for networks, and {' and '.join(sources.values())} are "
                    "activations; leave it out"
                )
    if others := {role: source for role, source in sources.items() if role not in made}:
        made |= {one.role: one for one in open_all(others, plan.model, **plan.told)}
    return [made[role] for role in sources]


def check_same_data(sides: Sequence[Opened], dataset: str | None) -> None:
    """Refuse files that say that their rows are other examples.

    Raises:
        UserError: if one was extracted of another data set than the other side.
    """
    known = {
        side.source: side.facts["dataset"]
        for side in sides
        if isinstance(side, Activations) and side.facts.get("dataset")
    }
    for source, own in known.items():
        for other, theirs in ({"the network": dataset} | known).items():
            if theirs and theirs != own:
                raise UserError(
                    f"{source} was extracted of {own}, and {other} sees {theirs}: their rows are "
                    "not the same examples"
                )


def _by_class(measures: Sequence[str]) -> list[str]:
    return [name for name in measures if MEASURES[name].needs == "classes"]


def _confounders(
    plan: ComparePlan, networks: Sequence[Network], measures: Sequence[str], labelled: bool
) -> Activations | None:
    needed = [name for name in measures if MEASURES[name].needs == "inputs"]
    by_class = _by_class(measures)
    if by_class and not networks and plan.labels is None and not labelled:
        raise UserError(
            f"{by_class[0]} takes the class of each example, and of activations nobody knows it; "
            "name a file of them: ‹labels›"
        )
    if plan.labels is not None and (networks or not by_class):
        why = "a network's are those of its data" if networks else "no measure here takes them"
        raise UserError(
            f"‹labels› are for measures within classes of files, and {why}; leave it out"
        )
    if plan.confounders is None:
        if needed and not networks:
            raise UserError(
                f"{needed[0]} takes out what inputs explain, and of activations nobody knows "
                "them; name a file of them, or of labels: ‹confounders›"
            )
        return None
    if networks or not needed:
        why = "a network's are its inputs" if networks else f"{', '.join(measures)} has none"
        raise UserError(f"‹confounders› are for deconfounded_cka of files, and {why}; leave it out")
    return read_confounders(plan.confounders)


def _wanted(side: Opened, layers: list[str] | None) -> list[str] | None:
    if isinstance(side, Network):
        return layers or telling_layers(side.module)
    return None  # chosen already


def more_layers(subject: Subject, plan: ComparePlan) -> list[str]:
    """What else could be compared where nothing is named, and `block_layers` are taken."""
    lines: dict[str, list[str]] = {}
    for side, layers in zip(subject.sides, plan.layers, strict=True):
        if plan.of_run or layers or not isinstance(side, Network):
            continue
        with suppress(LayerError):  # without cut points all modules are taken
            blocks = telling_layers(side.module)
            if blocks is not None:
                there = recorded(side.module)
                points, modules = len(there.cut_points), len(there.modules)
                told = f"{len(blocks)} blocks; 'cut points' takes {points}, 'modules' {modules}"
                lines.setdefault(told, []).append(side.role)
    return [f"layers of {' and '.join(roles)}: {told}" for told, roles in lines.items()]


def _of_run(plan: ComparePlan, device: torch.device) -> Subject:
    if not Path(plan.sender).is_dir():
        raise PlanError("missing ‹receiver› (file of the second network)")
    made = read_stitched(
        plan.sender, plan.kind, plan.layer, plan.model, plan.other_networks, plan.allow_code
    )

    @contextmanager
    def readers(shown: Shown) -> Iterator[tuple[Read, Read]]:
        yield made.readers(device, tuple(map(shown.look, made.networks)))  # type: ignore[arg-type]

    return Subject(
        made.networks,
        "-".join([run_label(plan.sender, plan.dataset), made.kind, made.layer]),
        plan.measures or made.plan.measures,
        plan.dataset or made.plan.dataset or made.networks[1].dataset,
        plan.data_root or made.plan.data_root,
        plan.texts or made.plan.texts,
        readers,
    )


@dataclass(frozen=True)
class Stitched:
    """Two representations of an image, at the receiver's cut or behind it."""

    networks: tuple[Network, Network]
    stitched: nn.Sequential  # the sender's front, and what a stitch makes of it
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
            def read(inputs: torch.Tensor, fold: Fold | None = None) -> dict[str, Any]:
                at_cut = module(inputs.to(device))
                z = at_cut if self.behind is None else self.behind(at_cut)[self.layer]
                return folded({name: z}, fold)

            return read

        front, *behind = self.stitched
        stitched = nn.Sequential(seeing(front, looks[0]), *behind)
        return reader(stitched, self.kind), reader(seeing(self.target, looks[1]), self.layer)


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
    if layer is not None and reads_text(receiver):
        raise LayerError(
            "layers behind the cut are not followed where text is padded; leave out ‹layer›"
        )
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
