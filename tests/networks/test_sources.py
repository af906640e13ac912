"""Every source of networks, and every way that weights lie in a file."""

import argparse
import json
import sys
import zipfile

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from frankenstein.data import Preprocessing
from frankenstein.data.tokenizers import Bytes
from frankenstein.errors import UserError
from frankenstein.networks import open_network
from frankenstein.networks.network import networks_name
from frankenstein.source import Source, names_code, parse_source
from frankenstein.zoo import build_network, network_sha256
from frankenstein.zoo.weights import WeightsFileWarning

MY_NETS = """
from torch import nn

preprocessing = {"mean": 0.3, "std": 0.4, "size": 8}


def small():
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10))


def wanting(width):
    return nn.Linear(width, 2)


def fixed():
    network = small()
    for parameter in network.parameters():
        nn.init.constant_(parameter, 0.5)
    return network


def broken():
    return nn.Linear(3, 2)


ready = small()
number = 3
"""


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A folder with somebody's networks, which is where one is."""
    (tmp_path / "my_nets.py").write_text(MY_NETS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a/b.safetensors", Source("file", "a/b.safetensors")),
        ("mlp#3", Source("zoo", "mlp", None, 3)),
        ("resnet20_w4@a@b.pt", Source("zoo", "resnet20_w4", "a@b.pt")),
        ("torchvision/resnet18", Source("torchvision", "resnet18")),
        ("timm/resnet18.a1_in1k", Source("timm", "resnet18.a1_in1k")),
        ("hf/google/vit#0", Source("hf", "google/vit", None, 0)),
        ("my.nets:Small.of", Source("code", "my.nets:Small.of")),
        ("../my-nets.py:small@x.ckpt", Source("code", "../my-nets.py:small", "x.ckpt")),
        ("cuda:0", Source("file", "cuda:0")),
    ],
)
def test_a_word_names_one_network(text, expected):
    assert parse_source(text) == expected
    assert str(expected) == text
    assert bool(names_code(text)) == (expected.kind == "code")


def test_a_file_is_that_file_whatever_it_is_called(mine):
    for name in ("mlp#3", "my_nets.py:small", "mlp"):
        (mine / name).write_text("")
        assert parse_source(name) == Source("file", name)
        assert names_code(name) is None
    (mine / "tiny10").mkdir()
    assert parse_source("tiny10").kind == "zoo"


def test_one_number_of_a_preprocessing_is_every_channels_and_the_network_says_how_many(mine):
    network = "nn.Sequential(nn.Flatten(), nn.Linear(192, 10))"
    for facts, expected in {
        '{"mean": 0.5, "std": 0.25, "size": 8}': (0.5,) * 3,
        '{"mean": [0.1, 0.2], "std": [1, 1], "size": 8}': "has 2 means, and its network takes 3 c",
    }.items():
        name = f"nets{len(facts)}"
        text = f"from torch import nn\npreprocessing = {facts}\ndef make(): return {network}\n"
        (mine / f"{name}.py").write_text(text)
        if isinstance(expected, str):
            with pytest.raises(UserError, match=expected):
                open_network(f"{name}.py:make#0", dataset="digits")
        else:
            # Of grey digits, too: the network takes colours, and says so by what it takes.
            network_of_colours = open_network(f"{name}.py:make#0", dataset="digits")
            assert network_of_colours.eyes.mean == expected
            assert network_of_colours.input_shape == (3, 8, 8)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mlp", "mlp has no trained weights of its own; say mlp@FILE, or mlp#0 for random ones"),
        ("mlp@x.pt#3", "names weights and a seed of random ones; leave one of the two out"),
        ("mlp@", "names no file behind @"),
        ("mlp#" + "9" * 100, "no file mlp#999"),
        ("nothing#3", "'nothing' makes no network"),
        ("absent.py:small#0", r"no file absent\.py; is the path right"),
        ("absent.nets:small#0", r"absent\.nets cannot be imported \(ModuleNotFoundError: No mod"),
        ("my_nets.py", r"is code; name what makes the network in it, as my_nets\.py:FACTORY"),
        ("my_nets.py:smal#0", r"my_nets\.py has no 'smal'; did you mean small"),
        ("my_nets.py:small", r"makes random weights; say my_nets\.py:small@FILE for trained ones"),
        ("my_nets.py:wanting#0", "is called without arguments, and needs width; write a function"),
        ("my_nets.py:number", "is a int, and no function or network"),
        ("my_nets.py:ready#3", "is a network and no function that makes one; leave # out"),
        ("my_nets.py:broken#0", r"does not take inputs of shape \(1, 8, 8\): .* write input_shape"),
        ("my_nets.py:small@absent.pt", r"no file absent\.pt"),
        ("timm/resnet19", "timm has no 'resnet19'; did you mean"),
        ("torchvision/resnet19#0", "torchvision has no classifier 'resnet19'"),
        ("hf/absent/folder", "hf/absent/folder cannot be had here: "),
        ("timm/test_vit", r"timm/test_vit cannot be had here: .* or timm/test_vit#0 for random"),
    ],
)
def test_what_names_no_network_is_told_in_one_line(mine, monkeypatch, text, expected):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match=expected) as error:
        open_network(text)
    assert "\n" not in str(error.value)


