"""A graft as one file: front, stitch and end, and what builds them again.

A .safetensors file holds the tensors of the three, and the cards of both networks, which are built
by their own code and cut anew. A .pt2 file holds the steps (`stitching.exported`). Neither can
execute code.
"""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from rich.console import Console
from torch import Tensor, nn

from frankenstein.data.preprocessing import Preprocessing
from frankenstein.errors import FileError, UserError
from frankenstein.files import built_from, load_tensors, save_tensors
from frankenstein.networks.data import eyes_on
from frankenstein.networks.network import Network
from frankenstein.networks.sources.wish import Opened, shaped
from frankenstein.networks.sources.zoo import of_the_zoo
from frankenstein.records import check_fields
from frankenstein.runs.plan import Command
from frankenstein.source import parse_source
from frankenstein.stitches.files import built_stitch, stitch_record
from frankenstein.stitching.exported import open_exported, save_exported
from frankenstein.stitching.graft_plan import GraftPlan
from frankenstein.stitching.pair import StitchedRun
from frankenstein.surgery import Joint, graft, join
from frankenstein.zoo import Card
from frankenstein.zoo.files import check_card, untrained

_BUILT = ("file", "zoo", "torchvision")  # sources whose networks a card is enough to build
_LARGEST = 500_000_000  # numbers of a network of which little is held
_HOLDS: Mapping[str, Any] = {
    "sender": dict,
    "receiver": dict,
    "layers": list,
    "flatten": bool,
    "stitch": dict,
    "sees": dict | None,
    "input_shape": list | None,
    "dataset": str | None,
    "facts": dict,
}


def run_graft(plan: GraftPlan, command: Command) -> None:
    """Run the plan of `graft`."""
    if plan.cut:
        run = StitchedRun.read_cell(plan.subject, plan.cut, plan.stitch, plan.allow_code)
    else:
        run = StitchedRun.read(plan.subject, [plan.stitch], allow_code=plan.allow_code)
    path = save_graft(run, plan.stitch, plan.output)
    Console().out(path, highlight=False)


def save_graft(run: StitchedRun, stitch: str, path: str | Path) -> Path:
    """Write one of a run's stitches with the halves that it joins, as .safetensors or .pt2.

    It takes what the sender takes, and gives what the receiver does. `open_graft` gives it back.

    Raises:
        FileError: if the file cannot be written, or torch cannot export such a network.
        UserError: for networks that no card builds, as .safetensors; if the run's ends have
            statistics of their own.
    """
    if run.plan.recount:
        raise UserError(
            "the run counts statistics of its ends anew on data that no file holds; stitch without "
            "‹recount›"
        )
    pair, made = run.pair, run.stitches[stitch]
    both = {"sender": pair.sender, "receiver": pair.receiver}
    datasets = {network.dataset for network in both.values()}
    of_images = len(datasets) > 1 and pair.sender.tokenizer is None
    sees = eyes_on(pair.sender) if of_images else pair.sender.eyes  # else as the data set has it
    record = {
        "kind": "graft",
        **{role: asdict(network.card) for role, network in both.items()},
        "layers": list(run.plan.layers),
        "flatten": run.plan.flatten,
        "stitch": stitch_record(made),
        "sees": asdict(sees) if sees else None,
        "input_shape": None if pair.sender.tokenizer else list(pair.sender.input_shape),
        "dataset": datasets.pop() if len(datasets) == 1 else None,
        "facts": {"stitch": stitch, **{role: one.sha256 for role, one in both.items()}},
    }
    whole = _joined(pair.joint, made)
    if Path(path).suffix == ".pt2":
        if pair.sender.tokenizer is not None:
            raise UserError("torch exports no network of padded sentences; take .safetensors")
        free = (({0: torch.export.Dim.DYNAMIC},),)  # the batch, of *args
        return save_exported(path, whole, (pair.sender.example,), {}, free, record)
    for network in both.values():
        if parse_source(network.source).kind not in _BUILT:
            raise UserError(
                f"the {network.role}, {network.source}, is built by code that no file holds; take "
                ".pt2, which holds its steps"
            )
    held = {role: _held(network.module, whole) for role, network in both.items()}
    tensors = {f"{role}.{name}": x for role, some in held.items() for name, x in some.items()}
    tensors |= {f"stitch.{name}": x for name, x in made.state_dict().items()}
    return save_tensors(path, tensors, record)


