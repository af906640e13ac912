"""The code of halves finds each container of layers once: every step would walk its layer's path.

In a network of small layers, such as MobileNetV3, that walk takes a tenth of the time.
"""

import re

# A path; or words in quotes, in which nothing is one.
_PATH = re.compile(
    r'''((?:getattr\()*\bself(?:\.\w+|, "[^"]*"\))+)|'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"'''
)
_NAME = re.compile(r'\.(\w+)|, "([^"]*)"\)')


def hoisted(body: list[str]) -> list[str]:
    """Lines of a function that torch.fx wrote, where containers are variables.

    >>> print(*hoisted(['a = self.b.c(x)\\n', 'd = getattr(self.b, "0")(a)\\n']), sep="")
    _layers1 = self.b
    a = _layers1.c(x)
    d = getattr(_layers1, "0")(a)
    <BLANKLINE>
    >>> hoisted(["a = f(x, 'self.a.b')"])
    ["a = f(x, 'self.a.b')"]
    """
    known: dict[tuple[str, ...], str] = {(): "self"}
    first: list[str] = []

    def place(path: tuple[str, ...]) -> str:
        if path not in known:
            found = _attribute(place(path[:-1]), path[-1])
            known[path] = f"_layers{len(known)}"
            first.append(f"{known[path]} = {found}\n")
        return known[path]

    def shorter(match: re.Match[str]) -> str:
        if match[1] is None:
            return match[0]
        *path, last = (plain or quoted for plain, quoted in _NAME.findall(match[0]))
        return _attribute(place(tuple(path)), last)

    text = _PATH.sub(shorter, "".join(body))
    return [*first, text]


def _attribute(of: str, name: str) -> str:
    return f"{of}.{name}" if name.isidentifier() else f'getattr({of}, "{name}")'