def test_code_of_ones_own_makes_a_network_that_knows_how_it_sees(mine):
    one, again, other = (open_network(f"my_nets.py:small#{seed}") for seed in (0, 0, 1))
    assert one.sha256 == again.sha256 != other.sha256
    assert one.eyes == Preprocessing(8, 8, (0.3,), (0.4,))
    assert (one.input_shape, one.card.num_classes, one.card.in_channels) == ((1, 8, 8), 10, 1)
    assert networks_name([one, other], "digits") == "my_nets-small-seed0-seed1-digits"
    by_module = open_network("my_nets:small#0")
    assert by_module.sha256 == one.sha256
    assert (
        one.untrained(5, one.example).sha256 == one.untrained(5, one.example).sha256 != one.sha256
    )
    assert one.untrained(5, one.example).input_shape == one.input_shape
    assert str(mine) not in sys.path
    torch.save(one.module.state_dict(), "weights.pt")
    assert open_network("my_nets.py:small@weights.pt").sha256 == one.sha256
    for name in ("ready", "fixed"):  # neither has a twin that has learned nothing
        with pytest.raises(UserError, match=f"my_nets.py:{name} cannot be had with random weights"):
            open_network(f"my_nets.py:{name}").untrained(1, one.example)


def test_options_of_the_command_line_say_how_a_network_sees(run, mistake, tmp_path):
    for name, text in {
        "plain": MY_NETS.replace("preprocessing =", "_ ="),
        "my_nets": MY_NETS,
    }.items():
        (tmp_path / f"{name}.py").write_text(text)
    words = "--normalize", "0.5", "0.25", "-d", "digits"
    said = mistake("evaluate", "my_nets.py:small#0", *words)
    assert (
        "--normalize is for a network whose source does not say how it sees, and my_nets.py" in said
    )
    folder = run("evaluate", "plain.py:small#0", "--size", 8, *words)
    record = json.loads((folder / "run.json").read_text())
    assert record["eyes"] == {"subject": "8 x 8 pixels, mean 0.5, std 0.25 (as you say)"}


