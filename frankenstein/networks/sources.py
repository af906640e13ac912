"""One function for each source of networks, from its name to the network and what comes with it."""

import importlib
import importlib.util
import inspect
import json
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from frankenstein.catalog import DATASETS
from frankenstein.data.preprocessing import (
    Preprocessing,
    preprocessing_from,
    preprocessing_of,
    processor_preprocessing,
)
from frankenstein.errors import UserError, did_you_mean
from frankenstein.files import FileError, tensors_sha256
from frankenstein.source import Source
from frankenstein.zoo.build import build_network
from frankenstein.zoo.files import Card, open_saved, untrained
from frankenstein.zoo.weights import check_finite, is_head, load_weights, named_as, read_weights

_HUB = "the trained weights are neither on this machine nor can they be downloaded"


@dataclass(frozen=True)
class Wish:
    """What the user says of a network that its source does not say itself."""

    model: str | None = None  # the architecture of a file of tensors alone
    dataset: str | None = None  # of which random weights get the classes and channels
    size: int | None = None  # pixels
    channels: int | None = None


@dataclass(frozen=True)
class Opened:
    """A network, and what came with it."""

    module: nn.Module
    card: Card
    sees: Preprocessing | None = None  # None: the source does not say
    # A network of the same kind with the random weights of a seed; None: there is no way to one.
    build: Callable[[int], nn.Module] | None = None
    example: dict[str, Tensor] = field(default_factory=dict)  # an input that is no image


def opened(source: Source, wish: Wish) -> Opened:
    """The network that a source names.

    Raises:
        FileError: if a file is absent, damaged, or does not hold that network.
        UserError: if there is no such network, it cannot be had here, or it needs a word more.
    """
    return _OPENERS[source.kind](source, wish)


def logits_of(output: Any) -> Tensor:
    """The answer in what a network gives, which may be a tuple or one of transformers' outputs."""
    for name in ("logits", "last_hidden_state"):
        if isinstance(getattr(output, name, None), Tensor):
            return getattr(output, name)
    while isinstance(output, list | tuple):
        output = output[0]
    return output


def _from_file(source: Source, wish: Wish) -> Opened:
    path = Path(source.name)
    if path.is_dir():
        inside = path / "network.safetensors"  # of a run of train
        if not inside.is_file() and (path / "config.json").is_file():
            raise FileError(f"{path} is a folder of transformers; say hf/{path}")
        path = inside if inside.is_file() else path
    module, card = open_saved(path, wish.model)
    return Opened(module, card, build=lambda seed: untrained(card, seed))


def _from_zoo(source: Source, wish: Wish) -> Opened:
    name = source.label
    if source.weights is not None:
        module, card = open_saved(source.weights, name)
        return Opened(module, card, build=lambda seed: untrained(card, seed))
    if source.seed is None:
        raise UserError(
            f"{name} has no trained weights of its own; say {name}@FILE, or {name}#0 for random "
            "ones"
        )
    card = _card(name, *_sizes(wish, 10, 1), seed=source.seed, image_size=wish.size)
    return Opened(untrained(card, source.seed), card, build=lambda seed: untrained(card, seed))


def _from_torchvision(source: Source, wish: Wish) -> Opened:
    from frankenstein.zoo.vision import trained_transforms

    name = source.label
    if source.weights is not None:
        module, card = open_saved(source.weights, name)
    elif source.seed is not None:
        card = _card(name, *_sizes(wish, 1000, 3), seed=source.seed, image_size=wish.size)
        module = untrained(card, source.seed)
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # told below
            module = build_network(name, 1000, 3, 0, wish.size, "DEFAULT")
        if module.weights is None:
            raise UserError(f"{name}: {_HUB}; say {name}@FILE, or {name}#0 for random ones")
        card = _card(name, 1000, 3, image_size=wish.size, weights=str(module.weights))
    from torchvision.models import get_model_weights

    weights = card.weights or str(get_model_weights(source.name).DEFAULT)
    sees = preprocessing_of(trained_transforms(weights))
    return Opened(module, card, sees, lambda seed: untrained(card, seed))


