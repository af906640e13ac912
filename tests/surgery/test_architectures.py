"""Networks of timm and transformers, small and with random weights: recorded, and cut exactly."""

import pytest
import timm
import torch
import transformers
from torch import nn

from frankenstein.surgery import cut, cut_points
from frankenstein.surgery.blocks import block_layers

# What timm calls them, and what makes them small.
TIMM = {
    "resnet10t": {},
    "vit_tiny_patch16_224": {"img_size": 32, "depth": 3},
    "convnext_atto": {"depths": (1, 1, 2, 1)},
    "mobilenetv3_small_050": {},
    "swin_tiny_patch4_window7_224": {"img_size": 56, "embed_dim": 24, "depths": (1, 1, 1, 1)},
    "mixer_s32_224": {"img_size": 64},
    "poolformer_s12": {},
    "levit_128s": {"img_size": 64},
    "regnetx_002": {},
    "densenet121": {"block_config": (2, 2), "growth_rate": 8},
    "dla34": {},
    "hgnetv2_b0": {},
    "eva02_tiny_patch14_224": {"img_size": 28, "depth": 2},
    "repvgg_a0": {},
    "inception_next_atto": {"depths": (1, 1, 2, 1)},
    "pit_ti_224": {"img_size": 64},
    "xcit_nano_12_p16_224": {"img_size": 32, "depth": 1},
    "skresnet18": {},
    "convit_tiny": {"img_size": 32, "depth": 3},
    "cait_xxs24_224": {"img_size": 32, "depth": 2},
}
WIDTH = {
    "vocab_size": 60,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
}
ENDS = {"bos_token_id": 1, "eos_token_id": 2}
CAUSAL = WIDTH | ENDS | {"num_key_value_heads": 2, "pad_token_id": 0}
T5 = {"vocab_size": 60, "d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2, "num_heads": 4}
IMAGES = {key: value for key, value in WIDTH.items() if key != "vocab_size"} | {
    "image_size": 16,
    "patch_size": 8,
}
# The class, and its configuration's settings.
TRANSFORMERS = {
    "BertForSequenceClassification": WIDTH,
    "DistilBertModel": {"vocab_size": 60, "dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 48},
    "RobertaModel": WIDTH | {"pad_token_id": 1},
    "ElectraModel": WIDTH | {"embedding_size": 16},
    "GPT2LMHeadModel": {"vocab_size": 60, "n_embd": 32, "n_layer": 2, "n_head": 4} | ENDS,
    "LlamaForCausalLM": CAUSAL,
    "Qwen3ForCausalLM": CAUSAL | {"head_dim": 8},
    "T5EncoderModel": T5,
    "ViTForImageClassification": IMAGES,
    "Dinov2Model": IMAGES,
    "CLIPVisionModel": IMAGES,
    "ConvNextModel": {"hidden_sizes": [8, 12, 16, 20], "depths": [1, 1, 2, 1]},
}


def awake(network, images=None):
    """No weight is zero, as some heads are at first, and BatchNorm has seen images.

    Otherwise a network answers the same to all, and any halves would do.
    """
    for parameter in network.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=0.1)
    norms = [m for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    for norm in norms:
        norm.momentum = 1.0
    if norms:
        network.train()(images)
    return network.eval()


def answer(out):
    if isinstance(out, torch.Tensor):
        return out
    return out["logits"] if "logits" in out else out["last_hidden_state"]


def check_exact(network, batch, others):
    """First, middle and last cut point: both halves on other batches."""
    points = list(cut_points(network, inputs=batch))
    assert block_layers(network, batch)
    for layer in (points[0], points[len(points) // 2], points[-1]):
        front, end = cut(network, layer, inputs=batch)
        for other in others:
            with torch.no_grad():
                expected = answer(network(**other))
                z = front(**other)
                assert torch.equal(end(z, **other), expected), layer
        assert (expected[0] != expected[1]).any()


@pytest.mark.parametrize("name", TIMM)
def test_a_network_of_timm_is_cut_exactly(name):
    size = TIMM[name].get("img_size", 64)
    images = torch.randn(4, 3, size, size)
    network = awake(timm.create_model(name, num_classes=5, **TIMM[name]), images)
    check_exact(network, {"x": images[:1]}, [{"x": images[:1]}, {"x": images[1:]}])


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("name", TRANSFORMERS)
def test_a_network_of_transformers_is_cut_exactly(name):
    kind = getattr(transformers, name)
    network = awake(kind(kind.config_class(**TRANSFORMERS[name])))

    def batch(n, length):
        if network.main_input_name == "pixel_values":
            size = getattr(network.config, "image_size", 32)
            return {"pixel_values": torch.randn(n, 3, size, size)}
        mask = torch.ones(n, length, dtype=torch.long)
        mask[0, length - 2 :] = 0
        return {"input_ids": torch.randint(3, 60, (n, length)), "attention_mask": mask}

    check_exact(network, batch(2, 7), [batch(1, 5), batch(3, 9)])