def test_options_say_how_a_network_sees_that_does_not_say_it_itself(mine):
    (mine / "plain.py").write_text(MY_NETS.replace("preprocessing =", "_ ="))
    for options, eyes in {
        (8, 0.5, 0.25): Preprocessing(8, 8, (0.5,), (0.25,)),
        (8,): None,
    }.items():
        size, *normalize = options
        network = open_network(
            "plain.py:small#0", size=size, channels=1, normalize=normalize or None
        )
        assert (network.eyes, network.input_shape) == (eyes, (1, 8, 8))
    assert open_network("plain.py:small#0", dataset="digits").input_shape == (1, 8, 8)
    with pytest.raises(
        UserError, match=r"plain\.py:small does not say what it takes; choose datas"
    ):
        open_network("plain.py:small#0")
    with pytest.raises(UserError, match="takes a mean and a standard deviation above 0, or 1 mean"):
        open_network("plain.py:small#0", dataset="digits", normalize=[0.5])


# What a file may hold of a network of the zoo, by the name that the file has.
def lightning(state):
    arguments = argparse.Namespace(lr=0.1)
    return {
        "state_dict": {f"net.{key}": one for key, one in state.items()} | {"loss.w": torch.ones(2)},
        "hyper_parameters": {"arguments": arguments, "best": np.float64(0.9)},
        "epoch": 3,
    }


WRAPPED = {
    "plain.bin": lambda state: state,
    "plain.tar": lambda state: state,
    "inside.pth.tar": lambda state: {"epoch": 3, "state_dict": state, "best_acc1": np.float32(0.5)},
    "model.pt": lambda state: {"model": state, "optimizer": {"lr": 0.1}},
    "net.pth": lambda state: {"net": state, "acc": 91.5},
    "parallel.pt": lambda state: {f"module.{key}": one for key, one in state.items()},
    "compiled.pt": lambda state: {f"module._orig_mod.{key}": one for key, one in state.items()},
    "task.pt": lambda state: {f"network.{key}": one for key, one in state.items()},
    "average.pth.tar": lambda state: {"state_dict_ema": state, "epoch": 3},
    "double": lambda state: {key: one.double() for key, one in state.items()},
}


@pytest.mark.parametrize("name", WRAPPED)
@pytest.mark.parametrize("old", [False, True])
@pytest.mark.filterwarnings("ignore:.*has no checksum")
def test_weights_are_found_in_what_trainers_write(tmp_path, name, old):
    network = build_network("mlp", 10, 1, init_seed=3)
    path = tmp_path / name
    torch.save(WRAPPED[name](network.state_dict()), path, _use_new_zipfile_serialization=not old)
    for source, model in ((f"mlp@{path}", None), (str(path), None), (str(path), "mlp")):
        assert open_network(source, model=model).sha256 == network_sha256(network)


def test_weights_of_lightning_leave_aside_what_is_not_the_networks(tmp_path):
    network = build_network("mlp", 10, 1, init_seed=3)
    path = tmp_path / "last.ckpt"
    torch.save(lightning(network.state_dict()), path)
    with pytest.warns(WeightsFileWarning, match="holds 1 tensor beside the network's, .*: loss.w"):
        assert open_network(f"mlp@{path}").sha256 == network_sha256(network)


def test_an_average_beside_the_weights_is_left_aside_and_told_of(tmp_path):
    network, other = (build_network("mlp", 10, 1, init_seed=seed) for seed in (3, 4))
    path = tmp_path / "last.pt"
    torch.save({"model": network.state_dict(), "model_ema": other.state_dict()}, path)
    with pytest.warns(
        WeightsFileWarning, match=r"a moving average .* \(model_ema\), .* left aside"
    ):
        assert open_network(f"mlp@{path}").sha256 == network_sha256(network)


def test_a_checkpoint_that_was_saved_on_a_gpu_is_read_where_there_is_none(tmp_path):
    network = build_network("mlp", 10, 1, init_seed=3)
    there, here = tmp_path / "there.pt", tmp_path / "here.pt"
    torch.save(network.state_dict(), here)
    with zipfile.ZipFile(here) as read, zipfile.ZipFile(there, "w") as written:
        for name in read.namelist():
            content = read.read(name)
            if name.endswith("data.pkl"):  # the place of each storage, as pickle has words
                assert b"X\x03\0\0\0cpu" in content
                content = content.replace(b"X\x03\0\0\0cpu", b"X\x06\0\0\0cuda:0")
            written.writestr(name, content)
    with pytest.raises(RuntimeError, match="CUDA"):
        torch.load(there)
    opened = open_network(f"mlp@{there}")
    assert opened.sha256 == network_sha256(network)
    assert {x.device.type for x in opened.module.parameters()} == {"cpu"}


