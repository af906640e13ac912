"""Records that somebody edited: one line, quickly, whatever they hold."""

import json
import os
import pickle
import time
import zipfile
from itertools import pairwise

import pytest
import torch

from frankenstein.dictionaries import Dictionary, load_dictionary, save_dictionary
from frankenstein.errors import FileError, PlanError
from frankenstein.files import load_tensors, save_tensors
from frankenstein.records import check_fields, read_json, read_yaml
from frankenstein.report.labelled import LabelledMatrix
from frankenstein.runs.plan import read_values
from frankenstein.stitches import Affine, load_stitch, save_stitch
from frankenstein.training.plan import TrainPlan
from frankenstein.zoo import build_network, load_network, read_card
from frankenstein.zoo.weights import named_as

CARD = {"kind": "network", "architecture": "mlp", "num_classes": 10, "in_channels": 1}
UNKNOWN = dict.fromkeys(("dataset", "init_seed", "order_seed", "epochs"))

LAUGHS = "a: &a [1]\n" + "".join(
    f"{name}: &{name} [{f'*{before},' * 9}]\n" for before, name in pairwise("abcdefg")
)


@pytest.fixture
def written(tmp_path):
    def write(content):
        path = tmp_path / "file"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1:30\nb: 010\nc: 2001-99-99\nd: .inf", ["1:30", "010", "2001-99-99", ".inf"]),
        ("a: 1\nb: -2.5\nc: 1.0e-05\nd: 9223372036854775807", [1, -2.5, 1e-5, 2**63 - 1]),
        ("a: null\nb: ~\nc: yes\nd: False", [None, None, True, False]),
        ("a: 'null'\nb: '1'\nc: \"yes\"\nd: 1e3", ["null", "1", "yes", "1e3"]),
        ("a: &one {x: 1}\nb: *one\nc: [*one]\nd: {<<: *one, y: 2}",
         [{"x": 1}, {"x": 1}, [{"x": 1}], {"x": 1, "y": 2}]),
        ("a: {<<: [{x: 1}, {x: 2, y: 3}], z: 4}", [{"x": 1, "y": 3, "z": 4}]),
    ],
)  # fmt: skip
def test_a_word_of_yaml_is_what_it_says_and_nothing_else(written, text, expected):
    assert list(read_yaml(written(text)).values()) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (LAUGHS, "at line .*: more than 100,000 values, aliases written out"),
        ("a: &a [*a]", "is nested too deeply"),
        ("a: " + "[" * 41, "is not YAML"),
        ("a: " + "[" * 41 + "]" * 41, "is nested too deeply"),
        ("a: " + "[" * 20_000, "is nested too deeply"),
        ("a: !!int x", "at line 1: tag:yaml.org,2002:int is no plain value"),
        ("a: !!python/name:os.system", "at line 1: "),
        ("[a, b]: 3", "at line 1: a key is a name"),
        ("<<: 3", "at line 1: << takes mappings"),
        ("a: 1\n---\na: 2", "found another document"),
        ("a: " + "x" * 200_000, "is longer than 200,000 bytes, which no such file is"),
    ],
)  # fmt: skip
def test_yaml_that_multiplies_recurs_or_names_types_is_told_quickly(written, text, expected):
    began = time.process_time()
    with pytest.raises(FileError, match=expected):
        read_yaml(written(text))
    assert time.process_time() - began < 5


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("epochs: 1:30", "epochs in .* takes a whole number, got '1:30'"),
        ("epochs: " + "9" * 5000, r"takes a whole number, got '9{59}\.\.\. \(5,002 characters\)"),
        ("keep_epochs: " + "9" * 5000, r"takes epochs from 0 to epochs 300, .* got '9{59}\.\.\. "),
        ("run_name: 2001-99-99", None),
        ("lr: .inf", r"lr in .* takes a number, got '\.inf'"),
        ("data_root: \"a\\0b\"", r"data_root in .* is text in UTF-8, of one line, got 'a\\x00b'"),
        ("out_dir: \"a\\nb\"", r"out_dir in .* is text in UTF-8, of one line, got 'a\\nb'"),
    ],
)  # fmt: skip
def test_a_value_of_another_kind_is_told_by_its_field(written, text, expected):
    if expected is None:
        assert read_values(TrainPlan, written(text)) == {"run_name": "2001-99-99"}
        return
    with pytest.raises(PlanError, match=expected):
        TrainPlan(dataset="digits", **read_values(TrainPlan, written(text)))


def test_an_infinite_number_is_refused_in_python_too():
    with pytest.raises(PlanError, match="lr must be a finite number, got inf"):
        TrainPlan(dataset="digits", lr=float("inf"))


@pytest.mark.parametrize(
    "content",
    [b"[1]", b"{", b"", b"\xff", b"[" * 100_000, b'{"a":' * 60 + b"1" + b"}" * 60,
     b'{"a": "\\uD800"}', b'{"a": ' + b"9" * 5000 + b"}", b'{"a": 1' + b"0" * 30 + b"}"],
)  # fmt: skip
def test_what_is_no_json_record_is_told(written, content):
    with pytest.raises(FileError, match="file is damaged: it is no JSON object"):
        read_json(written(content))


def test_what_is_no_file_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zeros").symlink_to("/dev/zero")
    for name in ("zeros", "pipe"):
        with pytest.raises(FileError, match=f"{name} is a pipe or a device, and a file is wanted"):
            read_json(tmp_path / name)
    with pytest.raises(FileError, match="is a folder, and a file is wanted"):
        read_json(tmp_path)
    with pytest.raises(FileError, match="is longer than"):
        read_yaml(tmp_path / "zeros", streams=True)
    with pytest.raises(FileError, match="none cannot be read: No such file"):
        read_json(tmp_path / "none")


