import base64
import hashlib
import json
import os
import re
import sys
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
import torch
from torch import nn
from torch.optim.optimizer import register_optimizer_step_pre_hook

from frankenstein.catalog import DATASETS
from frankenstein.data import Digits

# rich asks for these: what it prints, here and in children, must not depend on who runs the tests.
for name in ("FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "COLUMNS", "LINES"):
    os.environ.pop(name, None)
os.environ["TERM"] = "xterm"

# The suite's tensors are small: a second thread waits more than it helps, on a busy machine most.
torch.set_num_threads(1)

# A fork's pool of threads is made anew by whoever asks first; two threads that ask at once (the
# first step and autograd's own) abort the process. So the child asks before it does anything.
os.register_at_fork(after_in_child=lambda: torch.set_num_threads(1))


def pytest_collection_modifyitems(items):
    # PyTorch's autograd fails in a fork of a process that has used it: these come first.
    items.sort(key=lambda item: "forks" not in item.keywords)
    if not torch.cuda.is_available():
        for item in items:
            if "gpu" in item.keywords:
                item.add_marker(pytest.mark.skip(reason="needs a GPU"))


@pytest.fixture(autouse=True, scope="session")
def _no_memory_of_earlier_runs(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FRANKENSTEIN_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True)
def _same_draw_in_every_order():
    torch.manual_seed(0)


class Small(nn.Module):
    """Two blocks of convolution, BatchNorm and ReLU on grey images of 8x8 pixels."""

    def __init__(self, widths=(4, 6), num_classes=10):
        super().__init__()
        self.input_shape = (1, 8, 8)
        self.conv1 = nn.Conv2d(1, widths[0], 3)
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(widths[0], widths[1], 3, stride=2)
        self.bn2 = nn.BatchNorm2d(widths[1])
        self.relu2 = nn.ReLU()
        self.fc = nn.Linear(widths[1] * 4, num_classes)

    def forward(self, x):
        x = self.relu1(self.bn1(self.conv1(x)))
        x = self.relu2(self.bn2(self.conv2(x)))
        return self.fc(x.flatten(1))


@pytest.fixture
def small_network():
    """Makes small networks with BatchNorm statistics of their own; the same one for a seed."""

    def make(seed, **options):
        generator = torch.Generator().manual_seed(seed)
        network = Small(**options)
        for name, tensor in network.state_dict().items():
            if "running_var" in name:
                tensor.uniform_(0.5, 1.5, generator=generator)
            elif tensor.is_floating_point():
                tensor.normal_(std=0.6, generator=generator)
        return network.eval()

    return make


@pytest.fixture(scope="session")
def spots():
    """Makes a data set of images whose bright place says their class."""
    from frankenstein.data import ImageData

    class Spots(ImageData):
        name = "spots"
        classes = tuple("0123456789")
        num_classes = len(classes)
        in_channels = 1
        native_size = 8
        mean, std = (0.5,), (0.25,)

        def load(self, split):
            size = {"train": 160, "test": 50}[split]
            generator = torch.Generator().manual_seed(size)
            labels = torch.arange(size) % 10
            images = torch.randint(60, (size, 1, 8, 8), dtype=torch.uint8, generator=generator)
            for image, label in zip(images, labels, strict=True):
                row, column = 3 * (label // 4), 2 * (label % 4)
                image[0, row : row + 2, column : column + 2] = 255
            return images, labels

    def make(batch_size=32, order_seed=0, eval_batch_size=16):
        return Spots(batch_size=batch_size, order_seed=order_seed, eval_batch_size=eval_batch_size)

    return make


@pytest.fixture
def fit(tmp_path):
    """Fits a task to data and returns the trainer; nothing is written unless asked for."""
    import pytorch_lightning as pl

    from frankenstein.data import ImageData
    from frankenstein.tasks import DataModule

    def run(task, data, epochs=1, only_validate=False, resume=None, **options):
        options = {
            "accelerator": "cpu",
            "logger": False,
            "enable_checkpointing": False,
            "num_sanity_val_steps": 0,
            "log_every_n_steps": 1,
            **options,
        }
        trainer = pl.Trainer(
            max_epochs=epochs,
            default_root_dir=tmp_path,
            enable_progress_bar=False,
            enable_model_summary=False,
            **options,
        )
        data = DataModule(data) if isinstance(data, ImageData) else data
        if only_validate:
            trainer.validate(task, data, verbose=False)
        else:
            trainer.fit(task, data, ckpt_path=resume, weights_only=True)
        return trainer

    return run


@pytest.fixture
def calls():
    """Counts how often a module runs: a list that grows by one name a call."""
    happened, handles = [], []

    def count(**modules):
        for name, module in modules.items():
            hook = module.register_forward_hook(lambda *_, name=name: happened.append(name))
            handles.append(hook)
        return happened

    yield count
    for handle in handles:
        handle.remove()


def _check_scripts(text, tree):
    """The page's own script is the only one that its policy lets a browser run; data are JSON."""
    ours = [one.text for one in tree.iter("script") if one.get("type") is None]
    for data in tree.iter("script"):
        assert not data.get("src")
        if data.get("type") == "application/json":
            json.loads(data.text)
    assert len(ours) == 1
    body = re.search(r"<script>(.*?)</script>", text, re.DOTALL)[1]
    seal = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
    assert f"script-src 'sha256-{seal}'" in text
    assert not re.search(r"https?://(?!www\.w3\.org/)|\beval\b|\bfetch\b|innerHTML", body)


@pytest.fixture
def check_page():
    """Checks that an HTML file is whole, has words for pictures, fetches nothing; its tree."""

    def check(path):
        text = path.read_text(encoding="utf-8")
        tree = ElementTree.fromstring(text.removeprefix("<!DOCTYPE html>"))  # strict, unlike HTML
        assert tree.get("lang") == "en"
        assert tree.findtext(".//title")
        assert len(list(tree.iter("h1"))) == 1
        ids = [element.get("id") for element in tree.iter() if element.get("id")]
        assert len(ids) == len(set(ids))
        for image in tree.iter("img"):
            assert image.get("alt")
            kinds = ("data:image/png;base64,iVBORw0KGgo", "data:image/webp;base64,UklGR")
            assert image.get("src").startswith(kinds)
        assert {element.get("src") for element in tree.iter() if element.tag != "img"} == {None}
        assert {link.get("href") for link in tree.iter("link")} == {"data:,"}
        for element in tree.iter("a"):
            if (target := element.get("href")).startswith("#"):
                assert target[1:] in ids
        styles = "".join(style.text for style in tree.iter("style"))
        assert not re.search(r"url\(|@import|https?:", styles)
        _check_scripts(text, tree)
        return tree

    return check


@pytest.fixture(scope="session")
def saved(tmp_path_factory):
    """Makes files of untrained networks of the zoo, each once."""
    from frankenstein.zoo import Card, build_network, save_network

    folder = tmp_path_factory.mktemp("networks")

    def make(architecture="lenet", seed=0, num_classes=10, in_channels=1, dataset="digits"):
        label = "" if dataset == "digits" else f"{dataset}-"
        path = folder / f"{architecture}-{label}{num_classes}-{in_channels}-in{seed}.safetensors"
        if not path.exists():
            network = build_network(architecture, num_classes, in_channels, init_seed=seed)
            card = Card(architecture, num_classes, in_channels, dataset, seed, seed, epochs=0)
            save_network(path, network, card)
        return str(path)

    return make


class FewDigits(Digits):
    """256 digits to train with and 60 held out."""

    def load(self, split):
        count = {"train": 256, "test": 60}[split]
        return tuple(part[:count] for part in super().load(split))


@pytest.fixture
def few_digits(monkeypatch, tmp_path):
    """A folder to work in, and few of the digits under their name; the class of these."""
    row = replace(DATASETS["digits"], where=f"{__name__}:{FewDigits.__name__}")
    monkeypatch.setitem(DATASETS, "digits", row)
    monkeypatch.chdir(tmp_path)
    return FewDigits


TESTS = Path(__file__).parent
DOT = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR42mP4DwABAQEAHLCMmQAAAABJRU5ErkJggg=="
)


@pytest.fixture
def blank_figures(monkeypatch):
    """Figures are laid out and drawn by nobody: each file of one is of a single dot."""

    def print_svg(canvas, file, **_):
        file.write('<svg xmlns="http://www.w3.org/2000/svg"></svg>')

    monkeypatch.setattr("matplotlib.figure.Figure.draw", lambda *_: None)
    # Ticks and numbers in cells are made before anything is drawn, and take longest to make.
    axis = "matplotlib.axis.Axis"
    for name in ("get_major_ticks", "get_minor_ticks", "_update_ticks"):
        monkeypatch.setattr(f"{axis}.{name}", lambda *_, **__: [], raising=False)
    lazy = "matplotlib.axis._LazyTickList.__get__"
    monkeypatch.setattr(lazy, lambda *_: [], raising=False)
    monkeypatch.setattr("frankenstein.report.matrices._write_cells", lambda *_, **__: None)
    monkeypatch.setattr("matplotlib.layout_engine.ConstrainedLayoutEngine.execute", lambda *_: None)
    agg, svg = "matplotlib.backends.backend_agg.FigureCanvasAgg", "matplotlib.backends.backend_svg"
    monkeypatch.setattr(f"{agg}.print_png", lambda _, file, **options: file.write(DOT))
    monkeypatch.setattr(f"{svg}.FigureCanvasSVG.print_svg", print_svg)
    pdf = "matplotlib.backends.backend_pdf.FigureCanvasPdf.print_pdf"
    monkeypatch.setattr(pdf, lambda _, file, **options: file.write(b"%PDF"))


@pytest.fixture(autouse=True)
def _figures_of_runs(request):
    """Most of a short run would go to figures; a test that looks at them is marked `drawn`."""
    room = request.path.relative_to(TESTS).parts[0]
    runs = {"cli", "networks", "stitching", "studies", "test_readme.py"}
    if room in runs and "drawn" not in request.keywords:
        request.getfixturevalue("blank_figures")


_heard = []  # what the one audit hook is for now: Python cannot take a hook out again
sys.addaudithook(lambda event, arguments, heard=_heard: [act(event, arguments) for act in heard])


@pytest.fixture
def at():
    """Acts at the n-th time that something happens, and returns what has happened, a growing list.

    "step" is a step of an optimizer, a class of modules a pass through one that does not train, and
    words such as "os.rename report.md" what Python asks of the system (an audit event), of a path
    that ends so.
    """
    handles = []

    def at(moment, number=0, act=None):
        happened = []

        def note(*what):
            happened.append(what[0])
            if len(happened) == number:
                act()

        if moment == "step":
            handles.append(register_optimizer_step_pre_hook(note))
        elif isinstance(moment, type):

            def passed(module, _):
                if type(module) is moment and not module.training:
                    note(module)

            handles.append(nn.modules.module.register_module_forward_pre_hook(passed))
        else:
            event, end = moment.split(" ", 1)

            def asked(this, arguments):
                paths = arguments[: 2 if this == "os.rename" else 1] if this == event else ()
                if any(str(path).endswith(end) for path in paths):
                    note(str(arguments[0]))

            _heard.append(asked)
        return happened

    yield at
    _heard.clear()
    for handle in handles:
        handle.remove()


@pytest.fixture
def run(few_digits, capsys):
    """Runs a command line to its end and returns the folder that it wrote."""
    from frankenstein.cli import main

    def command(*words):
        code = main([*map(str, words), "--quiet", "--accelerator", "cpu"])
        said = capsys.readouterr()
        assert (code, said.err) == (0, "")
        return Path(said.out.strip())

    return command


@pytest.fixture
def mistake(few_digits, capsys):
    """Runs a command line that cannot be done, checks how it ends, and returns what it says."""
    from frankenstein.cli import main

    def command(*words):
        words = [*map(str, words), "--quiet"]
        code = main(words if "--accelerator" in words else [*words, "--accelerator", "cpu"])
        said = capsys.readouterr()
        assert code == 2
        assert said.out == ""
        assert said.err.count("\n") == 1
        assert said.err.startswith(f"frankenstein {words[0]}: ")
        assert [path for path in Path("results").rglob("*") if path.is_file()] == []
        return said.err

    return command
