"""Grafts as one file: the same network from it, bit for bit, and nothing that executes code."""

import io
import json
import pickle
import random
import zipfile
from contextlib import suppress
from dataclasses import replace

import pytest
import torch

from frankenstein.cli import main
from frankenstein.errors import FileError, UserError
from frankenstein.files import load_tensors, save_tensors
from frankenstein.networks.data import eyes_on, look_of, view_of
from frankenstein.stitching import StitchPlan, open_graft, open_stitching_pair, save_graft
from frankenstein.stitching.exported import save_exported
from frankenstein.stitching.pair import StitchedRun
from frankenstein.stitching.recipe import make_stitch
from frankenstein.surgery import seeing


def stitched(sender, sender_layer, receiver, receiver_layer, **options):
    layers = {"sender_layer": sender_layer, "receiver_layer": receiver_layer}
    plan = StitchPlan(sender=sender, receiver=receiver, **layers, **options)
    pair = open_stitching_pair(plan)
    units = pair.joint.source.units, pair.joint.target.units
    return StitchedRun(plan, pair, {"after": make_stitch(plan, *units).requires_grad_(False)})


@pytest.fixture(scope="module")
def one():
    """From a map of 32 units on one grid to one of 6 on another."""
    return stitched("tiny10#0", "bn3", "lenet#1", "conv1", family="batchnorm")


@pytest.mark.parametrize("ending", ["safetensors", "pt2"])
def test_a_graft_of_one_file_is_the_graft_bit_for_bit(ending, one, tmp_path):
    joint, images = one.pair.joint, torch.rand(3, 1, 32, 32)
    expected = joint.receiver.end(one.aligned("after").eval()(joint.sender.front(images)))
    network = open_graft(save_graft(one, "after", tmp_path / f"graft.{ending}"))
    assert torch.equal(network.module(images), expected)
    assert torch.equal(network.module.train()(images), expected) or ending == "safetensors"
    assert network.input_shape == (1, 32, 32)
    assert not any(x.requires_grad for x in network.module.parameters())


def test_a_file_holds_the_halves_and_no_more(one, tmp_path):
    tensors, _ = load_tensors(save_graft(one, "after", tmp_path / "graft.safetensors"))
    assert {"sender.conv3.weight", "receiver.fc1.weight", "stitch.weight"} <= set(tensors)
    assert not {"sender.conv4.weight", "receiver.conv1.weight"} & set(tensors)


@pytest.mark.parametrize("datasets", [("digits", "digits"), ("digits", "mnist")])
def test_a_graft_knows_how_the_sender_saw_its_images(datasets, one, tmp_path):
    names = dict(zip(("sender", "receiver"), datasets, strict=True))
    both = {
        role: replace(network, card=replace(network.card, dataset=names[role]))
        for role, network in (("sender", one.pair.sender), ("receiver", one.pair.receiver))
    }
    made = replace(one, pair=replace(one.pair, **both))
    network = open_graft(save_graft(made, "after", tmp_path / "graft.safetensors"))
    assert eyes_on(network) == eyes_on(both["sender"])
    images = torch.randint(0, 256, (2, 1, 8, 8), dtype=torch.uint8)
    seen = view_of(network, images)(images)
    torch.testing.assert_close(seen, view_of(both["sender"], images)(images))
    assert network.module(seen).shape == (2, 10)


def test_text_goes_into_safetensors_with_its_mask(tmp_path):
    one = stitched("gpt_tiny#0", "blocks.1", "gpt_tiny#1", "blocks.2", dataset="text")
    ids = torch.randint(0, 256, (2, 9))
    batch = {"input_ids": ids, "attention_mask": torch.tensor([[1] * 9, [1] * 5 + [0] * 4])}
    joint = one.pair.joint
    expected = joint.receiver.end(one.aligned("after")(joint.sender.front(**batch)))
    network = open_graft(save_graft(one, "after", tmp_path / "graft.safetensors"))
    assert torch.equal(network.module(**batch), expected)
    assert network.causal
    assert network.tokenizer == one.pair.sender.tokenizer
    with pytest.raises(UserError, match=r"no network of padded sentences; take \.safetensors"):
        save_graft(one, "after", tmp_path / "graft.pt2")


