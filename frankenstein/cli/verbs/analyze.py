"""`frankenstein analyze`: questions about two networks, in one report."""

from frankenstein.cli.words import Words

WORDS = Words(
    about="""
        One pass over the data serves all questions. Without layers, each is asked of the
        activations behind every layer with a weight matrix that both networks have by the same
        name.
        """,
    examples="""
        frankenstein analyze model_weights/tiny10/digits/in0-gn0.safetensors \\
            model_weights/tiny10/digits/in1-gn1.safetensors --all
        frankenstein analyze A.safetensors B.safetensors relu3 relu5 \\
            --units -d fashion
        frankenstein analyze A.safetensors B.safetensors 'relu*' --probes
        frankenstein analyze A.safetensors B.safetensors --circuits --threshold 0.8
        frankenstein analyze A.safetensors B.safetensors bn3,bn5,bn7 --invariances
        """,
    positionals=("sender", "receiver", "sender_layer", "receiver_layer"),
    first=(
        "all",
        "units",
        "weights",
        "activations",
        "circuits",
        "merge",
        "probes",
        "autoencoder",
        "dataset",
        "data_root",
    ),
)
