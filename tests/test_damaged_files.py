"""300 flipped bits and 20 truncations of every kind of file that weights or numbers come from."""

import hashlib
import random
import struct
import warnings
import zipfile

import pytest
import torch

from frankenstein.activations.formats import contents_of
from frankenstein.callbacks import WholeCheckpoints
from frankenstein.dictionaries import (
    CrosscoderDictionary,
    Dictionary,
    load_crosscoder,
    load_dictionary,
    save_crosscoder,
    save_dictionary,
)
from frankenstein.errors import UserError
from frankenstein.files import FileError, save_tensors, tensors_sha256
from frankenstein.stitches import Affine, load_stitch, save_stitch
from frankenstein.stitching.matrix.results import Cells
from frankenstein.zoo import Card, build_network, load_network, save_network

CARD = Card("mlp", 10, 1, "digits", 0, 0, 1)


def network(path):
    return save_network(path.with_suffix(".safetensors"), build_network("mlp"), CARD)


def state_dict(path):
    path = path.with_suffix(".pt")
    torch.save(build_network("mlp").state_dict(), path)
    return path


def stitch(path):
    return save_stitch(path.with_suffix(".safetensors"), Affine(5, 3), {"sender": "a"})


def dictionary(path):
    return save_dictionary(path.with_suffix(".safetensors"), Dictionary(4, 8, k=2))


def crosscoder(path):
    norms = [(torch.zeros(units), torch.ones(())) for units in (3, 1)]
    made = CrosscoderDictionary(Dictionary(4, 8, k=2), norms)
    return save_crosscoder(path.with_suffix(".safetensors"), made)


def checkpoint(path):
    content = {"state_dict": {"w": torch.randn(40)}, "loops": {"step": 3}, "global_step": 3}
    path = path.with_suffix(".ckpt")
    WholeCheckpoints().save_checkpoint(content, path)
    return path


def cell(path):
    cells = Cells(path.parent)
    cells["trained", 0, "fc1"] = {"fc1": {"accuracy": 0.9125, "agreement": 0.95}}
    return cells._path(("trained", 0, "fc1"))


def weights(module):
    return tensors_sha256(module.state_dict())


KINDS = {
    "network": (network, lambda path: weights(load_network(path))),
    "state dict": (state_dict, lambda path: weights(load_network(path))),
    "stitch": (stitch, lambda path: weights(load_stitch(path))),
    "dictionary": (dictionary, lambda path: weights(load_dictionary(path))),
    "crosscoder": (crosscoder, lambda path: weights(load_crosscoder(path))),
    "checkpoint": (checkpoint, lambda path: repr(WholeCheckpoints().load_checkpoint(path))),
    "cell": (cell, lambda path: Cells(path.parents[1])["trained", 0, "fc1"]),
}


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


def damaged(whole):
    draw = random.Random(0)
    # Half of them where the small parts are that say what the rest means.
    for number in range(300):
        limit = len(whole) if number % 2 else min(1000, len(whole))
        content, place = bytearray(whole), draw.randrange(limit)
        content[place] ^= 1 << draw.randrange(8)
        yield content
    for _ in range(20):
        yield whole[: draw.randrange(len(whole))]


def test_no_damaged_file_is_taken_for_whole(kind, tmp_path):
    write, read = KINDS[kind]
    path = write(tmp_path / "file")
    whole, expected = path.read_bytes(), read(path)
    harmless = 0
    for content in damaged(whole):
        path.write_bytes(content)
        try:
            found = read(path)
        except UserError as error:
            assert path.name in str(error)  # noqa: PT017
        else:
            # In a zip archive there are bytes that nothing is read from.
            assert kind == "state dict"
            assert found == expected
            harmless += 1
    assert harmless < 60


def old_state_dict(path, seed=0):
    content = build_network("mlp", init_seed=seed).state_dict()
    torch.save(content, path, _use_new_zipfile_serialization=False)
    return path


def test_an_archive_that_says_it_lies_on_several_disks_is_told_as_damaged(tmp_path):
    path = tmp_path / "a.pt"
    several = struct.pack("<4sLQL", b"PK\6\7", 0, 0, 2)  # which zipfile.is_zipfile raises of
    path.write_bytes(bytes(100) + several + b"PK\5\6" + bytes(18))
    with pytest.raises(FileError, match=r"a.pt cannot be read \(BadZipFile\)"):
        load_network(path)
    with pytest.raises(FileError, match=r"a.pt is damaged, or no whole npz file: zipfiles that"):
        contents_of(path)


def test_an_old_state_dict_that_is_damaged_is_refused_or_told_by_its_sha256(tmp_path):
    path = old_state_dict(tmp_path / "file.pt")
    whole, refused = path.read_bytes(), 0
    for number, content in enumerate(damaged(whole)):
        path.write_bytes(content)
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            try:
                load_network(path, "mlp")
            except FileError as error:
                assert path.name in str(error)  # noqa: PT017
                refused += 1
            else:
                assert number < 300  # none that was cut short
                assert len(told) == 1
                assert "file.pt has no checksum" in str(told[0].message)
                assert hashlib.sha256(content).hexdigest() in str(told[0].message)
    assert refused > 100


def test_an_old_state_dict_that_is_whole_is_told_of_once(tmp_path):
    path = old_state_dict(tmp_path / "file.pt")
    with pytest.warns(UserWarning, match=hashlib.sha256(path.read_bytes()).hexdigest()):
        load_network(path)
    load_network(path)  # where a warning would be an error


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_an_old_state_dict_with_a_number_that_is_none_is_refused(tmp_path, number):
    content = build_network("mlp").state_dict()
    content["fc2.weight"][3, 4] = number
    torch.save(content, tmp_path / "file.pt", _use_new_zipfile_serialization=False)
    with pytest.raises(FileError, match=r"file\.pt is damaged: NaN or Inf in fc2\.weight; get it"):
        load_network(tmp_path / "file.pt")


def test_a_state_dict_whose_checksum_does_not_fit_is_refused(tmp_path):
    path = state_dict(tmp_path / "file")
    with zipfile.ZipFile(path) as archive:
        place = max(archive.infolist(), key=lambda one: one.file_size)
    content = bytearray(path.read_bytes())
    content[place.header_offset + 1000] ^= 1  # one bit of a weight: torch.load does not mind
    path.write_bytes(content)
    torch.load(path, weights_only=True)
    with pytest.raises(FileError, match=r"file\.pt cannot be read"):
        load_network(path)


@pytest.mark.parametrize(
    ("load", "record"),
    [
        (load_stitch, {"kind": "stitch", "family": "affine", "in_channels": 5}),
        (
            load_stitch,
            {"kind": "stitch", "family": "affine", "in_channels": 5, "out_channels": 3,
             "options": {"rank": 2}},
        ),
        (
            load_stitch,
            {"kind": "stitch", "family": "identity", "in_channels": 5, "out_channels": 3,
             "options": {}},
        ),
        (
            load_stitch,
            {"kind": "stitch", "family": "affine", "in_channels": 3, "out_channels": 3,
             "options": {}},
        ),
        (load_dictionary, {"kind": "dictionary"}),
        (load_dictionary, {"kind": "dictionary", "options": {"size": "x"}}),
        (load_crosscoder, {"kind": "crosscoder", "options": {"units": [3]}}),
    ],
)  # fmt: skip
def test_a_whole_file_whose_record_does_not_fit_its_tensors_is_named(tmp_path, load, record):
    path = save_tensors(tmp_path / "a.safetensors", Affine(5, 3).state_dict(), record)
    with pytest.raises(FileError, match=r"a\.safetensors does not hold the .* that it says: "):
        load(path)
