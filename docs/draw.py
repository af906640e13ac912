"""Draws the pictures of concepts.md as small SVG files: python docs/draw.py"""

from pathlib import Path

BLUE, RED, GREY, INK = "#cfe3f3", "#f6d5c3", "#e6e6e6", "#1b1f24"
FOLDER = Path(__file__).with_name("pictures")


def box(x: int, y: int, text: str, colour: str, wide: int = 92) -> str:
    """A box of a network, with its name in it."""
    middle = f'x="{x + wide / 2:g}" y="{y + 25}"'
    return (
        f'<rect x="{x}" y="{y}" width="{wide}" height="40" rx="6" fill="{colour}" stroke="{INK}"/>'
        f"<text {middle}>{text}</text>"
    )


def arrow(x: int, y: int, to_x: int, to_y: int) -> str:
    """From a point to a point."""
    return f'<path d="M{x} {y} L{to_x} {to_y}" stroke="{INK}" fill="none" marker-end="url(#tip)"/>'


def words(x: int, y: int, text: str) -> str:
    """Words by themselves."""
    return f'<text x="{x}" y="{y}">{text}</text>'


def picture(width: int, height: int, what: str, *parts: str) -> str:
    """A whole file, with what there is to see for those who cannot see it."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" role="img"><title>{what}</title>'
        "<style>text{font:14px sans-serif;text-anchor:middle;fill:#1b1f24}</style>"
        '<defs><marker id="tip" markerWidth="9" markerHeight="8" refX="8" refY="4" orient="auto">'
        f'<path d="M0 0 L9 4 L0 8 z" fill="{INK}"/></marker></defs>'
        f'<rect width="{width}" height="{height}" fill="white"/>{"".join(parts)}</svg>\n'
    )


def cut() -> str:
    """A network in two halves, and a layer that a skip goes around."""
    return picture(
        660,
        190,
        "A cut: all paths from the input to the output go through one tensor. A layer that a skip "
        "connection goes around is no cut point.",
        words(40, 45, "image"),
        arrow(66, 40, 96, 40),
        box(98, 20, "front", BLUE, 150),
        arrow(248, 40, 318, 40),
        words(283, 14, "bn3"),
        box(320, 20, "end", BLUE, 150),
        arrow(470, 40, 500, 40),
        words(535, 45, "answer"),
        f'<path d="M283 20 V70" stroke="{INK}" stroke-dasharray="5 4"/>',
        words(40, 140, "image"),
        arrow(66, 135, 96, 135),
        box(98, 115, "a", GREY),
        arrow(190, 135, 238, 135),
        box(240, 115, "b", GREY),
        arrow(332, 135, 378, 135),
        box(380, 115, "a + b", GREY),
        arrow(472, 135, 500, 135),
        words(535, 140, "answer"),
        f'<path d="M210 135 C230 75 330 75 392 113" stroke="{INK}" fill="none" '
        'marker-end="url(#tip)"/>',
        words(330, 178, "no cut behind b: the skip goes around it"),
    )


def stitch() -> str:
    """Two networks, and the graft of both."""
    return picture(
        700,
        250,
        "A stitch: the front of the sender, a learned map, and the end of the receiver.",
        words(52, 45, "sender"),
        box(100, 20, "front", BLUE, 130),
        arrow(230, 40, 268, 40),
        box(270, 20, "end", BLUE, 130),
        words(52, 225, "receiver"),
        box(100, 200, "front", RED, 130),
        arrow(230, 220, 468, 220),
        box(470, 200, "end", RED, 130),
        arrow(600, 220, 636, 220),
        words(664, 225, "answer"),
        box(270, 110, "stitch", GREY, 130),
        f'<path d="M245 40 C250 80 235 130 268 130" stroke="{INK}" fill="none" '
        'marker-end="url(#tip)"/>',
        f'<path d="M400 130 C460 130 430 190 468 210" stroke="{INK}" fill="none" '
        'marker-end="url(#tip)"/>',
        words(200, 100, "source"),
        words(470, 125, "stitched"),
        words(350, 240, "target"),
    )


def controls() -> str:
    """What an accuracy is held against."""
    rows = [
        ("receiver by itself", 91.0, GREY),
        ("the stitch", 88.5, BLUE),
        ("from untrained senders", 78.9, RED),
        ("no stitch: source as it is", 23.1, RED),
        ("always the same answer", 10.0, RED),
    ]
    parts = []
    for i, (name, share, colour) in enumerate(rows):
        y = 20 + 42 * i
        parts += [
            f'<text x="210" y="{y + 20}" style="text-anchor:end">{name}</text>',
            f'<rect x="220" y="{y}" width="{4 * share:g}" height="30" fill="{colour}" '
            f'stroke="{INK}"/>',
            f'<text x="{228 + 4 * share:g}" y="{y + 20}" style="text-anchor:start">'
            f"{share} %</text>",
        ]
    what = "Accuracies of a stitch and of its controls; a stitch is worth what it is above them."
    return picture(680, 240, what, *parts)


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for drawn in (cut, stitch, controls):
        (FOLDER / f"{drawn.__name__}.svg").write_text(drawn(), encoding="utf-8")
