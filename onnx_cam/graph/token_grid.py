"""The grid on which a transformer's tokens lie, and tokens as maps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import isqrt
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

__all__ = ["TokenGrid", "token_grid", "tokens_to_maps"]

_MOST_PREFIX_TOKENS = 16
_MOST_PREFIX_TOKENS_OF_A_SQUARE = 2  # a class token, and DeiT's distillation token
_MOST_MERGINGS = 5

_Scalar = TypeVar("_Scalar", bound=np.generic)


@dataclass(frozen=True)
class TokenGrid:
    """Where a tensor's tokens lie in the image, row by row.

    Attributes
    ----------
    height, width : int
        The grid's size, in tokens.
    prefix : int
        How many tokens come before those of the grid: class token, registers.

    Examples
    --------
    >>> grid = TokenGrid(14, 14, prefix=1)
    >>> grid.prefix + grid.height * grid.width
    197
    """

    height: int
    width: int
    prefix: int


def token_grid(shape: Sequence[int], patch_grid: tuple[int, int] | None) -> TokenGrid | None:
    """Return the grid of a token tensor; None where no grid fits, or it is smaller than 2×2.

    Parameters
    ----------
    shape : sequence of int
        ``(N, T, D)``, or ``(N, h, w, D)`` whose grid is (h, w). The caller checks that axis 0 is the batch.
    patch_grid : tuple of int, optional
        ``(H, W)`` of the patch embedding. After j mergings of 2×2 tokens each, T = prefix + ⌈H/2^j⌉·⌈W/2^j⌉ for the
        smallest j that fits and a prefix of 16 tokens at most, or h and w are about H/2^j and W/2^j; an axis of
        attention heads does not fit. Without it: a square grid after 2 tokens at most, or any h and w.

    Examples
    --------
    >>> token_grid((1, 197, 768), (14, 14))  # a class token, then 196 patches
    TokenGrid(height=14, width=14, prefix=1)
    >>> token_grid((1, 7, 7, 768), (56, 56))  # Swin's last stage
    TokenGrid(height=7, width=7, prefix=0)
    """
    grids: Iterable[TokenGrid] = ()
    if len(shape) == 4:
        grids = [TokenGrid(shape[1], shape[2], 0)] if _is_merged((shape[1], shape[2]), patch_grid) else []
    elif len(shape) == 3:
        grids = _square_grids(shape[1]) if patch_grid is None else _merged_grids(shape[1], patch_grid)
    return next((grid for grid in grids if min(grid.height, grid.width) > 1), None)


def _is_merged(sides: tuple[int, int], patch_grid: tuple[int, int] | None) -> bool:
    """Whether two sides are the patch grid's, halved equally often, rounded up or down."""
    if patch_grid is None:
        return True
    return any(
        all(abs(side * 2**mergings - whole) < 2**mergings for side, whole in zip(sides, patch_grid, strict=True))
        for mergings in range(_MOST_MERGINGS + 1)
    )


def _merged_grids(tokens: int, patch_grid: tuple[int, int]) -> Iterator[TokenGrid]:
    for mergings in range(_MOST_MERGINGS + 1):
        height, width = (-(-side // 2**mergings) for side in patch_grid)  # rounded up: Swin pads an odd side
        prefix = tokens - height * width
        most_prefix_tokens = _MOST_PREFIX_TOKENS if mergings == 0 else 0  # models that merge have no class token
        if 0 <= prefix <= most_prefix_tokens:
            yield TokenGrid(height, width, prefix)


def _square_grids(tokens: int) -> Iterator[TokenGrid]:
    for prefix in range(min(tokens, _MOST_PREFIX_TOKENS_OF_A_SQUARE) + 1):
        side = isqrt(tokens - prefix)
        if side**2 + prefix == tokens:
            yield TokenGrid(side, side, prefix)


def tokens_to_maps(tokens: NDArray[_Scalar], grid: TokenGrid) -> NDArray[_Scalar]:
    """Return tokens as maps, without the prefix tokens.

    Parameters
    ----------
    tokens : ndarray of shape (B, T, D) or (B, h, w, D)
    grid : TokenGrid
        The grid of that shape, from `token_grid`.

    Returns
    -------
    ndarray of shape (B, D, h, w)
        A view where that is possible.

    Examples
    --------
    >>> tokens = np.arange(5.0).reshape(1, 5, 1)  # a class token 0, then 2×2 patches of one channel
    >>> tokens_to_maps(tokens, TokenGrid(2, 2, prefix=1))
    array([[[[1., 2.],
             [3., 4.]]]])
    """
    if tokens.ndim == 3:
        on_grid = tokens[:, grid.prefix : grid.prefix + grid.height * grid.width]  # (B, h·w, D)
        tokens = on_grid.reshape(len(tokens), grid.height, grid.width, tokens.shape[-1])  # (B, h, w, D)
    return np.moveaxis(tokens, -1, 1)  # (B, D, h, w)
