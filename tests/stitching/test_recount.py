"""Statistics of the receiver's end, counted anew on what is stitched."""

import json
from types import SimpleNamespace

import numpy as np
import torch
from torch import nn

from frankenstein.stitching import recount
from frankenstein.stitching.controls import Controls, Route
from frankenstein.surgery import Cut


def test_every_route_has_an_end_counted_on_what_it_makes_of_the_images(monkeypatch):
    images, labels = torch.randn(50, 4), torch.arange(50) % 3
    monkeypatch.setattr(recount, "_images", lambda *_: (images, labels))
    norm, last = nn.BatchNorm1d(4), nn.Linear(4, 3)
    norm.weight.data, norm.bias.data = torch.rand(4) + 0.5, torch.randn(4)
    receiver = Cut(nn.Identity(), nn.Sequential(norm, last).eval())
    routes = {"noise": Route("noise", nn.Identity()), "itself": Route("receiver", nn.Identity())}
    noise = {"noise": lambda images, labels: images * 0.01 + labels[:, None]}
    controls = Controls({}, routes, SimpleNamespace(), 1, noise)
    stitch = nn.Linear(4, 4)
    sender = Cut(nn.Identity(), nn.Identity())
    ends = recount.recounted_ends(
        sender, receiver, {"after": stitch}, controls, SimpleNamespace(), torch.device("cpu")
    )
    made = {"after": stitch(images), "noise": noise["noise"](images, labels), "itself": images}
    assert ends.keys() == made.keys()
    for name, z in made.items():
        z = z.detach().double().numpy()
        whitened = (z - z.mean(0)) / np.sqrt(z.var(0) + 1e-5)
        scaled = whitened * norm.weight.detach().numpy() + norm.bias.detach().numpy()
        expected = scaled @ last.weight.detach().numpy().T + last.bias.detach().numpy()
        found = ends[name](made[name])[0].detach()
        np.testing.assert_allclose(found, expected, atol=1e-4)
    assert not norm.running_mean.any()  # the receiver itself is as it was


def test_a_run_scores_all_stitches_by_recounted_ends(run, saved):
    pair = saved("tiny10", 0), saved("tiny10", 1)
    words = ("bn7", "bn7", "-i", "ps_inv", "-e", "0", "--untrained", "1", "--recount")
    folder = run("stitch", *pair, *words, "--measures", "linear_cka")
    assert "-recount-" in folder.name
    found = json.loads((folder / "summary.json").read_text())
    assert found["loss/itself"] != found["loss/receiver"]
    assert found["final_explained/itself"] < 1
    assert found["loss/after"] != found["loss/untrained"]


def test_where_nothing_is_counted_it_is_refused(mistake, saved):
    pair = saved("mlp", 0), saved("mlp", 1)
    assert "keeps statistics to count anew (no BatchNorm); leave --recount out" in mistake(
        "stitch", *pair, "fc2", "fc2", "--recount"
    )
    assert "--recount gives every stitch a receiver of its own" in mistake(
        "stitch", *pair, "--all", "--recount"
    )
