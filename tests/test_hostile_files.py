"""Files that want to execute code, at every place that loads one; none may."""

import contextlib
import io
import os
import pickle
import sys
import zipfile

import pytest
import torch

from frankenstein.callbacks import WholeCheckpoints
from frankenstein.cli import main
from frankenstein.dictionaries import dictionary_facts, load_dictionary
from frankenstein.errors import PlanError, UserError
from frankenstein.files import load_tensors, read_sealed, write_sealed
from frankenstein.runs import Run
from frankenstein.runs.plan import read_values
from frankenstein.stitches import load_stitch, stitch_facts
from frankenstein.stitching import StitchPlan
from frankenstein.stitching.matrix.results import Cells
from frankenstein.training.plan import TrainPlan
from frankenstein.zoo import load_network, read_card


class Call:
    """What a pickle of this does when it is loaded."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


class Filled(Call):
    """Its function is called not to make the object, a text, but to fill it."""

    def __reduce__(self):
        function, (text,) = self.call
        return str, (text,), 0o777, None, None, function


def opcodes(template):
    """A pickle written by hand."""
    return lambda folder: template.replace("FOLDER", folder).encode()


def of(make):
    return lambda folder: pickle.dumps(make(folder))


def nested(folder):
    return pickle.dumps(Call(torch.storage._load_from_bytes, legacy(of_mkdir(folder))))


def of_mkdir(folder):
    return pickle.dumps(Call(os.mkdir, folder))


def legacy(pickled):
    """What torch.save wrote before it wrote zip archives."""
    head = [0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}]
    return b"".join(pickle.dumps(part, 2) for part in head) + pickled


KINDS = {
    "os.mkdir": of_mkdir,
    "os.system": of(lambda folder: Call(os.system, f"mkdir {folder}")),
    "eval": of(lambda folder: Call(eval, f"__import__('os').mkdir({folder!r})")),
    "exec": of(lambda folder: Call(exec, f"import os; os.mkdir({folder!r})")),
    "subprocess": of(lambda folder: Call(__import__("subprocess").call, ["mkdir", folder])),
    "timeit": of(lambda folder: Call(__import__("timeit").timeit, f"os.mkdir({folder!r})",
                                     "import os", __import__("timeit").default_timer, 1)),
    "state setter": of(lambda folder: Filled(os.mkdir, folder)),
    "nested torch.load": nested,
    "by global": opcodes("cos\nmkdir\n(S'FOLDER'\ntR."),
    "by inst": opcodes("(S'FOLDER'\nios\nmkdir\n."),
    "by obj": opcodes("(cos\nmkdir\nS'FOLDER'\no."),
    "getattr chain": opcodes(
        "cbuiltins\ngetattr\n(cbuiltins\n__import__\n(S'os'\ntRS'mkdir'\ntR(S'FOLDER'\ntR."
    ),
}  # fmt: skip


@pytest.fixture(params=KINDS)
def attack(request, tmp_path):
    """A pickle, and the folder that it makes if it is let."""
    folder = tmp_path / "done"
    return KINDS[request.param](str(folder)), folder


def zipped(pickled):
    """As torch.save writes it now."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in {
            "data.pkl": pickled,
            "version": b"3\n",
            "byteorder": b"little",
        }.items():
            archive.writestr(f"archive/{name}", content)
    return buffer.getvalue()


WRAPPINGS = {"bare": bytes, "old": legacy, "new": zipped}
PLACES = {  # what a program may be given, by the name that the file has
    "network.pt": (load_network, read_card),
    "network.pth": (load_network, read_card),
    "network.safetensors": (load_network, read_card, load_tensors),
    "stitch.safetensors": (load_stitch, stitch_facts),
    "dictionary.safetensors": (load_dictionary, dictionary_facts),
    "last.ckpt": (WholeCheckpoints().load_checkpoint, read_sealed),
}


def test_every_attack_works_where_it_is_let(attack, monkeypatch):
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    pickled, folder = attack
    with contextlib.suppress(EOFError):  # what torch misses behind a pickle that it has obeyed
        pickle.loads(pickled)
    assert folder.is_dir()


@pytest.mark.parametrize("forced", ["0", "1"])
def test_no_place_executes_what_it_loads(attack, tmp_path, monkeypatch, forced):
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", forced)
    pickled, folder = attack
    for wrap in WRAPPINGS.values():
        for name, readers in PLACES.items():
            path = tmp_path / name
            path.write_bytes(wrap(pickled))
            for read in readers:
                with pytest.raises(UserError, match=name):
                    read(path)
        sealed = write_sealed(tmp_path / "last.ckpt", wrap(pickled))  # by somebody who knows how
        with pytest.raises(UserError, match=r"last\.ckpt holds more than tensors"):
            WholeCheckpoints().load_checkpoint(sealed, weights_only=False)
        cells = Cells(tmp_path)
        write_sealed(tmp_path / "cells" / "solved-0-a.json", wrap(pickled))
        with pytest.raises(UserError, match=r"solved-0-a\.json"):
            cells["solved", 0, "a"]
    assert not folder.exists()


