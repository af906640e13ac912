"""Files of activations: the same numbers out of every kind, and one line for what is none."""

import io
import os
import pickle
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from frankenstein.activations import activations_at, open_activations
from frankenstein.activations.checks import ActivationsWarning
from frankenstein.errors import UserError
from frankenstein.zoo import build_network

ROWS = torch.tensor([4, 0, 6, 2])


@pytest.fixture(autouse=True)
def here(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)


def layers(n=7, dtype=np.float32):
    rng = np.random.default_rng(0)
    shapes = {"early": (n, 3, 2, 2), "late/fc": (n, 5)}
    return {name: rng.standard_normal(shape).astype(dtype) for name, shape in shapes.items()}


def tensors(arrays):
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def save_h5(path, arrays, **options):
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file.create_dataset(name, data=array, **options)


SAVES = {
    "a.npz": lambda path, arrays: np.savez(path, **arrays),
    "packed.npz": lambda path, arrays: np.savez_compressed(path, **arrays),
    "a.safetensors": lambda path, arrays: save_file(tensors(arrays), path),
    "a.pt": lambda path, arrays: torch.save(tensors(arrays), path),
    "old.pt": lambda path, arrays: torch.save(
        tensors(arrays), path, _use_new_zipfile_serialization=False
    ),
    "a.h5": save_h5,
    "packed.h5": lambda path, arrays: save_h5(path, arrays, chunks=True, compression="gzip"),
    "a.other": lambda path, arrays: torch.save(tensors(arrays), path),
}


@pytest.mark.parametrize("name", SAVES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_come_as_they_were_saved(name, dtype):
    arrays = layers(dtype=dtype)
    SAVES[name](name, arrays)
    assert activations_at(name) is not None
    saved = open_activations(name).of()
    assert len(saved) == 7
    assert list(saved.layers) == list(arrays)
    for layer, z in saved.read(ROWS).items():
        torch.testing.assert_close(z, torch.from_numpy(arrays[layer])[ROWS], rtol=0, atol=0)


@pytest.mark.parametrize("dtype", ["f2", ">f4", ">f8", "i1", "u2", "i8", "?"])
@pytest.mark.parametrize("name", ["a.npz", "packed.npz", "a.h5"])
def test_halves_integers_and_the_other_byte_order_are_exact(name, dtype):
    array = (np.arange(21).reshape(7, 3) % 2).astype(dtype)
    SAVES[name](name, {"z": array})
    z = open_activations(name).of().read(ROWS)["z"]
    assert z.dtype == (torch.float32 if np.dtype(dtype).str[1:] in ("f2", "f4") else torch.float64)
    assert (z.numpy() == array[ROWS.numpy()].astype("f8")).all()


@pytest.mark.parametrize("name", ["a.pt", "a.safetensors"])
def test_bfloat16_is_exact(name):
    z = torch.randn(7, 3).bfloat16()
    {"a.pt": torch.save, "a.safetensors": save_file}[name]({"z": z}, name)
    assert (open_activations(name).of().read(ROWS)["z"] == z[ROWS].float()).all()


def test_one_array_or_tensor_is_called_as_its_file():
    np.save("v1.npy", layers()["late/fc"])
    torch.save(torch.randn(7, 2), "it.pt")
    assert [list(open_activations(name).layers) for name in ("v1.npy", "it.pt")] == [["v1"], ["it"]]


def test_an_array_that_lies_column_by_column_is_read_all_the_same():
    array = layers()["early"]
    np.save("f.npy", np.asfortranarray(array))
    assert (open_activations("f.npy").of().read(ROWS)["f"].numpy() == array[ROWS.numpy()]).all()


def test_layers_are_chosen_by_name_and_glob_and_labels_are_no_layer():
    arrays = layers() | {"labels": np.arange(7), "ids": np.arange(7)}
    arrays |= {"names": np.array(list("abcdefg"))}
    np.savez("a.npz", **arrays)
    saved = open_activations("a.npz")
    with pytest.warns(ActivationsWarning, match="'ids' has one axis only; 'names' holds <U1"):
        assert list(saved.of().layers) == ["early", "late/fc"]
    assert list(saved.of(["l*", "early"]).layers) == ["late/fc", "early"]
    assert saved.of("labels").read(ROWS)["labels"].tolist() == [[4], [0], [6], [2]]
    with pytest.raises(UserError, match=r"a.npz has no layer 'erly'; did you mean early\?"):
        saved.of("erly")
    with pytest.raises(UserError, match=r"'names' in a.npz holds <U1, not real"):
        saved.of("names")


def test_maps_whose_units_seem_to_be_last_are_suspected_aloud():
    np.save("jax.npy", np.zeros((7, 4, 4, 3), np.float32))
    with pytest.warns(ActivationsWarning, match=r"seem to have them last; move that axis"):
        open_activations("jax.npy").of()


class Run:
    def __reduce__(self):
        return os.mkdir, ("done",)


def npy_header(facts):
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, facts)
    return file.getvalue()


