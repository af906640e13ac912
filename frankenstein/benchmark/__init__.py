"""Which measure can be trusted: networks that are known to differ, and what each measure says."""

from typing import TYPE_CHECKING

from frankenstein.lazy import lazy_names

if TYPE_CHECKING:  # imported when first asked for
    from frankenstein.benchmark.plan import BenchmarkPlan

__getattr__, __dir__, __all__ = lazy_names(__name__)
