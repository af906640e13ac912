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


GIVE_BACK = """
import torch
from frankenstein.buffers import keep_buffers, kept_buffers
torch.set_num_threads(1)
def held():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096
def kept():
    before = held()
    with kept_buffers():
        buffer = torch.ones(20_000_000)
        del buffer
        inside = held()
    return inside - before > 60e6, held() - before > 60e6
print(*kept())
keep_buffers()
print(*kept())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="tells of glibc's malloc")
def test_at_its_end_a_pass_gives_back_what_it_kept_unless_the_process_keeps_it():
    told = subprocess.run([sys.executable, "-c", GIVE_BACK], capture_output=True, text=True)
    assert told.stdout.split() == ["True", "False", "True", "True"]
