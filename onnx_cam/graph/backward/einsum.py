"""Sums of products over named axes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from string import ascii_letters
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnx_cam.graph.backward.step import Gradients, NoRule, Step

__all__ = ["einsum"]


@dataclass(frozen=True)
class Equation:
    """An equation with a letter for each axis, also for those that an ellipsis stands for.

    Attributes
    ----------
    operands : list of str
    output : str
    """

    operands: list[str]
    output: str

    @property
    def free_letters(self) -> list[str]:
        """Letters that are not used."""
        return [letter for letter in ascii_letters if letter not in "".join([*self.operands, self.output])]


def einsum(step: Step) -> Gradients:
    """The sum of products of the gradient and the other operands, over all letters that this operand lacks."""
    shapes = [step.shape(place) for place in range(len(step.node.input))]
    equation = _parse(step.attribute("equation", ""), [len(shape) for shape in shapes])
    sizes: dict[str, int | None] = {}
    for letters, shape in zip(equation.operands, shapes, strict=True):
        for letter, size in zip(letters, shape, strict=True):
            sizes[letter] = size if sizes.get(letter, 1) == 1 else sizes[letter]  # 1 is broadcast
    return {
        place: _gradient(step, equation, sizes, place) for place in range(len(step.node.input)) if step.wants(place)
    }


def _gradient(step: Step, equation: Equation, sizes: dict[str, int | None], place: int) -> str:
    own = equation.operands[place]
    terms = [equation.output, *(letters for i, letters in enumerate(equation.operands) if i != place)]
    tensors = [step.gradient, *(step.value(i) for i in range(len(equation.operands)) if i != place)]

    def multiply(letters: str, array: NDArray[Any]) -> None:
        terms.append(letters)
        tensors.append(step.emit.constant(array))

    # An axis along which the operand was broadcast is summed, and comes back with a size of 1.
    is_broadcast = [size == 1 != sizes[letter] for letter, size in zip(own, step.shape(place), strict=True)]
    kept, unused = "", equation.free_letters
    for letter, is_summed in zip(own, is_broadcast, strict=True):
        if is_summed:
            continue
        if letter in kept:  # a diagonal: 0 elsewhere
            kept += (other := unused.pop())
            multiply(letter + other, np.eye(_fixed(sizes, letter), dtype=np.float32))
            continue
        kept += letter
        if not any(letter in term for term in terms):  # a sum over this operand alone: the same everywhere
            multiply(letter, np.ones(_fixed(sizes, letter), np.float32))
    found = step.emit.add("Einsum", *tensors, equation=f"{','.join(terms)}->{kept}")
    return step.emit.unsqueeze(found, [axis for axis, is_summed in enumerate(is_broadcast) if is_summed])


def _fixed(sizes: dict[str, int | None], letter: str) -> int:
    size = sizes[letter]
    if size is None:
        raise NoRule(f"its size {letter!r} depends on the batch")
    return size


def _parse(text: str, ranks: Sequence[int]) -> Equation:
    """Return an equation for operands of these ranks; without an output it has the letters that occur once, sorted."""
    left, arrow, output = text.replace(" ", "").partition("->")
    if not arrow:
        counts = Counter(filter(str.isalpha, left))
        output = "..." * ("..." in left) + "".join(sorted(letter for letter, n in counts.items() if n == 1))
    operands = left.split(",")
    # An ellipsis stands for as many axes as are left, counted from the last.
    others = Equation(operands, output).free_letters
    counts_left = [rank - len(own.replace("...", "")) for own, rank in zip(operands, ranks, strict=True)]
    hidden = "".join(others[: max(counts_left)])
    named = [
        own.replace("...", hidden[len(hidden) - count :]) for own, count in zip(operands, counts_left, strict=True)
    ]
    return Equation(named, output.replace("...", hidden))