def odd_name(path):
    with h5py.File(path, "w") as file:
        file[b"\xff"] = np.zeros((7, 2))


def torn(path):
    """An archive whose list of members is not where it says."""
    SAVES["a.npz"](path, layers())
    whole = Path(path).read_bytes()
    Path(path).write_bytes(whole.replace(b"PK\x01\x02", b"PK\x01\x02" + bytes(20), 1))


def cut_short(path):
    np.save(path, layers()["late/fc"])
    os.truncate(path, os.path.getsize(path) - 4)


def lost(path):
    """Of three arrays the list of members has the last two."""
    np.savez(path, a=np.zeros((7, 2)), b=np.zeros((7, 3)), c=np.zeros((7, 3)))
    with zipfile.ZipFile(path, "a") as archive:
        del archive.filelist[0]
        archive._didModify = True  # so that the list is written anew


def damaged(path):
    SAVES["a.npz"](path, layers())
    content = bytearray(Path(path).read_bytes())
    content[300] ^= 1
    Path(path).write_bytes(content)


def pickled(path):
    with open(path, "wb") as file:
        pickle.dump(Run(), file)


def claims_gigabytes(path):
    np.savez_compressed(path, z=np.zeros((7, 2)))
    content = bytearray(Path(path).read_bytes())
    size = content.rindex(b"PK\x01\x02") + 24  # in the list of members
    content[size : size + 4] = (2**31).to_bytes(4, "little")
    Path(path).write_bytes(content)


def claims_more(path):
    """A header of more numbers than there are, in a member that is packed."""
    header = npy_header({"descr": "<f4", "fortran_order": False, "shape": (9999, 2)})
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("z.npy", header + bytes(56))


def twice(path):
    np.savez(path, a=np.zeros((7, 2)))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("a", archive.read("a.npy"))


