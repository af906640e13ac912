"""The name of a run says what makes it unlike others."""

import pytest

from frankenstein.networks.network import open_network
from frankenstein.runs.schema import options_of
from frankenstein.stitching import StitchPlan
from frankenstein.stitching.recipe import stitch_name

# Of these the names of networks and data set tell, or nothing that is trained depends on them.
ELSEWHERE = {"sender", "receiver", "model", "dataset", "measures", "save_frequency", "strategy"}
LAYERS = {"sender_layer": "relu1", "receiver_layer": "relu1"}
OTHER = {  # another value of each field, and what it needs beside it
    "sender_layer": {"sender_layer": "relu2"},
    "receiver_layer": {"receiver_layer": "relu2"},
    "all": {"all": True, "sender_layer": None, "receiver_layer": None},
    "sender_layers": {"sender_layers": ["relu1"], "sender_layer": None, "receiver_layer": None},
    "receiver_layers": {"receiver_layers": ["fc1"], "sender_layer": None, "receiver_layer": None},
    "seeds": {"all": True, "seeds": 3, "sender_layer": None, "receiver_layer": None},
    "family": {"family": "permutation"},
    "low_rank": {"low_rank": 2},
    "l1": {"l1": 0.5},
    "orthogonal": {"orthogonal": True},
    "mask": {"mask": "match"},
    "anchors": {"anchors": 5, "init": "ps_inv"},
    "flatten": {"flatten": True},
    "init": {"init": "perm"},
    "match_spread": {"match_spread": True},
    "match_covariance": {"match_covariance": True},
    "ridge": {"ridge": True},
    "recount": {"recount": True},
    "solve_on": {"solve_on": 50},
    "objective": {"objective": "final_features"},
    "then": {"objective": "direct", "then": "task"},
    "align_layers": {"objective": "latent_alignment", "align_layers": ["fc2"]},
    "align_weights": {"objective": "latent_alignment", "align_weights": [1, 2, 0]},
    "direct": {"direct": "mse"},
    "target_type": {"target_type": "soft_1"},
    "temperature": {"target_type": "soft_1", "temperature": 2.0},
    "cka_reg": {"cka_reg": 1.0},
    "epochs": {"epochs": 3},
    "batch_size": {"batch_size": 3},
    "lr": {"lr": 0.5},
    "weight_decay": {"weight_decay": 0.5},
    "optimizer": {"optimizer": "sgd"},
    "precision": {"precision": "bf16-mixed"},
    "augment": {"augment": False},
    "seed": {"seed": 3},
    "untrained": {"untrained": 2},
    "controls": {"controls": "all"},
    "size": {"size": 28},
    "normalize": {"normalize": [0.5, 0.25]},
    "resampling": {"resampling": "bicubic"},
    "text": {"dataset": "text", "text": "lines.txt"},
    "held_out_text": {"dataset": "text", "text": "lines.txt", "held_out_text": "more.txt"},
    "debug": {"debug": True},
}


def test_every_field_that_changes_a_number_is_in_the_name(saved):
    changing = {
        name
        for name, one in options_of(StitchPlan).items()
        if one.changes in ("numbers", "seed") and name not in ELSEWHERE
    }
    assert set(OTHER) == changing, "say in stitching/name.py what a new field does to the name"


@pytest.mark.parametrize("field", OTHER)
def test_another_value_of_a_field_is_another_name(saved, field):
    pair = saved("lenet", 0), saved("lenet", 1)
    networks = [open_network(file) for file in pair]
    files = dict(zip(("sender", "receiver"), pair, strict=True))
    plain, other = ({**files, **LAYERS, **more} for more in ({}, OTHER[field]))
    names = [stitch_name(StitchPlan(**one), networks, "digits") for one in (plain, other)]
    assert names[0] != names[1]