def test_safetensors_of_others_and_half_weights_are_taken(tmp_path):
    network = build_network("mlp", 10, 1, init_seed=3).half()
    save_file(network.state_dict(), tmp_path / "model.safetensors", {"format": "pt"})
    for source in (f"mlp@{tmp_path}/model.safetensors", f"{tmp_path}/model.safetensors"):
        opened = open_network(source).module
        assert next(opened.parameters()).dtype == torch.float32
        assert torch.equal(opened.fc1.weight, network.fc1.weight.float())


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (lambda s: {k: v for k, v in s.items() if "fc2" not in k}, "it lacks 2 of its 6 tens"),
        (lambda s: s | {"fc9.bias": torch.ones(1)}, r"it holds 1 tensor that it has not \("),
        (lambda s: s | {"fc1.bias": torch.ones(5)}, r"1 tensor of other sizes \(fc1\.b"),
        (lambda s: s | {"fc2.bias": torch.ones(16) * 1j}, r"has complex numbers in 1 tensor \("),
        (lambda s: s | {"fc2.bias": torch.ones(16).int()}, "has quantized numbers in 1 tensor"),
        (lambda s: s | {"fc2.bias": torch.ones(16).to_sparse()}, r"sparse or nested tensors \(fc2"),
        (lambda s: s | {"fc2.bias": torch.full((16,), torch.nan)}, r"has NaN or Inf in 1 tensor"),
        (lambda s: s | {"fc2.bias": torch.full((16,), 1e3).double() ** 13}, r"has NaN or Inf in 1"),
        (
            lambda s: s | {"fc3.weight": torch.ones(7, 16), "fc3.bias": torch.ones(7)},
            r"head is of another size, fc3\.weight gives 7 answers and the network's 10",
        ),
        (lambda s: {"relu1": torch.ones(9, 3)}, r"it lacks 6 of its 6 .*; it may be of another n"),
        (lambda s: torch.randn(50, 4, 4, 4), r"holds a Tensor, .* of shape \(50, 4, 4, 4\), it"),
        (lambda s: {"one": nn.Linear(2, 2)}, r"more than tensors, torch\.nn\.modules\.linear\.Lin"),
    ],
)  # fmt: skip
def test_weights_that_do_not_fit_are_told_as_what_they_are(mine, content, expected):
    (mine / "own.py").write_text(
        "from frankenstein.zoo import mlp\n\n\ndef make():\n    return mlp(in_channels=1)\n"
    )
    torch.save(content(build_network("mlp", 10, 1, init_seed=3).state_dict()), "weights.pt")
    with pytest.raises(UserError, match=expected) as error:
        open_network("own.py:make@weights.pt")
    assert "\n" not in str(error.value)


def test_files_that_are_no_weights_are_told_as_what_they_are(mine):
    np.save("rows.npy", np.ones(3))
    np.savez("rows.npz", rows=np.ones(3))
    (mine / "pointer.safetensors").write_text("version https://git-lfs.github.com/spec/v1\noid 1\n")
    (mine / "text.bin").write_text("hello")
    for name, expected in {
        "rows.npy": "is an array of NumPy, which may be activations",
        "rows.npz": "holds arrays of NumPy",
        "pointer.safetensors": "is a pointer of git-LFS, not the file itself; get it by `git lfs p",
        "text.bin": "cannot be read",
        ".": "is a folder, and a file is wanted",
    }.items():
        with pytest.raises(UserError, match=expected):
            open_network(f"mlp@{name}")


