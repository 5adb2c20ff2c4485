"""Damage to bytes, whatever they are."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

__all__ = ["damaged"]

_NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**64 - 1)
_LONGEST = 64  # bytes that one change inserts, removes or repeats, most of the time


def damaged(content: bytes, random: Random, others: Sequence[bytes] = (), places: Sequence[int] = ()) -> bytes:
    """Return bytes with a few changes.

    Parameters
    ----------
    content : bytes
    random : Random
    others : sequence of bytes
        Intact files of the kind, from which parts are taken.
    places : sequence of int
        Positions that matter more than others; most changes are made there.
    """
    for _ in range(_count(random)):
        content = _change(content, random, others, places) or b"\0"
    return content


def _count(random: Random) -> int:
    """Return how many changes to make: one in most files, since the first that is noticed hides the others."""
    count = 1
    while count < 16 and random.random() < 0.5:
        count += 1
    return count


def _change(content: bytes, random: Random, others: Sequence[bytes], places: Sequence[int]) -> bytes:
    near = random.choice(places) if places and random.random() < 0.8 else len(content)
    start = near if near < len(content) else random.randrange(len(content))
    length = random.randint(1, _LONGEST) if random.random() < 0.9 else random.randint(1, len(content))
    head, span, tail = content[:start], content[start : start + length], content[start + length :]
    # Within what matters, most changes keep the length: a message whose length is wrong is not read any further.
    choice = random.randrange(11) if not places or random.random() < 0.2 else random.randrange(4, 11)
    other = random.choice(others or [content])
    place = random.randrange(len(other))
    number = random.choice(_NUMBERS)
    size = random.choice([size for size in (1, 2, 4, 8) if number < 256**size])
    changes: dict[int, bytes] = {
        0: b"",  # with its tail cut off
        1: tail,
        2: span * random.randint(2, 4) + tail,
        3: random.randbytes(random.randint(1, 8)) + span + tail,
        4: random.randbytes(len(span)) + tail,
        5: number.to_bytes(size, random.choice(["big", "little"])) + content[start + size :],
        6: other[place : place + len(span)] + tail,
        7: bytes([random.randrange(256)]) + content[start + 1 :],
    }
    flipped = bytes([content[start] ^ 1 << random.randrange(8)]) + content[start + 1 :]
    return head + changes.get(choice, flipped)