def test_a_field_of_another_type_is_told_by_name():
    check_fields({"a": 1, "b": None, "c": 2}, {"a": int, "b": str | None, "c": float}, "it")
    for record, expected in {
        "a": "it: a must be a whole number, got null",
        "b": "it: a must be a whole number, got True",
    }.items():
        with pytest.raises(FileError, match=expected):
            check_fields({"a": {"a": None, "b": True}[record]}, {"a": int}, "it")
    with pytest.raises(FileError, match="it: b must be text or null, got 3"):
        check_fields({"b": 3}, {"b": str | None}, "it")


def sealed(path, record):
    """As save_tensors writes it, with a record that nobody would write."""
    from safetensors.torch import save

    from frankenstein.files import _checksum

    tensors = build_network("mlp", init_seed=0).state_dict()
    if isinstance(record, dict):
        record = json.dumps({**record, "sha256": _checksum(tensors, record)})
    path.write_bytes(save(tensors, metadata={"frankenstein": record}))
    return path


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("[1]", "the record in .* is damaged: it is no JSON object"),
        ("[" * 10_000, "the record in .* is damaged: it is no JSON object"),
        ({"architecture": 5}, "the card in .*: architecture must be text, got 5"),
        ({"num_classes": -3}, "at least one class, and no channel but of text"),
        ({"num_classes": True}, "num_classes must be a whole number, got True"),
        ({"num_classes": 10**9}, r"does not fit its architecture mlp: .*size mismatch for fc3"),
        ({"architecture": "resnet20_w100000"}, "does not fit its architecture resnet20_w100000: "),
        ({"architecture": "resnet20_w" + "9" * 12}, "does not fit its architecture resnet20_w9"),
        ({"image_size": "x"}, "image_size must be a whole number or null, got 'x'"),
        ({"weights": 3}, "weights must be text or null, got 3"),
    ],
)
def test_a_card_is_checked_before_anything_of_its_size_is_built(tmp_path, change, expected):
    record = change if isinstance(change, str) else {**CARD, **UNKNOWN, **change}
    path = sealed(tmp_path / "a.safetensors", record)
    began = time.process_time()
    for read in (load_network, read_card):
        with pytest.raises(FileError, match=expected):
            read(path)
    assert time.process_time() - began < 5


@pytest.mark.parametrize("units", [-3, 10**9, "x", None, [3]])
def test_a_stitch_and_a_dictionary_are_compared_before_they_are_built(tmp_path, units):
    for load, path, change in (
        (load_stitch, save_stitch(tmp_path / "a.safetensors", Affine(5, 3)),
         {"in_channels": units}),
        (load_dictionary, save_dictionary(tmp_path / "b.safetensors", Dictionary(4, 8, k=2)),
         {"options": {"units": units, "features": units, "k": 2}}),
    ):  # fmt: skip
        tensors, record = load_tensors(path)
        save_tensors(path, tensors, {**record, **change})
        with pytest.raises(FileError, match=r"does not hold the .* that it says: "):
            load(path)


def test_a_header_of_gigabytes_is_not_read(tmp_path):
    path = tmp_path / "a.safetensors"
    path.write_bytes((10**9).to_bytes(8, "little") + b"{}")
    with pytest.raises(FileError, match="is not a whole safetensors file"):
        load_tensors(path)


def test_the_names_of_many_tensors_are_compared_quickly():
    tensors = {f"w{i}.x": torch.zeros(0) for i in range(20_000)}
    began = time.process_time()
    assert named_as(["x"], tensors | {"w7.y": torch.zeros(0)})[0].keys() == {"x"}
    assert time.process_time() - began < 5


class Filled:
    def __reduce__(self):
        return bytearray, (5 * 10**8,)


def bombs(folder):
    """Small files of which torch.load would make gigabytes, each with its name."""
    one = torch.zeros(1)
    torch.save({"a": one.expand(10**5, 10**5)}, folder / "expanded.pt")
    old = {"_use_new_zipfile_serialization": False}
    torch.save({"a": one.expand(10**5, 10**5)}, folder / "expanded-old.pt", **old)
    torch.save({"a": torch.empty(10**5, 10**5, device="meta")}, folder / "nowhere.pt")
    (folder / "filled-old.pt").write_bytes(pickle.dumps({"a": Filled()}, 2))
    for name, packing, pickled in (
        ("filled.pt", zipfile.ZIP_STORED, pickle.dumps({"a": Filled()}, 2)),
        ("packed.pt", zipfile.ZIP_DEFLATED, pickle.dumps({"a": "x" * 10**7}, 2)),
    ):
        with zipfile.ZipFile(folder / name, "w", packing) as archive:
            archive.writestr("archive/data.pkl", pickled)
            archive.writestr("archive/version", b"3\n")
    return sorted(folder.glob("*.pt"))


def test_a_pickle_that_expands_is_refused_before_it_does(tmp_path):
    import resource

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for path in bombs(tmp_path):
        with pytest.raises(FileError, match=rf"{path.name} cannot be read \(ValueError\)"):
            load_network(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kB


@pytest.mark.parametrize(
    "text", ["", "x", '"', "sender \\ receiver: linear_cka, pooled, 9 examples,a\nb,1,2",
             "sender \\ receiver: nothing, pooled, 9 examples,a\nb,1",
             f"sender \\ receiver: linear_cka, pooled, {'9' * 5000} examples,a\nb,1"],
)  # fmt: skip
def test_what_is_no_matrix_of_layers_is_told(written, text):
    with pytest.raises(FileError, match="holds no matrix of layers; run compare again"):
        LabelledMatrix.from_csv(written(text))
