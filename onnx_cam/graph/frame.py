"""A frame: which part of the network's input a layer's cells look at."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["WHOLE", "Frame"]


@dataclass(frozen=True)
class Frame:
    """The rectangle of the network's input that a layer's cells cover evenly, in fractions of its height and width.

    A graph that crops its input has a frame within (0, 0, 1, 1); one that pads it has a frame that reaches beyond.

    Attributes
    ----------
    top, left, bottom, right : float
        The edges; ``top < bottom`` and ``left < right``.

    Examples
    --------
    >>> Frame(0.25, 0.25, 0.75, 0.75).is_whole
    False
    >>> Frame().is_whole
    True
    """

    top: float = 0.0
    left: float = 0.0
    bottom: float = 1.0
    right: float = 1.0

    @property
    def is_whole(self) -> bool:
        """Whether the cells cover the whole input, and nothing else."""
        return (self.top, self.left, self.bottom, self.right) == (0.0, 0.0, 1.0, 1.0)

    @property
    def rows(self) -> tuple[float, float]:
        """``(top, bottom)``."""
        return self.top, self.bottom

    @property
    def columns(self) -> tuple[float, float]:
        """``(left, right)``."""
        return self.left, self.right

    def common(self, other: Frame) -> Frame:
        """Return the part that two frames share; where they share none, the nearest edge of this one.

        Examples
        --------
        >>> Frame(0.25, 0.25, 0.75, 0.75).common(Frame(0.5, 0.0, 1.0, 1.0))
        Frame(top=0.5, left=0.25, bottom=0.75, right=0.75)
        """
        top, left = min(max(self.top, other.top), self.bottom), min(max(self.left, other.left), self.right)
        return Frame(top, left, max(min(self.bottom, other.bottom), top), max(min(self.right, other.right), left))

    def within(self, part: Frame) -> Frame:
        """Return a part of the input in fractions of this frame.

        Examples
        --------
        >>> Frame(-0.5, -0.5, 1.5, 1.5).within(Frame())
        Frame(top=0.25, left=0.25, bottom=0.75, right=0.75)
        """
        height, width = self.bottom - self.top, self.right - self.left
        return Frame(
            (part.top - self.top) / height,
            (part.left - self.left) / width,
            (part.bottom - self.top) / height,
            (part.right - self.left) / width,
        )


WHOLE = Frame()
"""The frame of a graph that neither crops nor pads its input."""