@torch.no_grad()
def open_graft(path: str | Path, role: str = "subject") -> Network:
    """A graft of `save_graft` as a network, frozen and at evaluation; `.module` is the module.

    Its outputs are those of the run that made it, bit for bit. No other file is opened, and
    nothing in this one can execute code. The module takes what the sender takes: `eyes_on` says
    how images become that (size, mean, std), and `view_of` does it (`networks.data`).

    Raises:
        FileError: if the file is absent, damaged, or holds no graft.
    """
    path, exported = Path(path), None
    tensors: dict[str, Tensor] = {}
    if path.suffix == ".pt2":
        exported, record = open_exported(path)
    else:
        tensors, record = load_tensors(path)
    if record.get("kind") != "graft":
        raise FileError(f"{path} holds no graft; give a file of `frankenstein graft`")
    check_fields(record, _HOLDS, f"the record in {path}")
    with built_from(path, "graft"):
        cards = {one: Card(**record[one]) for one in ("sender", "receiver")}
        for one in cards:
            check_card(record[one], f"the card of the {one} in {path}")
        sees = record["sees"] and Preprocessing(
            **record["sees"]
            | {name: tuple(record["sees"][name]) for name in ("mean", "std")}
            | {"resampling": Image.Resampling(record["sees"]["resampling"])}
        )
        sender, receiver = cards["sender"], cards["receiver"]
        sizes = receiver.num_classes, sender.in_channels, record["dataset"]
        card = Card("graft", *sizes, None, None, None, sender.image_size)
        if exported is not None:
            exported.input_shape = tuple(map(int, record["input_shape"]))  # type: ignore[assignment]
            return Network(exported, card, str(path), role, sees=sees)
        module, seen = _rebuilt(record, cards, tensors, path)
    module.requires_grad_(False).eval()
    text: dict[str, Any] = {"inputs": seen.example, "tokenizer": seen.tokenizer}
    return Network(module, card, str(path), role, sees=sees, causal=seen.causal, **text)


def _rebuilt(
    record: Mapping[str, Any], cards: Mapping[str, Card], tensors: dict[str, Tensor], path: Path
) -> tuple[nn.Module, Opened]:
    """The networks built by their own code with what their halves hold, joined; and the sender."""
    parts = {
        part: {
            name.removeprefix(f"{part}."): x
            for name, x in tensors.items()
            if name.startswith(f"{part}.")
        }
        for part in (*cards, "stitch")
    }
    modules = {role: _network(card, parts[role]) for role, card in cards.items()}
    first, second = map(str, record["layers"])
    joint = join(modules["sender"], modules["receiver"], first, second, record["flatten"])
    whole = _joined(joint, built_stitch(record["stitch"], parts["stitch"], path))
    for role, module in modules.items():
        if _held(module, whole).keys() != parts[role].keys():
            raise ValueError(f"its tensors are not those of the half of its {role}")
    return shaped(whole, modules["sender"]), of_the_zoo(modules["sender"], cards["sender"])


def _network(card: Card, held: Mapping[str, Tensor]) -> nn.Module:
    """The network of a card, of which some tensors are given and no others are used."""
    with torch.device("meta"):
        sizes = {name: x.numel() for name, x in untrained(card, 0).state_dict().items()}
    if sum(sizes.values()) > _LARGEST + 100 * sum(x.numel() for x in held.values()):
        raise ValueError(f"{card.architecture} is too large for what the file holds of it")
    network = untrained(card, 0)
    network.load_state_dict({**network.state_dict(), **held})
    return network.eval()


def _joined(joint: Joint, stitch: nn.Module) -> nn.Module:
    return graft(joint.sender.front, nn.Sequential(joint.align, stitch), joint.receiver.end).eval()


def _held(network: nn.Module, whole: nn.Module) -> dict[str, Tensor]:
    """The tensors of a network that a graft holds, by the network's own names."""
    held = {id(x) for x in whole.state_dict(keep_vars=True).values()}
    own = network.state_dict(keep_vars=True)
    return {name: x for name, x in own.items() if id(x) in held}
