import pytest
import torch

# The suite's tensors are small: a second thread waits more than it helps, on a busy machine most.
torch.set_num_threads(1)


def pytest_collection_modifyitems(items):
    if not torch.cuda.is_available():
        for item in items:
            if "gpu" in item.keywords:
                item.add_marker(pytest.mark.skip(reason="needs a GPU"))


@pytest.fixture(autouse=True)
def _same_draw_in_every_order():
    torch.manual_seed(0)