def _from_timm(source: Source, wish: Wish) -> Opened:
    timm = _library("timm")
    known = timm.list_models()
    if not timm.is_model(source.name):
        raise UserError(f"timm has no {source.name!r}{did_you_mean(source.name, known)}")
    options: dict[str, Any] = {}
    config = timm.get_pretrained_cfg(source.name, allow_unregistered=True)
    if wish.size is not None and config is not None and config.fixed_input_size:
        options["img_size"] = wish.size

    def make(classes: int | None = None, channels: int = 3, **more: Any) -> nn.Module:
        given = {} if classes is None else {"num_classes": classes}
        return timm.create_model(source.name, in_chans=channels, **given, **options, **more)

    if source.weights is not None:
        tensors, _ = read_weights(source.weights)
        sizes = _sizes_of(lambda *sizes: make(*sizes), tensors)
        module: Any = make(*sizes)
        load_weights(module, tensors, source.weights, source.label)
    elif source.seed is not None:
        sizes = _sizes(wish, None, 3)
        module = _seeded(make, source.seed, *sizes)
    else:
        sizes = None, 3
        with _downloading(source.label):
            module = make(pretrained=True)
    from timm.data import resolve_model_data_config

    config = resolve_model_data_config(module)
    size = wish.size or config["input_size"][-1]
    sees = Preprocessing(
        int(size / config["crop_pct"]),
        size,
        tuple(config["mean"]),
        tuple(config["std"]),
        Image.Resampling[config["interpolation"].upper()],
        squash=config["crop_mode"] == "squash",
    )
    channels = sizes[1]
    module.input_shape = (channels, size, size)
    classes = int(module.num_classes)
    card = _card(source.label, classes, channels, seed=source.seed, image_size=size)
    return Opened(module, card, sees, lambda seed: _shaped(_seeded(make, seed, *sizes), module))


def _from_transformers(source: Source, wish: Wish) -> Opened:
    transformers = _library("transformers")
    here = source.path is not None
    where = {"trust_remote_code": False, "local_files_only": here}
    with _downloading(source.label):
        config = transformers.AutoConfig.from_pretrained(source.name, **where)
    kinds = [getattr(transformers, name, None) for name in config.architectures or []]
    base = transformers.PreTrainedModel  # nothing else that a file names is called
    models: list[Any] = [o for o in kinds if isinstance(o, type) and issubclass(o, base)]
    kind = next(iter(models), None)
    if kind is None:
        raise UserError(
            f"{source.label} is made by {', '.join(config.architectures or ['nothing named'])}, "
            "which transformers does not have; code that comes with a model is never run"
        )
    if source.seed is not None or source.weights is not None:
        module = _seeded(kind, source.seed or 0, config)
        if source.weights is not None:
            load_weights(module, read_weights(source.weights)[0], source.weights, source.label)
    else:
        if here:
            _check_pointers(Path(source.name))
        with _downloading(source.label), _no_bars(transformers) if here else nullcontext():
            module, info = kind.from_pretrained(
                source.name, config=config, dtype=torch.float32, output_loading_info=True, **where
            )
        if missing := sorted(info["missing_keys"]):
            raise FileError(
                f"{source.label} holds no weights for {len(missing)} tensors of its own "
                f"{kind.__name__}: {', '.join(missing[:3])}"
            )
        check_finite(dict(module.named_parameters()), module.state_dict(), source.label)
    sees, example, size = None, {}, getattr(config, "image_size", None)
    channels = getattr(config, "num_channels", 3)
    if getattr(config, "vocab_size", None) and size is None:
        example = {"input_ids": torch.arange(2 * 8).view(2, 8) % config.vocab_size}
    else:
        sees = _processor(transformers, source, where)
        size = wish.size or (sees.crop if sees else size if isinstance(size, int) else 224)
        module.input_shape = (channels, size, size)
    classes = config.num_labels if "Classification" in kind.__name__ else 1
    card = _card(source.label, classes, channels, seed=source.seed, image_size=size)
    build = lambda seed: _shaped(_seeded(kind, seed, config), module)  # noqa: E731
    return Opened(module, card, sees, build, example)


def _processor(transformers: Any, source: Source, where: dict[str, Any]) -> Preprocessing | None:
    """What the image processor beside a model does; None if there is none."""
    where = {
        "local_files_only": where["local_files_only"],
        "_raise_exceptions_for_missing_entries": False,
    }
    with _downloading(source.label):
        path = transformers.utils.cached_file(source.name, "preprocessor_config.json", **where)
    if path is None:
        return None
    try:
        facts = json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError:
        raise FileError(f"{path} is no JSON; get it anew") from None
    return processor_preprocessing(facts, f"the processor of {source.label}")


def _from_code(source: Source, wish: Wish) -> Opened:
    place, _, attribute = source.name.rpartition(":")
    namespace = _imported(place)
    factory: Any = namespace
    for part in attribute.split("."):
        if not hasattr(factory, part):
            named = [name for name in vars(namespace) if not name.startswith("_")]
            raise UserError(f"{place} has no {attribute!r}{did_you_mean(attribute, named)}")
        factory = getattr(factory, part)

    def make(seed: int) -> nn.Module:
        made = _seeded(factory, seed)
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
    if shape is None:
        dataset = DATASETS[wish.dataset] if wish.dataset else None
        channels = dataset.in_channels if dataset else len(sees.mean) if sees else wish.channels
        size = wish.size or (sees.crop if sees else dataset.target.native_size if dataset else None)
        if channels is None or size is None:
            raise UserError(
                f"{source.label} does not say what it takes; choose ‹dataset›, or write "
                "input_shape = (channels, height, width) beside it"
            )
        shape = (channels, size, size)
    module.input_shape = tuple(shape)
    classes = _classes(module, source)
    card = _card(source.label, classes, shape[0], seed=source.seed, image_size=shape[-1])
    again = None if build is None else lambda seed: _shaped(build(seed), module)
    return Opened(module, card, sees, again)


