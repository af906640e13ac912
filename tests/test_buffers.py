import subprocess
import sys

import pytest

COUNT_FAULTS = """
import resource, torch
from frankenstein.buffers import keep_buffers
torch.set_num_threads(1)
{}
faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for step in range(12):
    began = faults() if step == 4 else began if step > 4 else 0
    kept = [torch.ones(20_000_000) for _ in range(3)]
    del kept
print(faults() - began)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="tells of glibc's malloc")
def test_a_second_batch_finds_the_memory_of_the_first():
    """Counted in page faults, the price of memory that is mapped anew."""

    def faults(call):
        code = COUNT_FAULTS.format(call)
        told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        return int(told.stdout)

    assert faults("keep_buffers()") < 0.5 * faults("")