REFUSED = {
    "objects.npy": (
        lambda path: np.save(path, np.array([Run()] * 3), allow_pickle=True),
        "'objects' holds objects of Python, which only unpickling would make",
    ),
    "objects.npz": (
        lambda path: np.savez_compressed(path, z=np.array([Run()] * 3)),
        "'z' holds objects of Python",
    ),
    "complex.npy": (lambda path: np.save(path, np.zeros((7, 2), "c8")), "complex64, not real"),
    "complex.pt": (lambda path: torch.save(torch.zeros(7, 2).cfloat(), path), "of complex64"),
    "long.npy": (lambda path: np.save(path, np.zeros((7, 2), "g")), "not real numbers of 64 bits"),
    "records.npy": (lambda path: np.save(path, np.zeros(7, "f4,i4")), "not real numbers"),
    "one.npy": (lambda path: np.save(path, np.zeros((1, 2))), r"\(1, 2\); a layer is \(N, ...\)"),
    "none.npy": (lambda path: np.save(path, np.zeros((0, 2))), r"\(0, 2\); a layer is"),
    "unitless.npy": (lambda path: np.save(path, np.zeros((7, 0))), r"\(7, 0\); a layer is"),
    "flat.npy": (lambda path: np.save(path, np.zeros(7)), "'flat' has one axis only"),
    "number.npy": (lambda path: np.save(path, np.zeros(())), "'number' is a single number"),
    "empty.npz": (lambda path: np.savez(path), "it is empty"),
    "differ.npz": (
        lambda path: np.savez(path, a=np.zeros((7, 2)), b=np.zeros((8, 3))),
        r"different numbers of examples, 7 \('a'\) and 8 \('b'\): name layers of the same",
    ),
    "turned.npz": (
        lambda path: np.savez(path, a=np.zeros((3, 7)), b=np.zeros((2, 7))),
        "they lie units x examples, it seems; save them transposed",
    ),
    "short.npy": (cut_short, "damaged, or no whole npy file: it says that it has"),
    "name.h5": (odd_name, "xff' has a name that is not UTF-8"),
    "torn.npz": (torn, "damaged, or no whole npz file: Bad magic number for central directory"),
    "lost.npz": (lost, "damaged, or no whole npz file: its list of members has lost one"),
    "damaged.npz": (damaged, "damaged, or no whole npz file: the checksum of"),
    "large.npz": (claims_gigabytes, "'z' in .*large.npz is compressed, and 2.1 GB when it is not"),
    "twice.npz": (twice, "no whole npz file: two of its members have one name"),
    "pickle.pt": (pickled, r"holds more than tensors; save \{layer: tensor\}"),
    "list.pt": (lambda path: torch.save([torch.zeros(7, 2)], path), "holds a list, not one tensor"),
    "text.npy": (lambda path: Path(path).write_text("a,b\n"), "damaged, or no whole npy file"),
    "text.txt": (lambda path: Path(path).write_text("a,b\n"), "it is neither .npy, .npz"),
    "fp8.safetensors": (
        lambda path: save_file({"z": torch.zeros(7, 2).to(torch.float8_e4m3fn)}, path),
        "'z' holds F8_E4M3, not real numbers",
    ),
    "weights.pt": (
        lambda path: torch.save(build_network("lenet", 10, 1, 0).state_dict(), path),
        r"holds the weights of a network \(conv1.weight, conv1.bias, ...\), not activations",
    ),
    "pointer.npy": (
        lambda path: Path(path).write_text("version https://git-lfs.github.com/spec/v1\noid 1\n"),
        "is a pointer of git-LFS, not the file itself",
    ),
    "negative.npy": (
        lambda path: Path(path).write_bytes(
            npy_header({"descr": "<f4", "fortran_order": False, "shape": (-7, 2)}) + bytes(56)
        ),
        "damaged, or no whole npy file",
    ),
    "claims.npz": (claims_more, "it says that it has \\(9999, 2\\) numbers, and holds 14"),
    "missing.npy": (lambda path: None, "no file missing.npy"),
    "folder.npy": (os.mkdir, "is a folder, and a file of activations is wanted"),
}


@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize("name", REFUSED)
def test_what_holds_no_activations_is_told_as_what_it_is(name, tmp_path):
    make, expected = REFUSED[name]
    make(name)
    with pytest.raises(UserError, match=expected) as error:
        open_activations(name).of()
    assert "\n" not in str(error.value)
    assert name in str(error.value)
    assert not (tmp_path / "done").exists()


def test_hdf5_that_lies_elsewhere_is_not_followed():
    save_h5("there.h5", layers())
    with h5py.File("here.h5", "w") as file:
        file["link"] = h5py.ExternalLink("there.h5", "early")
        file.create_dataset("out", (7, 2), "f4", external=[("raw.bin", 0, 56)])
    with pytest.raises(UserError, match="'out' lies in other files"):
        open_activations("here.h5").of()


def test_a_record_of_any_length_is_one_of_safetensors(tmp_path):
    first = set()
    for k in range(0, 256, 8):
        path = tmp_path / f"{k}.safetensors"
        save_file({"a": torch.ones(3, 2)}, path, {"about": "." * k})
        first.add(path.read_bytes()[0])
        assert list(open_activations(path).layers) == ["a"]
    assert 0x80 in first  # as a pickle begins
