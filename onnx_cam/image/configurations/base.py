"""What a format of configurations is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, TypeAlias

from onnx_cam.image.configurations.values import Config
from onnx_cam.image.preprocessing import Preprocessing
from onnx_cam.image.resizing import Size

__all__ = ["ConfigurationFormat", "FixedSize"]

FixedSize: TypeAlias = tuple[int | None, int | None]
"""``(H, W)`` of the network's input, each None where the model leaves it free."""


class ConfigurationFormat(ABC):
    """A format in which a tool writes the preprocessing of a model: into a file beside it, or into its metadata.

    A format knows every key that changes the pixels. One that it cannot apply is named in the preprocessing's notes.
    """

    files: ClassVar[tuple[str, ...]] = ()
    """The names of its files beside a model, the likeliest first; ``{stem}`` stands for the model's own name."""

    metadata_key: ClassVar[str] = ""
    """What it is called as a part of a model's metadata, where it may be one."""
    describes: ClassVar[bool] = True
    """Whether its configurations describe a preprocessing; otherwise they are only known, and may state a size."""

    @abstractmethod
    def recognises(self, config: Config) -> bool:
        """Tell whether a configuration is of this format."""

    @abstractmethod
    def read(self, config: Config, fixed: FixedSize) -> Preprocessing:
        """Return the preprocessing that a configuration describes.

        Parameters
        ----------
        config : mapping
            A configuration of this format.
        fixed : tuple
            ``(H, W)`` of the network's input, as far as the model fixes it.

        Returns
        -------
        Preprocessing
            Its source is not set yet, and its notes do not name it.

        Raises
        ------
        LookupError, TypeError, ValueError, ArithmeticError
            It describes none that can be used.
        """

    def size(self, config: Config) -> Size | None:
        """Return the size of the network's input that a configuration states without describing a preprocessing."""
        return None
