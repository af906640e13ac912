"""What a stitching run is called unless its plan says it."""

# How options of training are called in a name, each where it is not at its default.
_SHORT = {
    "lr": "lr",
    "weight_decay": "wd",
    "batch_size": "b",
    "optimizer": "",
    "precision": "",
    "seed": "seed",
    "seeds": "seeds",
}
_LONG = 40  # letters of a side's layers; names of folders end at 255


def stitch_name(values: Mapping[str, Any], dataset: str | None) -> str:
    """A stitching run: networks, data set, layers, and every option that makes it unlike others.

    A matrix of which nothing is trained starts nowhere: it is solved.
    """
    words = [networks_name((values["sender"], values["receiver"]), dataset, values["model"])]
    layers = [layer for side in ("sender", "receiver") if (layer := values[f"{side}_layer"])]
    words += layers or _matrix_layers(values)
    epochs, defaults = epochs_of(values), stitch_defaults()
    words += [values["init"] if layers or epochs else "solved"]
    family = family_of(values)
    words += [family] if family != "affine" else []
    for option, short in (("low_rank", "r"), ("l1", "l1-"), ("cka_reg", "cka"), ("direct", "")):
        words += [f"{short}{values[option]}"] if values[option] else []
    words += [values["mask"]] if values["mask"] != "identity" else []
    words += ["flat"] if values["flatten"] else []
    words += [values["target_type"]] if values["target_type"] != "hard" else []
    words += [f"t{values['temperature']}"] if values["temperature"] != 1 else []
    words += [f"on{values['solve_on']}"] if values["solve_on"] else []
    words += [] if values["augment"] else ["unaugmented"]
    trained = STITCHES[family].trainable and (layers or epochs)  # else its name says it already
    if trained and values["epochs"] != defaults["epochs"]:
        words.append(f"e{values['epochs']}")
    for option, short in _SHORT.items():
        if (value := values[option]) != defaults[option]:
            words.append(f"{short}{value:g}" if isinstance(value, float) else f"{short}{value}")
    words += ["debug"] if values["debug"] else []
    return "-".join(words)


def _matrix_layers(values: Mapping[str, Any]) -> list[str]:
    """What a matrix is called: all, or the layers of each side, or how many if they are many."""
    sides = [values[f"{side}_layers"] for side in ("sender", "receiver")]
    if not any(sides):
        return ["all"]
    named = ["+".join(side or ["all"]) for side in sides]
    return [
        name if len(name) <= _LONG else f"{len(side)}layers"
        for name, side in zip(named, sides, strict=True)
    ]