def test_counts_that_were_halved_with_all_the_rest_are_counts(tmp_path):
    network = build_network("tiny10", 10, 1, init_seed=3)
    network.bn1.num_batches_tracked.fill_(12)
    halved = {key: one.half() for key, one in network.state_dict().items()}
    torch.save(halved, tmp_path / "half.pt")
    assert open_network(f"tiny10@{tmp_path}/half.pt").module.bn1.num_batches_tracked == 12
    torch.save(halved | {"bn1.num_batches_tracked": torch.tensor(0.5)}, tmp_path / "odd.pt")
    with pytest.raises(
        UserError, match=r"has fractions or Inf for whole numbers in 1 tensor \(bn1"
    ):
        open_network(f"tiny10@{tmp_path}/odd.pt")


def test_a_card_that_says_huge_sizes_takes_no_memory(saved, tmp_path):
    from frankenstein.files import load_tensors, save_tensors

    tensors, facts = load_tensors(saved("mlp"))
    path = save_tensors(tmp_path / "huge.safetensors", tensors, facts | {"num_classes": 10**12})
    with pytest.raises(UserError, match=r"huge\.safetensors does not fit its architecture mlp: "):
        open_network(str(path))


@pytest.fixture(scope="module")
def vit(tmp_path_factory):
    """A folder of transformers with a ViT of two blocks."""
    from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessor

    folder = tmp_path_factory.mktemp("vit")
    config = ViTConfig(
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        image_size=32,
        patch_size=8,
        num_labels=5,
    )
    torch.manual_seed(0)
    network = ViTForImageClassification(config)
    network.save_pretrained(folder, max_shard_size="20KB")
    ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder, network


def test_a_folder_of_transformers_is_a_network(vit, capfd):
    folder, network = vit
    assert len([*folder.glob("*.safetensors")]) > 1  # shards
    opened, random = open_network(f"hf/{folder}"), open_network(f"hf/{folder}#3")
    assert opened.sha256 == network_sha256(network)
    assert opened.eyes == Preprocessing(32, 32, (0.5,) * 3, (0.5,) * 3, squash=True)
    assert (opened.input_shape, opened.card.num_classes) == ((3, 32, 32), 5)
    assert random.sha256 == opened.untrained(3, opened.example).sha256 != opened.sha256
    assert capfd.readouterr() == ("", "")


def test_a_folder_of_transformers_that_is_not_whole_is_one_line(vit, tmp_path):
    folder, _ = vit
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    shard = sorted(tmp_path.glob("*.safetensors"))[0]
    shard.write_text("version https://git-lfs.github.com/spec/v1\noid 1\n")
    with pytest.raises(UserError, match="is a pointer of git-LFS"):
        open_network(f"hf/{tmp_path}")
    with pytest.raises(UserError, match=f"is a folder of transformers; say hf/{tmp_path}"):
        open_network(str(tmp_path))
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "mine.py").write_text("import os; os.mkdir('done')")
    for name in ("MineForAll", "pipeline", "AutoConfig"):
        own = config | {"architectures": [name], "auto_map": {"AutoModel": f"mine.{name}"}}
        (tmp_path / "config.json").write_text(json.dumps(own))
        with pytest.raises(UserError, match=f"{name}, which transformers does not have; code that"):
            open_network(f"hf/{tmp_path}")
    assert not (tmp_path / "done").exists()


