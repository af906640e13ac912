"""The zoo: plain networks, by name, and their files."""

from typing import TYPE_CHECKING

from frankenstein.lazy import lazy_names
from frankenstein.zoo.build import build_network
from frankenstein.zoo.dense import dense
from frankenstein.zoo.files import (
    Card,
    load_network,
    network_sha256,
    open_saved,
    read_card,
    save_network,
    untrained,
)
from frankenstein.zoo.lenet import lenet
from frankenstein.zoo.mlp import mlp
from frankenstein.zoo.resnet20 import resnet20
from frankenstein.zoo.tiny10 import nbn_tiny10, tiny10

if TYPE_CHECKING:  # imported when first asked for
    from frankenstein.zoo.googlenet import inceptionv1
    from frankenstein.zoo.pretrained import trained_transforms
    from frankenstein.zoo.vision import WeightsWarning, torchvision_network

__getattr__, __dir__, __all__ = lazy_names(__name__)
