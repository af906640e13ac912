import runpy
from pathlib import Path

import pytest

FUZZ = runpy.run_path(str(Path(__file__).with_name("fuzz.py")))


@pytest.mark.parametrize("kind", FUZZ["KINDS"])
def test_a_few_mutants_of_every_file_are_refused_in_a_line_or_read_as_before(kind):
    few = 3 if kind in ("network", "snapshot", "state dict", "config of layers") else 25
    _, bad, slowest = FUZZ["campaign"](kind, few, seed=1)
    assert bad == []
    assert slowest < FUZZ["SECONDS"]
