"""A model of transformers, by its name or out of a folder."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from frankenstein.data.preprocessing import Preprocessing, processor_preprocessing
from frankenstein.data.tokenizers import Bytes, Tokenizer
from frankenstein.errors import UserError, counted
from frankenstein.files import FileError
from frankenstein.networks.sources.libraries import downloading, library
from frankenstein.networks.sources.wish import Opened, Wish, card_of, seeded, shaped
from frankenstein.source import Source
from frankenstein.zoo.weights import check_finite, load_weights, read_weights


def from_transformers(source: Source, wish: Wish) -> Opened:
    """The class that its config names, if transformers has it; no other code is run."""
    transformers = library("transformers")
    here = source.path is not None
    where = {"trust_remote_code": False, "local_files_only": here}
    with downloading(source.label):
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
        module = seeded(kind, source.seed or 0, config)
        if source.weights is not None:
            load_weights(module, read_weights(source.weights)[0], source.weights, source.label)
    else:
        if here:
            _check_pointers(Path(source.name))
        with downloading(source.label), _no_bars(transformers) if here else nullcontext():
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
    causal = tokenizer is not None and kind.__name__.endswith(("ForCausalLM", "LMHeadModel"))
    classes = config.num_labels if "Classification" in kind.__name__ else 1
    classes = config.vocab_size if causal else classes
    card = card_of(source.label, classes, channels, seed=source.seed, image_size=size)
    build = lambda seed: shaped(seeded(kind, seed, config), module)  # noqa: E731
    return Opened(module, card, sees, build, example, tokenizer, causal)


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
    except Exception:  # of several libraries, none of which says which
        made = None
    if made is None or len(made) <= len(made.all_special_ids):  # without files it knows no words
        return Bytes(longest) if config.vocab_size >= Bytes.size else None
    own = made.model_max_length if made.model_max_length < 10**9 else None
    limit = min((one for one in (longest, own) if one), default=None)
    pad = next((one for one in (made.pad_token_id, config.pad_token_id) if one is not None), 0)
    return ModelsOwn(f"the tokenizer of {source.name}", len(made), pad, limit, made)


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
    try:
        facts = json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError:
        raise FileError(f"{path} is no JSON; get it anew") from None
    return processor_preprocessing(facts, f"the processor of {source.label}")


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


def _check_pointers(folder: Path) -> None:
    """Weights that were never fetched, in one line."""
    for path in [*folder.glob("*.safetensors"), *folder.glob("*.bin")]:
        with path.open("rb") as file:
            if file.read(40).startswith(b"version https://git-lfs"):
                raise FileError(
                    f"{path} is a pointer of git-LFS, not the file itself; get it by `git lfs pull`"
                )
