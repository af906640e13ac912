"""Long names on an axis without what most of them begin with."""

import re
from collections import Counter
from collections.abc import Sequence
from itertools import accumulate

_LONG = 16  # letters that an axis has room for
_ARROW = " → "  # between the two layers of one name


def short_names(names: Sequence[str], label: str) -> tuple[list[str], str]:
    """Names for an axis and its label, which says what "…" stands for; short ones as they are.

    Dropped is the longest beginning, up to a dot, that more than half of the dotted names share.

    >>> short_names(["bert.encoder.layer.0", "bert.encoder.layer.1", "cut"], "layer")
    (['…0', '…1', 'cut'], 'layer (… is bert.encoder.layer.)')
    >>> short_names(["blocks.0", "blocks.1"], "layer")
    (['blocks.0', 'blocks.1'], 'layer')
    """
    layers = {part for name in names for part in name.split(_ARROW)}
    dotted = [layer.split(".")[:-1] for layer in layers if "." in layer]
    shared = Counter(
        start for parts in dotted for start in accumulate(f"{part}." for part in parts)
    )
    common = max((s for s, n in shared.items() if 2 * n > len(dotted) > 1), key=len, default="")
    if not common or max(map(len, layers)) <= _LONG:
        return [*names], label
    short = [re.sub(rf"(?<![^ ]){re.escape(common)}", "…", name) for name in names]
    if len({*short}) < len({*names}):
        return [*names], label
    return short, f"{label} (… is {common})".lstrip()
