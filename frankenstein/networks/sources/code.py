"""A network that a function of the user's own code makes."""

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from frankenstein.catalog import DATASETS
from frankenstein.data.preprocessing import Preprocessing, preprocessing_from
from frankenstein.errors import UserError, counted, did_you_mean
from frankenstein.files import FileError, tensors_sha256
from frankenstein.networks.answer import logits_of
from frankenstein.networks.sources.wish import Opened, Wish, card_of, seeded, shaped
from frankenstein.source import Source
from frankenstein.zoo.weights import load_weights, read_weights


def from_code(source: Source, wish: Wish) -> Opened:
    """Made by a function without arguments, or there already.

    What stands beside it under `preprocessing` and `input_shape` says how it sees.
    """
    place, _, attribute = source.name.rpartition(":")
    namespace = _imported(place)
    factory: Any = namespace
    for part in attribute.split("."):
        if not hasattr(factory, part):
            named = [name for name in vars(namespace) if not name.startswith("_")]
            raise UserError(f"{place} has no {attribute!r}{did_you_mean(attribute, named)}")
        factory = getattr(factory, part)

    def make(seed: int) -> nn.Module:
        made = seeded(factory, seed)
        if not isinstance(made, nn.Module):
            raise UserError(f"{source.label} gives a {type(made).__name__}, and no nn.Module")
        return made

    build: Callable[[int], nn.Module] | None = None
    if isinstance(factory, nn.Module):
        module: Any = factory
        if source.seed is not None:
            raise UserError(
                f"{source.label} is a network and no function that makes one; leave # out"
            )
    elif callable(factory):
        _check_no_arguments(source, factory)
        module, build = make(source.seed or 0), make
    else:
        raise UserError(f"{source.label} is a {type(factory).__name__}, and no function or network")
    if source.weights is not None:
        load_weights(module, read_weights(source.weights)[0], source.weights, source.label)
    elif source.seed is None and build is not None and _differ(module, build(1)):
        raise UserError(
            f"{source.label} makes random weights; say {source.label}@FILE for trained ones, or "
            f"{source.label}#0 for those of a seed"
        )
    beside = [module, factory, namespace]
    sees = _said(beside, "preprocessing")
    if sees is not None:
        sees = sees() if callable(sees) else sees
        sees = preprocessing_from(sees, f"preprocessing of {source.label}")
    shape = _said(beside, "input_shape")
    shapes = [tuple(shape)] if shape is not None else _shapes(source, wish, sees)
    module.input_shape, classes = _taken(module, source, shapes)
    channels = module.input_shape[0]
    if sees is not None and len(sees.mean) != channels:
        if len(sees.mean) > 1:
            raise UserError(
                f"preprocessing of {source.label} has {len(sees.mean)} means, and its network "
                "takes "
                f"{counted(channels, 'channel')}; write one number, or one for each channel"
            )
        sees = replace(sees, mean=sees.mean * channels, std=sees.std * channels)
    size = module.input_shape[-1]
    card = card_of(source.label, classes, channels, seed=source.seed, image_size=size)
    again = None if build is None else lambda seed: shaped(build(seed), module)
    return Opened(module, card, sees, again)


def _differ(one: nn.Module, other: nn.Module) -> bool:
    return tensors_sha256(one.state_dict()) != tensors_sha256(other.state_dict())


def _said(places: list[Any], name: str) -> Any:
    """What stands under a name at the first of these places that has it."""
    return next(
        (getattr(one, name) for one in places if getattr(one, name, None) is not None), None
    )


def _shapes(source: Source, wish: Wish, sees: Preprocessing | None) -> list[tuple[int, ...]]:
    """What a network may take that does not say it, the likeliest first: grey or colour."""
    dataset = DATASETS[wish.dataset] if wish.dataset else None
    size = wish.size or (sees.crop if sees else dataset.target.native_size if dataset else None)
    channels = wish.channels or (dataset.in_channels if dataset else len(sees.mean) if sees else 0)
    if not channels or size is None:
        raise UserError(
            f"{source.label} does not say what it takes; choose ‹dataset›, or write "
            "input_shape = (channels, height, width) beside it"
        )
    return [(one, size, size) for one in dict.fromkeys((channels, 1, 3))]


def _taken(
    module: nn.Module, source: Source, shapes: list[tuple[int, ...]]
) -> tuple[tuple[int, ...], int]:
    """The first shape that a network takes, and how many classes it tells apart: by black images.

    Raises:
        UserError: if it takes none of them.
    """
    some = next(module.parameters(), torch.empty(0))
    was, errors = module.training, []
    for shape in shapes:
        try:
            with torch.no_grad():
                black = torch.zeros(2, *shape, dtype=some.dtype, device=some.device)
                answer = logits_of(module.eval()(black))
        except Exception as error:  # the user's own code
            errors.append(error)
            continue
        finally:
            module.train(was)
        tells = isinstance(answer, Tensor) and answer.ndim == 2
        return shape, answer.shape[1] if tells else 1
    raise UserError(
        f"{source.label} does not take inputs of shape {shapes[0]}: "
        f"{' '.join(str(errors[0]).split())}; write input_shape = (channels, height, width) beside "
        "it"
    ) from errors[0]


def _imported(place: str) -> Any:
    """The user's module, whose folder is looked at first while it is imported."""
    path = Path(place)
    of_file = place.endswith(".py")
    if of_file and not path.is_file():
        raise FileError(f"no file {path}; is the path right, and are you in the right folder?")
    folder = str(path.resolve().parent) if of_file else str(Path.cwd())
    sys.path.insert(0, folder)
    try:
        if not of_file:
            return importlib.import_module(place)
        name = f"_frankenstein_{path.resolve().as_posix()}".replace(".", "_")
        if name in sys.modules:
            return sys.modules[name]
        spec: Any = importlib.util.spec_from_file_location(name, path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[name]
            raise
        return module
    except Exception as error:  # the user's own code
        reason = " ".join(str(error).split())
        raise UserError(f"{place} cannot be imported ({type(error).__name__}: {reason})") from error
    finally:
        sys.path.remove(folder)


def _check_no_arguments(source: Source, factory: Callable[..., Any]) -> None:
    try:
        needed = [
            name
            for name, one in inspect.signature(factory).parameters.items()
            if one.default is one.empty and one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)
        ]
    except (TypeError, ValueError):  # of what is not written in Python
        return
    if needed:
        raise UserError(
            f"{source.label} is called without arguments, and needs {', '.join(needed)}; write a "
            "function that gives them"
        )
