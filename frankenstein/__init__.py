"""In what way are two networks alike inside?

Data flows one way: data -> zoo -> train -> cut -> stitch -> measure -> report

Importing this package imports nothing heavy; each room (`frankenstein.zoo`,
`frankenstein.surgery`, ...) is imported by name.
"""


def __getattr__(name: str) -> str:
    """`__version__`: the tag that was built, or one after it."""
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib.metadata import PackageNotFoundError, version  # only when it is asked for

    try:
        return version("frankenstein-stitching")
    except PackageNotFoundError:
        return "unknown, for it is not installed"
