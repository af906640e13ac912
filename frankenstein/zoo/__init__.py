"""The zoo: plain networks, by name, and their files."""

from typing import TYPE_CHECKING

from frankenstein.lazy import lazy_names
from frankenstein.zoo.build import build_network
from frankenstein.zoo.files import (
    Card,
    load_network,
    network_sha256,
    open_saved,
    read_card,
    save_network,
    untrained,
)
from frankenstein.zoo.gpt_tiny import gpt_tiny
from frankenstein.zoo.resnet20 import resnet20
from frankenstein.zoo.small import dense, lenet, mlp
from frankenstein.zoo.tiny10 import nbn_tiny10, tiny10
from frankenstein.zoo.vit import vit_tiny

if TYPE_CHECKING:  # imported when first asked for
    from frankenstein.zoo.vision import (
        WeightsWarning,
        inceptionv1,
        torchvision_network,
        trained_transforms,
    )

__getattr__, __dir__, __all__ = lazy_names(__name__)