def test_a_run_is_made_one_file_and_evaluated(run, saved, tmp_path, capsys):
    pair, words = (saved("lenet", 0), saved("lenet", 1)), ("-e", "0", "-i", "ps_inv")
    folder = run("stitch", *pair, "relu2", "relu2", *words, "--untrained", "1")
    expected = json.loads((folder / "summary.json").read_text())
    path = str(tmp_path / "graft.safetensors")
    assert main(["graft", str(folder), "-o", path]) == 0
    assert capsys.readouterr().out == f"{path}\n"
    found = json.loads((run("evaluate", path) / "summary.json").read_text())
    assert found["accuracy"] == expected["accuracy/after"]
    # The run folds BatchNorm and the stitch into what is beside them.
    assert found["loss"] == pytest.approx(expected["loss/after"], rel=1e-5)
    assert main(["compare", path, saved("lenet")]) == 2
    assert "holds a graft of two networks; `frankenstein evaluate` takes" in capsys.readouterr().err
    assert main(["graft", str(folder), "-o", "graft.onnx"]) == 2
    assert "ends in .safetensors or .pt2, got graft.onnx" in capsys.readouterr().err


@torch.no_grad()
def accuracy(network, data):
    look, right = look_of(network, data), 0
    module = seeing(network.module, look)
    for images, labels in data.val_batches():
        right += (module(images).argmax(1) == labels).sum().item()
    return right / data.num_val


@pytest.mark.parametrize("family", ["affine", "conv3x3"])
def test_a_cell_of_a_matrix_becomes_a_graft_of_its_accuracy(
    family, run, saved, few_digits, tmp_path, capsys
):
    layers = ("--sender-layers", "conv1", "conv2", "--receiver-layers", "conv1", "conv2")
    words = ("--family", family, "-e", "1", "-lr", "0.01", "--seeds", "1", "--untrained", "1")
    folder = run("stitch", saved("lenet", 0), saved("lenet", 1), *layers, *words)
    expected = json.loads((folder / "summary.json").read_text())
    for s, t in [("conv1", "conv1"), ("conv1", "conv2"), ("conv2", "conv1"), ("conv2", "conv2")]:
        cell = StitchedRun.read_cell(folder, (s, t))
        network = open_graft(save_graft(cell, "after", tmp_path / f"{s}-{t}.safetensors"))
        assert accuracy(network, few_digits(image_size=32)) == expected[f"accuracy/trained/{s}/{t}"]
    if family == "affine":
        path = str(tmp_path / "solved.pt2")
        words = ("--cut", "conv2", "conv1", "--stitch", "ps_inv", "-o", path)
        assert main(["graft", str(folder), *words]) == 0
        assert capsys.readouterr().out == f"{path}\n"
        found = accuracy(open_graft(path), few_digits(image_size=32))
        assert found == expected["accuracy/solved/conv2/conv1"]


