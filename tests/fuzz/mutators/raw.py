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
    changed = bytearray(content)
    for _ in range(_count(random)):
        changed = _change(changed, random, others, places) or bytearray(b"\0")
    return bytes(changed)


def _count(random: Random) -> int:
    """Return how many changes to make: one in most files, since the first that is noticed hides the others."""
    count = 1
    while count < 16 and random.random() < 0.5:
        count += 1
    return count


def _change(content: bytearray, random: Random, others: Sequence[bytes], places: Sequence[int]) -> bytearray:
    near = random.choice(places) if places and random.random() < 0.8 else len(content)
    start = near if near < len(content) else random.randrange(len(content))
    length = random.randint(1, _LONGEST) if random.random() < 0.9 else random.randint(1, len(content))
    head, span, tail = content[:start], content[start : start + length], content[start + length :]
    # Within what matters, most changes keep the length: a message whose length is wrong is not read any further.
    choice = random.randrange(10) if not places or random.random() < 0.2 else random.randrange(5, 10)
    if choice == 0:
        return head  # cut off
    if choice == 1:
        return head + tail
    if choice == 2:
        return head + span * random.randint(2, 4) + tail
    if choice == 3:
        return head + random.randbytes(len(span)) + tail
    if choice == 4:
        return head + random.randbytes(random.randint(1, 8)) + span + tail
    if choice == 5:
        number = random.choice(_NUMBERS)
        size = random.choice([s for s in (1, 2, 4, 8) if number < 256**s])
        return head + number.to_bytes(size, random.choice(["big", "little"])) + content[start + size :]
    if choice == 6 and others:
        other = random.choice(others)
        place = random.randrange(len(other))
        return head + other[place : place + length][: len(span)] + tail
    if choice == 7:
        content[start] = random.randrange(256)
        return content
    content[start] ^= 1 << random.randrange(8)
    return content
