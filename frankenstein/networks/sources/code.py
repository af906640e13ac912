"""A network that a function of the user's own code makes."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from frankenstein.catalog import DATASETS
from frankenstein.data.examples import as_inputs, called, signature_of
from frankenstein.data.fits import not_taken
from frankenstein.data.preprocessing import Preprocessing, preprocessing_from
from frankenstein.data.tokenizers import Bytes
from frankenstein.errors import UserError, counted
from frankenstein.files import tensors_sha256
from frankenstein.networks.answer import logits_of
from frankenstein.networks.sources.huggingface import is_causal, models_own
from frankenstein.networks.sources.wish import Opened, Wish, card_of, seeded, shaped
from frankenstein.source import Source
from frankenstein.user_code import check_no_arguments, named_in_code
from frankenstein.zoo.weights import load_weights, read_weights


def from_code(source: Source, wish: Wish) -> Opened:
    """Made by a function without arguments, or there already.

    What stands beside it under `preprocessing` and `input_shape` says how it sees.
    """
    namespace, factory = named_in_code(source.name)

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
        check_no_arguments(source.label, factory)
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
    shape = _said(beside, "input_shape")
    sees = _said(beside, "preprocessing")
    if sees is not None:
        sees = sees() if callable(sees) else sees
        size = _side(wish, shape)
        sees = preprocessing_from(sees, f"preprocessing of {source.label}", size)
    example = _said(beside, "example_inputs")
    again = None if build is None else lambda seed: shaped(build(seed), module)
    of_text = wish.dataset is not None and DATASETS[wish.dataset].in_channels == 0
    if wish.own is None and (of_text or (shape is None and example is None and sees is None)):
        if {"input_ids", "attention_mask"} <= {*signature_of(module).parameters}:
            return _of_text(module, source, beside, again)
        if of_text:
            raise UserError(
                f"{source.label} reads no text: its forward takes "
                f"{', '.join(signature_of(module).parameters)}, and sentences are input_ids and "
                "attention_mask"
            )
    if shape is None and example is None and sees is None and wish.own is not None:
        example = wish.own.shown_to([module]).example_for(module)
    if shape is None and example is not None:
        example = as_inputs(example)
        classes = _answering(module, source, example)
        if isinstance(example, Tensor) and example.is_floating_point():
            module.input_shape = tuple(example.shape[1:])
        else:
            module.example_inputs = example
        # What is no image has a card, too: its first axis is counted as channels.
        of_one = example.shape[1:] if isinstance(example, Tensor) else ()
        channels = of_one[0] if of_one else 1
        return Opened(
            module, card_of(source.label, classes, channels, seed=source.seed), None, again
        )
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
    return Opened(module, card, sees, again)


def _of_text(
    module: nn.Module, source: Source, beside: list[Any], build: Callable[[int], nn.Module] | None
) -> Opened:
    """One that reads text, by the `tokenizer` that stands beside it, else by bytes.

    Raises:
        UserError: if it has no tokenizer, and too few tokens for bytes.
    """
    tables = [one.num_embeddings for one in module.modules() if isinstance(one, nn.Embedding)]
    config = getattr(module, "config", None)
    tokens = getattr(config, "vocab_size", None) or max(tables, default=0)
    longest = getattr(config, "max_position_embeddings", None)
    tokenizer: Any = _said(beside, "tokenizer")
    if tokenizer is None and tokens >= Bytes.size:
        tokenizer = Bytes(longest)
    elif tokenizer is not None and not hasattr(tokenizer, "limit"):  # not as `Tokenizer` has it
        shared = tokenizer is getattr(beside[-1], "tokenizer", None)
        place = source.name.rpartition(":")[0] if shared else source.label
        tokenizer = models_own(f"the tokenizer of {place}", tokenizer, longest)
    if tokenizer is None:
        raise UserError(
            f"{source.label} has {counted(tokens, 'token')} and no tokenizer: write tokenizer = "
            "beside it, one of transformers, or let it take the 256 bytes"
        )
    ids = torch.arange(2 * 8).view(2, 8) % max(tokens, 1)
    example = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    module.example_inputs = example  # type: ignore[assignment]
    classes = _answering(module, source, as_inputs(example))
    causal = bool(_said(beside, "causal")) or is_causal(type(module))
    classes = tokenizer.size if causal else classes
    card = card_of(source.label, classes, 0, seed=source.seed)
    return Opened(module, card, None, build, example, tokenizer, causal)


def _differ(one: nn.Module, other: nn.Module) -> bool:
    return tensors_sha256(one.state_dict()) != tensors_sha256(other.state_dict())


def _said(places: list[Any], name: str) -> Any:
    """What stands under a name at the first of these places that has it."""
    return next(
        (getattr(one, name) for one in places if getattr(one, name, None) is not None), None
    )


def _side(wish: Wish, shape: Any) -> int | None:
    """Pixels of the images, where the code does not say: as the user, or else the data, have it."""
    if wish.size or shape is not None:
        return wish.size or shape[-1]
    if wish.own is not None:
        return next(reversed(wish.own.seen_shape), None)
    dataset = DATASETS[wish.dataset] if wish.dataset else None
    return dataset.target.native_size if dataset and dataset.in_channels else None


def _shapes(source: Source, wish: Wish, sees: Preprocessing | None) -> list[tuple[int, ...]]:
    """What a network may take that does not say it, the likeliest first: grey or colour."""
    if wish.own is not None:
        first, *_, last = wish.own.seen_shape
        return [(one, wish.size or last, wish.size or last) for one in dict.fromkeys((first, 1, 3))]
    dataset = DATASETS[wish.dataset] if wish.dataset else None
    size = wish.size or (sees.crop if sees else dataset.target.native_size if dataset else None)
    channels = wish.channels or (dataset.in_channels if dataset else len(sees.mean) if sees else 0)
    if not channels or size is None:
        raise UserError(
            f"{source.label} does not say what it takes; choose ‹dataset›, as in "
            f"`frankenstein layers {source} -d fashion`, or write input_shape beside it: that of "
            "one example, such as (channels, height, width), or example_inputs: a batch as it "
            "takes it"
        )
    return [(one, size, size) for one in dict.fromkeys((channels, 1, 3))]


def _answering(module: nn.Module, source: Source, example: Any) -> int:
    """How many classes a network tells apart; 1 if it gives no row of numbers for an example.

    Raises:
        UserError: if it does not take the inputs.
    """
    was = module.training
    try:
        with torch.no_grad():
            answer = logits_of(called(module.eval(), example))
    except Exception as error:  # the user's own code
        raise UserError(not_taken(source.label, example, error)) from error
    finally:
        module.train(was)
    return answer.shape[1] if isinstance(answer, Tensor) and answer.ndim == 2 else 1


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