def test_cells_that_are_not_there_are_refused_in_a_line(run, saved, capsys, monkeypatch):
    def mistake(*words):
        assert main(["graft", *map(str, words)]) == 2
        said = capsys.readouterr()
        assert (said.out, said.err.count("\n")) == ("", 1)
        return said.err

    pair, layers = (saved("lenet", 0), saved("lenet", 1)), ("--sender-layers", "conv1", "fc1")
    words = ("-e", "0", "--untrained", "1", "--measures", "linear_cka")
    folder = run("stitch", *pair, *layers, *words, "--family", "orthogonal")
    for cut, expected in [
        (("conv1", "conv9"), "has no stitch from 'conv1' to 'conv9'; did you mean conv1 conv1?"),
        (("../..", "a"), "has no stitch from '../..' to 'a'; such as conv1 conv1"),
        (("fc1", "fc2"), "has no stitch from 'fc1' to 'fc2'; did you mean fc1 fc1?"),
        (("conv1",), "--cut takes a layer of the sender and one of the receiver, got conv1"),
        (("conv1", "conv1", "--stitch", "ps_inv"), "of the family orthogonal, none by ps_inv; "),
        (("conv1", "conv1", "--stitch", "before"), "a matrix keeps no stitch of before training"),
    ]:
        assert expected in mistake(folder, "-o", "a.safetensors", "--cut", *cut)
    assert "--cut SENDER_LAYER RECEIVER_LAYER\n" in mistake(folder, "-o", "a.pt2")
    single = run("stitch", *pair, "fc1", "fc1", *words)
    said = mistake(single, "-o", "a.pt2", "--cut", "a", "b")
    assert "is no matrix of stitches; leave --cut a b out" in said
    monkeypatch.setattr("frankenstein.stitching.matrix.kept._LARGEST", 1000)
    folder = run("stitch", *pair, *layers, *words)
    assert "The stitches are not kept: they hold" in (folder / "report.md").read_text()
    cut = ("--cut", "conv1", "conv1")
    assert "keeps no stitches; its report says why" in mistake(folder, "-o", "a.pt2", *cut)


class Bomb:
    def __reduce__(self):
        return exec, ("raise SystemExit('executed')",)


def archive(path, change):
    """The same file with changed members."""
    with zipfile.ZipFile(path) as file:
        parts = {name: file.read(name) for name in file.namelist()}
    change(parts)
    with zipfile.ZipFile(path, "w") as file:
        for name, part in parts.items():
            file.writestr(name, part)
    return path


def in_program(change):
    def changed(parts):
        program = json.loads(parts["graft/models/model.json"])
        change(program)
        parts["graft/models/model.json"] = json.dumps(program).encode()

    return changed


def first_step(key, value):
    return in_program(lambda p: p["graph_module"]["graph"]["nodes"][0].update({key: value}))


def pickled_weight(parts):
    name = "graft/data/weights/model_weights_config.json"
    parts[name] = parts[name].replace(b'"use_pickle": false', b'"use_pickle": true', 1)


def evil_size(program):
    value = {"as_expr": {"expr_str": "__import__('os').getcwd()", "hint": None}}
    program["graph_module"]["graph"]["sym_int_values"]["s0"] = value


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (pickled_weight, "tensors that are pickled, which may execute code"),
        (first_step("target", "torch.hub.load"), "'torch.hub.load' as target, which may execute"),
        (first_step("target", "torch.ops.aten.from_file.default"), "from_file.default' as target"),
        (first_step("target", "torch.ops.aten.save.default"), "save.default' as target"),
        (first_step("name", "x = exec('1')"), "as name, which may execute code"),
        (in_program(evil_size), r"as expr_str, which may execute code"),
        (lambda parts: parts.update({"graft/data/aotinductor/a.so": b""}), "holds 'data/aotind"),
        (lambda parts: parts.update({"graft/data/constants/opaque_obj_0": b""}), "'data/constants"),
        (lambda parts: parts.pop("graft/extra/frankenstein.json"), "is no graft that frankenstein"),
        (lambda parts: parts.update({"graft/models/model.json": b"{}"}), "no whole exported"),
    ],
)
def test_what_could_execute_code_is_refused_before_torch_reads_it(
    change, message, one, tmp_path, exported
):
    path = tmp_path / "graft.pt2"
    path.write_bytes(exported)
    with pytest.raises(FileError, match=message):
        open_graft(archive(path, change))


@pytest.fixture(scope="module")
def exported(one, tmp_path_factory):
    return save_graft(one, "after", tmp_path_factory.mktemp("graft") / "graft.pt2").read_bytes()


