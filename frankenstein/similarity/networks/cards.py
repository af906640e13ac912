"""What is known of networks from their cards: groups of them, and steps of one training."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from frankenstein.catalog import find_network
from frankenstein.errors import UserError

# What states of one training have in common; the first four name it.
_TRAINING = (
    *("architecture", "dataset", "init_seed", "order_seed", "epochs", "weights"),
    *("random_labels", "marker", "augmentation"),
)
Cards = Mapping[str, Mapping[str, Any]]  # records by network; {} of what is no network


def properties(cards: Cards) -> dict[str, list[str]]:
    """What networks may have in common, by property: of every network, in order.

    Only properties in which some differ and some agree.
    """
    known = {
        "architecture": lambda card: card.get("architecture"),
        "width": _width,
        "data": lambda card: card.get("dataset"),
        "epoch": epoch_of,
        "weights' seed": lambda card: card.get("init_seed"),
        "order's seed": lambda card: card.get("order_seed"),
        "random labels": lambda card: card.get("random_labels"),
        "marker": _marker,
        "augmentation": lambda card: card.get("augmentation"),
    }
    found = {
        name: ["unknown" if (one := tell(card)) is None else _said(one) for card in cards.values()]
        for name, tell in known.items()
    }
    telling = {name: values for name, values in found.items() if 1 < len(set(values)) < len(values)}
    # A property that parts the networks as one before it does says nothing more.
    parted = {name: tuple(values.index(one) for one in values) for name, values in telling.items()}
    return {
        name: values
        for i, (name, values) in enumerate(telling.items())
        if parted[name] not in list(parted.values())[:i]
    }


def _said(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else f"{value}"


def epoch_of(card: Mapping[str, Any]) -> float | None:
    """Epochs after which a network was saved: of a snapshot its own, else all of its training."""
    epoch = card.get("epoch") if card.get("epoch") is not None else card.get("epochs")
    return None if epoch is None else round(float(epoch), 6) or 0.0


@dataclass(frozen=True)
class Path:
    """Networks of one training, in the order in which it passed them."""

    name: str  # of the training
    networks: tuple[str, ...]
    steps: tuple[float, ...]
    unit: str  # "step", or "epoch" where steps are unknown


def paths(cards: Cards) -> list[Path]:
    """Trainings of which there are several states."""
    trainings: dict[tuple[Any, ...], list[str]] = {}
    for name, card in cards.items():
        if card.get("init_seed") is not None and epoch_of(card) is not None:
            trainings.setdefault(tuple(card.get(fact) for fact in _TRAINING), []).append(name)
    several = {key: names for key, names in trainings.items() if len(names) > 1}
    found = []
    for (architecture, dataset, init, order, *_), names in several.items():
        epochs = {name: epoch_of(cards[name]) or 0.0 for name in names}
        if len(set(epochs.values())) < 2:
            continue
        an_epoch = _steps_of_an_epoch([cards[name] for name in names])
        ordered = sorted(names, key=epochs.__getitem__)
        steps = tuple(
            epochs[name] if an_epoch is None else round(epochs[name] * an_epoch) for name in ordered
        )
        label = f"{architecture}-{dataset}-in{init}-gn{order}"
        found.append(Path(label, tuple(ordered), steps, "step" if an_epoch else "epoch"))
    return found


def _steps_of_an_epoch(cards: Sequence[Mapping[str, Any]]) -> float | None:
    known = [card["step"] / card["epoch"] for card in cards if card.get("step") and card["epoch"]]
    return known[0] if known else None


def _marker(card: Mapping[str, Any]) -> Any:
    """How often it tells the class; a card that knows no condition says nothing of it."""
    known = card.get("random_labels") is not None
    return "none" if known and card.get("marker") is None else card.get("marker")


def _width(card: Mapping[str, Any]) -> Any:
    try:
        return find_network(str(card.get("architecture"))).options.get("k")
    except UserError:
        return None
