"""Files that want to execute code, at every place that loads one; none may."""

import contextlib
import io
import os
import pickle
import zipfile

import pytest
import torch

from frankenstein.callbacks import WholeCheckpoints
from frankenstein.dictionaries import dictionary_facts, load_dictionary
from frankenstein.errors import PlanError, UserError
from frankenstein.files import load_tensors, read_sealed, write_sealed
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