def test_damaged_files_are_refused_in_a_line_or_read_as_before(exported, tmp_path):
    path, draw = tmp_path / "graft.pt2", random.Random(0)
    for i in range(40):
        damaged = bytearray(exported)
        first = len(damaged) - 9000 if i % 2 else 0  # at times the directory of the archive
        damaged[draw.randrange(first, len(damaged))] ^= 1 << draw.randrange(8)
        if i % 4 == 0:
            cut = draw.randrange(len(damaged))
            del damaged[cut : cut + draw.randrange(1, 50)]
        path.write_bytes(damaged)
        with suppress(FileError):
            open_graft(path)
    for name, content in (("data/weights/model_weights_config", b'{"config": [1]}'), *WRONG):
        path.write_bytes(exported)
        wrong = {f"graft/{name}.json": content}
        with pytest.raises(FileError):
            open_graft(archive(path, lambda parts, wrong=wrong: parts.update(wrong)))


WRONG = [
    ("models/model", b'{"graph_module": {"module_call_graph": [1]}}'),
    ("extra/frankenstein", b'{"kind": "graft", "sender": 1}'),
    ("extra/frankenstein", b"[]"),
]


def test_what_is_not_needed_is_never_executed(exported, tmp_path):
    path = tmp_path / "graft.pt2"
    path.write_bytes(exported)

    def change(parts):
        parts["graft/data/sample_inputs/model.pt"] = pickle.dumps(Bomb())
        in_program(lambda p: p.update(guards_code=["raise SystemExit('executed')"]))(parts)

    open_graft(archive(path, change)).module(torch.rand(2, 1, 32, 32))
    assert b"/" not in zipfile.ZipFile(io.BytesIO(exported)).read("graft/models/model.json")


def test_files_that_hold_no_graft_are_refused_in_a_line(one, tmp_path, saved):
    path = save_graft(one, "after", tmp_path / "graft.safetensors")
    tensors, record = load_tensors(path)
    for wrong, message in [
        (record | {"layers": ["bn3", "nowhere"]}, "has no layer 'nowhere'"),
        (record | {"layers": ["bn2", "conv1"]}, "not those of the half of its sender"),
        (record | {"sender": record["sender"] | {"architecture": "code"}}, "unknown"),
        (record | {"sender": record["sender"] | {"architecture": "resnet20_w9999"}}, "too large"),
        (record | {"kind": "stitch"}, "holds no graft"),
        (record | {"sees": 3}, "sees"),
    ]:
        save_tensors(path, tensors, wrong)
        with pytest.raises(FileError, match=message):
            open_graft(path)
    with pytest.raises(FileError, match="holds no graft"):
        open_graft(saved("lenet"))
    with pytest.raises(FileError, match="is no exported program"):
        open_graft(path.rename(tmp_path / "a.pt2"))


def test_what_torch_cannot_export_is_said(tmp_path):
    class Chooses(torch.nn.Module):
        def forward(self, x):
            return x if x.sum() > 0 else -x

    with pytest.raises(
        FileError, match=r"torch cannot export this network: .*; take \.safetensors"
    ):
        save_exported(tmp_path / "a.pt2", Chooses(), (torch.ones(2),), {}, None, {})
    assert not (tmp_path / "a.pt2").exists()


def test_networks_of_code_and_recounted_ends_are_refused(one, tmp_path):
    own = replace(one.pair, sender=replace(one.pair.sender, source="nets.py:make"))
    with pytest.raises(UserError, match=r"sender, nets\.py:make, is built by code.*take \.pt2"):
        save_graft(StitchedRun(one.plan, own, one.stitches), "after", tmp_path / "a.safetensors")
    plan = replace(one.plan, recount=True)
    with pytest.raises(UserError, match="anew on data that no file holds"):
        save_graft(StitchedRun(plan, one.pair, one.stitches), "after", tmp_path / "a.safetensors")
