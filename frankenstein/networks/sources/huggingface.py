"""A model of transformers, by its name or out of a folder."""

import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from frankenstein.data.preprocessing import Preprocessing, processor_preprocessing
from frankenstein.data.tokenizers import Bytes, Tokenizer
from frankenstein.errors import UserError, counted
from frankenstein.files import FileError
from frankenstein.networks.sources.libraries import downloading, library, told_by_library
from frankenstein.networks.sources.wish import Opened, Wish, card_of, seeded, shaped
from frankenstein.records import check_fields, cut, read_json, shown
from frankenstein.source import Source
from frankenstein.zoo.weights import check_finite, load_weights, read_weights

# Of a config, where it has them: a library takes whatever a file says.
_NUMBERS: dict[str, Any] = dict.fromkeys(
    ("vocab_size", "num_channels", "max_position_embeddings", "n_ctx", "pad_token_id"), int | None
)
_TOKENIZERS = "tokenizer_config.json", "tokenizer.json"


def from_transformers(source: Source, wish: Wish) -> Opened:
    """The class that its config names, if transformers has it; no other code is run."""
    transformers = library("transformers")
    here = source.path is not None
    where = {"trust_remote_code": False, "local_files_only": here}
    with downloading(source.label):
        config = transformers.AutoConfig.from_pretrained(source.name, **where)
    made_by = config.architectures or []
    if not isinstance(made_by, list) or not all(isinstance(name, str) for name in made_by):
        raise FileError(f"{source.label}: architectures are a list of names, got {shown(made_by)}")
    check_fields({name: getattr(config, name, None) for name in _NUMBERS}, _NUMBERS, source.label)
    kinds = [getattr(transformers, name, None) for name in made_by]
    base = transformers.PreTrainedModel  # nothing else that a file names is called
    models: list[Any] = [o for o in kinds if isinstance(o, type) and issubclass(o, base)]
    kind = next(iter(models), None)
    if kind is None:
        raise UserError(
            f"{source.label} is made by {cut(', '.join(made_by)) or 'nothing named'}, "
            "which transformers does not have; code that comes with a model is never run"
        )
    if source.seed is not None or source.weights is not None:
        with told_by_library(source.label):
            module = seeded(kind, source.seed or 0, config)
        if source.weights is not None:
            load_weights(module, read_weights(source.weights)[0], source.weights, source.label)
    else:
        if here:
            _check_pointers(Path(source.name))
        with downloading(source.label), _quiet(transformers, bars=not here):
            module, info = kind.from_pretrained(
                source.name, config=config, dtype=torch.float32, output_loading_info=True, **where
            )
        if missing := sorted(info["missing_keys"]):
            raise FileError(
                f"{source.label} holds no weights for {counted(len(missing), 'tensor')} of its own "
                f"{kind.__name__}: {', '.join(missing[:3])}"
            )
        check_finite(module, module.state_dict(), source.label)
    sees, example, tokenizer, size = None, {}, None, getattr(config, "image_size", None)
    channels = getattr(config, "num_channels", 3)
    if getattr(config, "vocab_size", None) and size is None:
        ids = torch.arange(2 * 8).view(2, 8) % config.vocab_size
        example = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        module.example_inputs = example
        tokenizer = _tokenizer(transformers, source, config, where)
    else:
        sees = _processor(transformers, source, where)
        size = wish.size or (sees.crop if sees else size if isinstance(size, int) else 224)
        module.input_shape = (channels, size, size)
    _check_alone(module, example, source.label)
    causal = tokenizer is not None and is_causal(kind)
    classes = config.num_labels if "Classification" in kind.__name__ else 1
    classes = config.vocab_size if causal else classes
    card = card_of(source.label, classes, channels, seed=source.seed, image_size=size)
    build = lambda seed: shaped(seeded(kind, seed, config), module)  # noqa: E731
    return Opened(module, card, sees, build, example, tokenizer, causal)