@pytest.mark.parametrize(
    "value",
    [
        "!!python/object/apply:os.mkdir [FOLDER]",
        "!!python/object/new:os.mkdir [FOLDER]",
        "!!python/object/apply:builtins.exec ['import os; os.mkdir(\"FOLDER\")']",
        "!!python/object/apply:subprocess.call [[mkdir, FOLDER]]",
        "!!python/name:os.mkdir",
        "!!python/module:os",
        "os.mkdir('FOLDER')",
        "torchvision/__import__",
        "{class_path: os.mkdir, init_args: {path: FOLDER}}",
    ],
)
@pytest.mark.parametrize("key", ["model", "dataset", "optimizer", "epochs", "devices"])
@pytest.mark.parametrize("plan", [TrainPlan, StitchPlan])
def test_a_config_cannot_name_code(tmp_path, value, key, plan):
    folder, path = tmp_path / "done", tmp_path / "run.yaml"
    path.write_text(f"{key}: {value}".replace("FOLDER", str(folder)))
    try:
        values = read_values(plan, path)
    except PlanError as error:
        assert str(path) in str(error)  # noqa: PT017
    else:  # a word without meaning to Python, which the run itself will not know
        assert isinstance(values[key], str)
    assert not folder.exists()


EVIL = """
import os
from torch import nn

os.makedirs("done", exist_ok=True)


def make():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
"""


@pytest.fixture
def evil(tmp_path, monkeypatch):
    """A folder with code that leaves a folder when it is run, which is where one is."""
    (tmp_path / "evil.py").write_text(EVIL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "evil", raising=False)
    return tmp_path / "done"


SPOKEN = {
    "compare": "sender: {code}\nreceiver: mlp#0\ndataset: digits",
    "stitch": "sender: mlp#0\nreceiver: {code}\nsender_layer: fc1\nreceiver_layer: '1'",
    "evaluate": "subject: {code}\ndataset: digits",
    "analyze": "sender: mlp#0\nreceiver: mlp#1\nmore: [mlp#2, '{code}']\nweights: true",
    "layers": "name: {code}",
}
STEPS = (
    "compare mlp#0 {code} -d digits",
    "{{compare: {{sender: mlp#0, receiver: '{code}', dataset: digits}}}}",
    "compare --config other.yaml",
    "compare --config other.yaml --allow-code",
    "{{evaluate: {{subject: mlp#0, allow_code: true}}}}",
)


@pytest.mark.parametrize("code", ["evil.py:make#0", "evil:make", "./evil.py:make@weights.pt"])
def test_a_config_or_a_study_that_names_code_is_refused_by_name(evil, capsys, code):
    (evil.parent / "other.yaml").write_text(SPOKEN["compare"].format(code=code))
    configs = {**SPOKEN, **{step: f"steps:\n- {step}" for step in STEPS}}
    for said, text in configs.items():
        verb = "study" if text.startswith("steps") else said
        (evil.parent / "a.yaml").write_text(text.format(code=code))
        assert main([verb, "--config", "a.yaml"]) == 2
        message = capsys.readouterr().err
        assert message.count("\n") == 1
        assert "--allow-code" in message or "allow_code in other.yaml" in message
        assert "a.yaml" in message or "other.yaml" in message
    for key in ("compare", "evaluate"):  # no file may say that it is allowed
        (evil.parent / "a.yaml").write_text(f"{SPOKEN[key]}\nallow_code: true".format(code="mlp#0"))
        assert main([key, "--config", "a.yaml"]) == 2
        assert "allow_code in a.yaml is yours to say and no file's" in capsys.readouterr().err
    assert not evil.exists()


def test_code_runs_where_it_is_named_or_allowed_and_no_record_of_a_run_can_name_it(evil, capsys):
    (evil.parent / "a.yaml").write_text(SPOKEN["evaluate"].format(code="evil.py:make#0"))
    words = ["--quiet", "--accelerator", "cpu", "--run-name"]
    assert main(["evaluate", "--config", "a.yaml", "--allow-code", *words, "one"]) == 0
    assert evil.is_dir()
    evil.rmdir()
    sys.modules.pop(next(name for name in sys.modules if name.endswith("evil_py")))
    run = Run.read("results/evaluate/one")
    assert run.plan.subject == "evil.py:make#0"
    with pytest.raises(
        UserError, match=r"subject in .*run\.json names code, evil\.py:make, which wou"
    ):
        run.plan.run()
    with pytest.raises(
        UserError, match=r"made by code, evil\.py:make; read it, and then say allow"
    ):
        run.network("subject")
    assert main(["evaluate", "--config", "results/evaluate/one/config.yaml", *words, "two"]) == 2
    assert not evil.exists()
    assert main(["evaluate", "evil.py:make#0", "-d", "digits", *words, "two"]) == 0
    assert evil.is_dir()
    assert run.network("subject", allow_code=True).sha256 == run.networks["subject"]["sha256"]
    assert "--allow-code" in (run.folder / "report.md").read_text()
