"""What of timm and transformers is recorded and cut exactly: 45 and 27 networks, small, random.

Of each: whether it was recorded, its cut points, whether `end(front(x))` is bit for bit what the
network gives at the first, the middle and the last of them, for the batch that it was recorded with
and for others of other sizes, and the seconds that recording took. Names as arguments choose some.
"""

import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import timm
import torch
import transformers
from torch import Tensor, nn

from frankenstein.surgery import LayerError, cut, cut_points

Batch = dict[str, Tensor]

# What timm calls them, and what makes them small.
TIMM: dict[str, dict[str, Any]] = {
    "resnet18": {},
    "vit_tiny_patch16_224": {"img_size": 32, "depth": 3},
    "deit_tiny_patch16_224": {"img_size": 32, "depth": 3},
    "convnext_atto": {},
    "mobilenetv3_small_050": {},
    "efficientnet_b0": {},
    "swin_tiny_patch4_window7_224": {"img_size": 56, "embed_dim": 24, "depths": (1, 1, 1, 1)},
    "mixer_s32_224": {"img_size": 64},
    "resmlp_12_224": {"img_size": 32},
    "poolformer_s12": {},
    "pit_ti_224": {"img_size": 64},
    "levit_128": {"img_size": 64},
    "mobilevit_xxs": {},
    "edgenext_xx_small": {},
    "maxvit_rmlp_pico_rw_256": {"img_size": 64},
    "coatnet_nano_rw_224": {"img_size": 64},
    "regnety_002": {},
    "densenet121": {"block_config": (2, 2), "growth_rate": 8},
    "dla34": {},
    "ghostnet_100": {},
    "hrnet_w18_small": {},
    "eca_nfnet_l0": {},
    "eva02_tiny_patch14_224": {"img_size": 28, "depth": 2},
    "vit_small_patch14_dinov2": {"img_size": 28, "depth": 2},
    "tiny_vit_5m_224": {},
    "efficientformerv2_s0": {"img_size": 64},
    "fastvit_t8": {},
    "repvgg_a0": {},
    "inception_next_atto": {},
    "visformer_tiny": {"img_size": 64},
    "convit_tiny": {"img_size": 32, "depth": 3},
    "mvitv2_tiny": {"img_size": 64},
    "cait_xxs24_224": {"img_size": 32, "depth": 2},
    "xcit_nano_12_p16_224": {"img_size": 32, "depth": 2},
    "skresnet18": {},
    "hgnetv2_b0": {},
    "vgg11_bn": {},
    "pvt_v2_b0": {},
    "gmlp_ti16_224": {"img_size": 32},
    "res2net50_26w_4s": {},
    "rexnet_100": {},
    "mnasnet_small": {},
    "mobilenetv4_conv_small_050": {},
    "davit_tiny": {"depths": (1, 1, 1, 1)},
    "crossvit_tiny_240": {"img_size": 240},
}
WIDTH = {
    "vocab_size": 60,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
}
ENDS = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
CAUSAL = WIDTH | ENDS | {"num_key_value_heads": 2}
GPT2 = {"vocab_size": 60, "n_embd": 32, "n_layer": 2, "n_head": 4} | ENDS
T5 = {"vocab_size": 60, "d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2, "num_heads": 4}
IMAGES = {key: value for key, value in WIDTH.items() if key != "vocab_size"} | {
    "image_size": 16,
    "patch_size": 8,
}
# The class, and its configuration's settings.
TRANSFORMERS: dict[str, dict[str, Any]] = {
    "BertModel": WIDTH,
    "BertForSequenceClassification": WIDTH,
    "DistilBertModel": {"vocab_size": 60, "dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 48},
    "RobertaModel": WIDTH | {"pad_token_id": 1},
    "ElectraModel": WIDTH | {"embedding_size": 16},
    "AlbertModel": WIDTH | {"embedding_size": 16},
    "MPNetModel": WIDTH | {"pad_token_id": 1},
    "DebertaV2Model": WIDTH,
    "GPT2Model": GPT2,
    "GPT2LMHeadModel": GPT2,
    "OPTForCausalLM": WIDTH | ENDS | {"ffn_dim": 48, "word_embed_proj_dim": 32},
    "GPTNeoXForCausalLM": WIDTH | ENDS,
    "LlamaForCausalLM": CAUSAL,
    "Qwen2ForCausalLM": CAUSAL,
    "Qwen3ForCausalLM": CAUSAL | {"head_dim": 8},
    "MistralForCausalLM": CAUSAL,
    "GemmaForCausalLM": CAUSAL | {"head_dim": 8},
    "PhiForCausalLM": CAUSAL,
    "MambaForCausalLM": {
        "vocab_size": 60,
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "state_size": 4,
        "use_cache": False,
    },
    "T5EncoderModel": T5,
    "ViTModel": IMAGES,
    "ViTForImageClassification": IMAGES,
    "CLIPVisionModel": IMAGES,
    "Dinov2Model": IMAGES,
    "BeitModel": IMAGES,
    "ConvNextModel": {"hidden_sizes": [8, 12, 16, 20], "depths": [1, 1, 2, 1]},
    "SwinModel": {
        "image_size": 32,
        "patch_size": 2,
        "embed_dim": 8,
        "depths": [2, 2],
        "num_heads": [2, 2],
        "window_size": 4,
    },
}


def main() -> None:
    warnings.simplefilter("ignore")
    print(
        f"torch {torch.__version__}, timm {timm.__version__}, transformers "
        f"{transformers.__version__}, {torch.get_num_threads()} threads.\n\n"
        "| network | captured | cut points | exact | seconds |\n| --- | --- | ---: | --- | ---: |"
    )
    totals = []
    for make, names in ((of_timm, TIMM), (of_transformers, TRANSFORMERS)):
        rows = [row(name, *make(name)) for name in names if not sys.argv[1:] or name in sys.argv]
        right = sum(exact == "yes" for exact in rows)
        totals.append(f"{right} of {len(rows)} of {make.__name__.removeprefix('of_')}")
    print(f"\nCaptured and exact: {', '.join(totals)}.")


def row(name: str, network: nn.Module, batches: list[Batch]) -> str:
    """Print what is found of one network; whether it is exact."""
    start = time.perf_counter()
    try:
        points = list(cut_points(network, inputs=batches[0]))
    except LayerError as error:
        print(f"| {name} | no: {error} | | | |", flush=True)
        return "no"
    seconds = time.perf_counter() - start
    chosen = dict.fromkeys([points[0], points[len(points) // 2], points[-1]])
    wrong = [why for layer in chosen if (why := check(network, layer, batches))]
    exact = "; ".join(wrong) or "yes"
    print(f"| {name} | yes | {len(points)} | {exact} | {seconds:.1f} |", flush=True)
    return exact


@torch.no_grad()
def check(network: nn.Module, layer: str, batches: list[Batch]) -> str:
    """What is wrong with the halves at a layer; "" if nothing is."""
    front, end = cut(network, layer, inputs=batches[0])
    for batch in batches:
        size = " x ".join(map(str, next(iter(batch.values())).shape))
        expected = answer(network(**batch))
        try:
            if not torch.equal(end(front(**batch), **batch), expected):
                return f"{layer}, {size}: other numbers"
        except LayerError as error:
            return f"{layer}, {size}: {error}"
        if len(expected) > 1 and torch.equal(expected[0], expected[1]):
            return "the network gives the same for all"
    return ""


def answer(out: Any) -> Tensor:
    """The tensor that halves give of what a network gives."""
    if isinstance(out, Tensor):
        return out
    return out["logits"] if "logits" in out else out["last_hidden_state"]


def of_timm(name: str) -> tuple[nn.Module, list[Batch]]:
    torch.manual_seed(0)
    network = timm.create_model(name, num_classes=5, **TIMM[name])
    side = TIMM[name].get("img_size", 64)
    images = [{"x": torch.randn(n, 3, side, side)} for n in (2, 4, 1)]
    return awake(network, lambda: network(images[1]["x"])), images


def of_transformers(name: str) -> tuple[nn.Module, list[Batch]]:
    torch.manual_seed(0)
    kind = getattr(transformers, name)
    network = kind(kind.config_class(**TRANSFORMERS[name]))

    def batch(n: int, length: int) -> Batch:
        if network.main_input_name == "pixel_values":
            side = getattr(network.config, "image_size", 32)
            return {"pixel_values": torch.randn(n, 3, side, side)}
        mask = torch.ones(n, length, dtype=torch.long)
        mask[0, length - 2 :] = 0
        return {"input_ids": torch.randint(3, 60, (n, length)), "attention_mask": mask}

    return awake(network), [batch(2, 7), batch(3, 7), batch(1, 5), batch(3, 9)]


def awake(network: nn.Module, look: Callable[[], object] | None = None) -> nn.Module:
    """No weight is zero, as some heads are at first, and BatchNorm has seen images.

    Otherwise a network answers the same to all, and any halves would do.
    """
    for parameter in network.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=0.1)
    norms = [m for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    for norm in norms:
        norm.momentum = 1.0
    if norms and look is not None:
        network.train()
        with torch.no_grad():
            look()
    return network.eval()


if __name__ == "__main__":
    main()