def _check_alone(module: torch.nn.Module, example: Mapping[str, Any], label: str) -> None:
    """Refuse a model that cannot be called with images alone, or with sentences alone."""
    parameters = inspect.signature(module.forward).parameters.values()
    needed = [
        one.name
        for one in parameters
        if one.default is one.empty and one.kind is one.POSITIONAL_OR_KEYWORD
    ]
    if {*needed[0 if example else 1 :]} - {*example}:
        raise UserError(
            f"{label} is a {type(module).__name__}, which wants {' and '.join(needed)} together; a "
            "command gives a network images or sentences, not both; name a model that takes one "
            "of them, or in Python give `cut` its inputs: inputs={...}"
        )


@dataclass(frozen=True)
class ModelsOwn:
    """The tokenizer that comes with a model."""

    name: str
    size: int
    pad: int
    limit: int | None
    made: Any = field(repr=False, compare=False)

    def encode(self, sentences: Sequence[str]) -> list[list[int]]:
        """With its own first and last token, such as [CLS] and [SEP]."""
        options = {"truncation": True, "max_length": self.limit} if self.limit else {}
        return self.made([*sentences], padding=False, **options)["input_ids"]


def _tokenizer(
    transformers: Any, source: Source, config: Any, where: dict[str, Any]
) -> Tokenizer | None:
    """The one beside a model; where there is none, bytes, if the model has tokens enough."""
    longest = getattr(config, "max_position_embeddings", None) or getattr(config, "n_ctx", None)
    try:
        made = transformers.AutoTokenizer.from_pretrained(source.name, **where)
    except Exception as error:  # of several libraries, none of which says which
        if _has_tokenizer(transformers, source, where):
            reason = " ".join(str(error).split())[:300]
            raise UserError(f"the tokenizer of {source.label} cannot be read: {reason}") from None
        made = None
    if made is None or len(made) <= len(made.all_special_ids):  # without files it knows no words
        return Bytes(longest) if config.vocab_size >= Bytes.size else None
    return models_own(f"the tokenizer of {source.name}", made, longest, config.pad_token_id)


def models_own(name: str, made: Any, longest: int | None, pad: int | None = None) -> ModelsOwn:
    """A tokenizer of transformers, for a model that takes so many tokens at most."""
    most = made.model_max_length
    own = most if isinstance(most, int) and 0 < most < 10**9 else None
    limit = min((one for one in (longest, own) if one), default=None)
    padding = next((one for one in (made.pad_token_id, pad) if one is not None), 0)
    return ModelsOwn(name, len(made), padding, limit, made)


def is_causal(kind: type) -> bool:
    """Whether a class of transformers is a model that says what the next token is."""
    return kind.__name__.endswith(("ForCausalLM", "LMHeadModel"))


def _has_tokenizer(transformers: Any, source: Source, where: dict[str, Any]) -> bool:
    """Whether there are files of one, which must not be taken for none."""
    where = {
        "local_files_only": where["local_files_only"],
        "_raise_exceptions_for_missing_entries": False,
    }
    with downloading(source.label):
        return any(
            transformers.utils.cached_file(source.name, name, **where) for name in _TOKENIZERS
        )


def _processor(transformers: Any, source: Source, where: dict[str, Any]) -> Preprocessing | None:
    """What the image processor beside a model does; None if there is none."""
    where = {
        "local_files_only": where["local_files_only"],
        "_raise_exceptions_for_missing_entries": False,
    }
    with downloading(source.label):
        path = transformers.utils.cached_file(source.name, "preprocessor_config.json", **where)
    if path is None:
        return None
    return processor_preprocessing(read_json(Path(path)), f"the processor of {source.label}")


@contextmanager
def _quiet(transformers: Any, bars: bool) -> Iterator[None]:
    """Without tables of what does not fit, which an error says; downloads keep their bars."""
    logs = transformers.utils.logging
    level, had_bars = logs.get_verbosity(), logs.is_progress_bar_enabled()
    logs.set_verbosity_error()
    if not bars:
        logs.disable_progress_bar()
    try:
        yield
    finally:
        logs.set_verbosity(level)
        if had_bars:
            logs.enable_progress_bar()


def _check_pointers(folder: Path) -> None:
    """Weights that were never fetched, in one line."""
    for path in [*folder.glob("*.safetensors"), *folder.glob("*.bin")]:
        with path.open("rb") as file:
            if file.read(40).startswith(b"version https://git-lfs"):
                raise FileError(
                    f"{path} is a pointer of git-LFS, not the file itself; get it by `git lfs pull`"
                )