@pytest.mark.parametrize(
    ("file", "change", "expected"),
    [
        ("config.json", {"architectures": 5}, None),
        ("config.json", {"architectures": [5]}, None),
        ("config.json", {"num_channels": "x"}, None),
        ("config.json", {"hidden_size": -3}, None),
        ("preprocessor_config.json", {"image_mean": "x"}, "does not say in numbers"),
        ("preprocessor_config.json", {"size": {"height": []}}, "does not say in numbers"),
        ("preprocessor_config.json", {"resample": 99}, "does not say in numbers"),
        ("preprocessor_config.json", "[" * 100_000, "is damaged: it is no JSON object"),
    ],
)
def test_a_record_of_a_folder_of_transformers_that_was_edited_is_one_line(
    vit, tmp_path, file, change, expected, capfd
):
    for path in vit[0].iterdir():
        (tmp_path / path.name).symlink_to(path)
    record = json.loads((tmp_path / file).read_text())
    (tmp_path / file).unlink()
    text = change if isinstance(change, str) else json.dumps(record | change)
    (tmp_path / file).write_text(text)
    for seed in ("", "#0"):
        with pytest.raises(UserError, match=expected) as told:
            open_network(f"hf/{tmp_path}{seed}")
        assert len(str(told.value)) < 1000
    assert capfd.readouterr() == ("", "")


def test_a_damaged_tokenizer_is_not_taken_for_none(tmp_path):
    from transformers import BertConfig, BertModel

    sizes = {"hidden_size": 4, "num_attention_heads": 1, "intermediate_size": 4}
    BertModel(BertConfig(vocab_size=300, num_hidden_layers=1, **sizes)).save_pretrained(tmp_path)
    assert open_network(f"hf/{tmp_path}").tokenizer == Bytes(512)
    (tmp_path / "tokenizer.json").write_text('{"model": 3}')
    with pytest.raises(UserError, match=f"the tokenizer of hf/{tmp_path} cannot be read: "):
        open_network(f"hf/{tmp_path}")


def test_a_model_of_images_and_sentences_together_is_refused(tmp_path):
    from transformers import BlipConfig, BlipForImageTextRetrieval

    sizes = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1}
    sizes["num_attention_heads"] = 2
    config = BlipConfig(
        text_config={"vocab_size": 30, "encoder_hidden_size": 8, **sizes},
        vision_config={"image_size": 16, "patch_size": 8, **sizes},
        image_text_hidden_size=4,
    )
    BlipForImageTextRetrieval(config).save_pretrained(tmp_path)
    with pytest.raises(UserError, match="wants input_ids and pixel_values together; a command"):
        open_network(f"hf/{tmp_path}")


def test_timm_makes_networks_and_takes_checkpoints_of_any_head(tmp_path):
    import timm

    opened = open_network("timm/test_vit#0")
    assert opened.eyes.crop == opened.input_shape[-1] == 160
    assert opened.card.num_classes == 1000
    trained = timm.create_model("test_vit", num_classes=7, in_chans=1)
    torch.save({"state_dict": trained.state_dict()}, tmp_path / "model_best.pth.tar")
    opened = open_network(f"timm/test_vit@{tmp_path}/model_best.pth.tar")
    assert opened.sha256 == network_sha256(trained)
    assert (opened.card.num_classes, opened.input_shape[0]) == (7, 1)
    assert opened.untrained(5, opened.example).sha256 != opened.sha256
    # What timm says is of colours, and says nothing of how grey images are normalised.
    assert (opened.eyes.mean, opened.eyes.resampling.name) == ((), "BICUBIC")
    source, said = f"timm/test_vit@{tmp_path}/model_best.pth.tar", {"normalize": [0.5, 0.25]}
    told = open_network(source, resampling="nearest", **said)
    assert (told.eyes.mean, told.eyes.std, told.eyes.resampling.name) == (
        (0.5,),
        (0.25,),
        "NEAREST",
    )
    assert open_network("timm/test_vit#0", **said).eyes.mean == (0.5,) * 3


def test_random_weights_are_for_the_classes_and_channels_of_the_data():
    card = open_network("tiny10#0", dataset="cifar100").card
    assert (card.num_classes, card.in_channels) == (100, 3)
    network = open_network("torchvision/squeezenet1_1#1", dataset="cifar10", size=64)
    assert (network.card.num_classes, network.input_shape) == (10, (3, 64, 64))
    assert network.eyes.mean == (0.485, 0.456, 0.406)