_OPENERS: dict[str, Callable[[Source, Wish], Opened]] = {
    "file": _from_file,
    "zoo": _from_zoo,
    "torchvision": _from_torchvision,
    "timm": _from_timm,
    "hf": _from_transformers,
    "code": _from_code,
}


def _card(
    name: str,
    classes: int,
    channels: int,
    seed: int | None = None,
    image_size: int | None = None,
    weights: str | None = None,
) -> Card:
    """Of a network that frankenstein did not train."""
    return Card(name, classes, channels, None, seed, None, None, image_size, weights)


def _sizes(wish: Wish, classes: Any, channels: int) -> tuple[Any, int]:
    """Classes and channels of random weights: those of the data set if one is named."""
    if wish.dataset is None:
        return classes, wish.channels or channels
    row = DATASETS[wish.dataset]
    return row.num_classes or classes, row.in_channels


def _sizes_of(
    make: Callable[[int | None, int], nn.Module], tensors: dict[str, Tensor]
) -> tuple[int | None, int]:
    """With how many classes and channels a network has the sizes of these tensors, if with any."""
    with torch.device("meta"):
        own = make(None, 3).state_dict()
    named, _ = named_as(own, tensors)
    first = next((key for key, tensor in own.items() if tensor.ndim == 4), None)
    channels = named[first].shape[1] if first in named and named[first].ndim == 4 else 3
    other = [k for k, z in own.items() if k in named and named[k].shape != z.shape and k != first]
    head = other and is_head(own, other) and named[other[0]].ndim
    return (len(named[other[0]]) if head else None), channels


def _seeded(make: Callable[..., Any], seed: int, *args: Any) -> Any:
    """What a function makes with the random numbers of a seed; the global generator stays."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make(*args)


def _shaped(new: nn.Module, like: nn.Module) -> nn.Module:
    new.input_shape = like.input_shape
    return new


def _differ(one: nn.Module, other: nn.Module) -> bool:
    return tensors_sha256(one.state_dict()) != tensors_sha256(other.state_dict())


def _said(places: list[Any], name: str) -> Any:
    """What stands under a name at the first of these places that has it."""
    return next(
        (getattr(one, name) for one in places if getattr(one, name, None) is not None), None
    )


def _classes(module: nn.Module, source: Source) -> int:
    """How many classes a network tells apart, from a look at two black images."""
    some = next(module.parameters(), torch.empty(0))
    shape: Any = module.input_shape
    was = module.training
    try:
        with torch.no_grad():
            black = torch.zeros(2, *shape, dtype=some.dtype, device=some.device)
            answer = logits_of(module.eval()(black))
    except Exception as error:  # the user's own code
        raise UserError(
            f"{source.label} does not take inputs of shape {tuple(shape)}: "
            f"{' '.join(str(error).split())}; write input_shape = (channels, height, width) beside "
            "it"
        ) from error
    finally:
        module.train(was)
    return answer.shape[1] if isinstance(answer, Tensor) and answer.ndim == 2 else 1


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


def _library(name: str) -> Any:
    """A library of an extra."""
    if find_spec(name) is None:
        raise UserError(f"{name} is not installed; get it by: pip install 'frankenstein[{name}]'")
    try:
        return importlib.import_module(name)
    except Exception as error:  # half an installation can fail in any way
        reason = " ".join(str(error).split())
        raise UserError(
            f"{name} is installed and cannot be imported ({reason}); install it anew, or take it "
            "away"
        ) from None


@contextmanager
def _no_bars(transformers: Any) -> Iterator[None]:
    """Without the bar of a file that is read in no time; downloads keep theirs."""
    bars = transformers.utils.logging
    was = bars.is_progress_bar_enabled()
    bars.disable_progress_bar()
    try:
        yield
    finally:
        if was:
            bars.enable_progress_bar()


@contextmanager
def _downloading(label: str) -> Iterator[None]:
    """What a library says of a name that it cannot find or fetch, in one line."""
    try:
        yield
    except Exception as error:  # of several libraries, none of which says which
        reason = " ".join(str(error).split())
        raise UserError(f"{label} cannot be had here: {reason[:300]}") from error


def _check_pointers(folder: Path) -> None:
    """Weights that were never fetched, in one line."""
    for path in [*folder.glob("*.safetensors"), *folder.glob("*.bin")]:
        with path.open("rb") as file:
            if file.read(40).startswith(b"version https://git-lfs"):
                raise FileError(
                    f"{path} is a pointer of git-LFS, not the file itself; get it by `git lfs pull`"
                )
