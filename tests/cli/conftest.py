import pytest


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


@pytest.fixture
def few_digits(monkeypatch, tmp_path):
    """A folder to work in, and a digits data set that is read in no time."""
    from frankenstein.data import Digits

    load = Digits.load

    def some(self, split):
        count = {"train": 256, "test": 60}[split]
        return tuple(part[:count] for part in load(self, split))

    monkeypatch.setattr(Digits, "load", some)
    monkeypatch.setattr("frankenstein.compare.probes._STEPS", 5)  # not to fit well, but to run
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def run(few_digits, capsys):
    """Runs a command line to its end and returns the folder that it wrote."""
    from pathlib import Path

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
    from pathlib import Path

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
