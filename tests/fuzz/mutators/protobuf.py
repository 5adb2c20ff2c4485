"""Damage to the messages of any protobuf: fields set, cleared, repeated, exchanged, and copied from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

__all__ = ["NOT_TEXT", "change_message", "messages", "serialised"]

NOT_TEXT = "not-utf-8-\x7f"
"""Stands for bytes that are not UTF-8, which Python's protobuf lets nobody set; see `serialised`."""

_WHOLE = (0, 1, -1, 2, 3, 4, 7, 16, 17, 255, 1000, 2**15, 2**31 - 1, 2**31, -(2**31), 2**40, 2**62, 2**63 - 1, -(2**63))
_REAL = (0.0, -0.0, 1.0, -1.0, 0.5, 1e-45, 1e30, 3e38, float("inf"), float("-inf"), float("nan"))
_TEXTS = ("", NOT_TEXT, "a\0b", "\n", "image", "logits", "ai.onnx", "com.microsoft", "../x", "x" * 5000, "é", "\u2028")
_MAX_MESSAGES = 5000


def messages(message: Any) -> Iterator[Any]:
    """Yield a message and all the messages in it."""
    yield message
    for field, value in message.ListFields():
        if field.message_type is not None:
            for inner in value if _is_repeated(field) else [value]:
                yield from messages(inner)


def change_message(root: Any, random: Random, names: list[str]) -> None:
    """Change one field somewhere in a message.

    Parameters
    ----------
    root : Message
    random : Random
    names : list of str
        Names that occur in it, to be put in place of others.
    """
    every = [message for message, _ in zip(messages(root), range(_MAX_MESSAGES), strict=False)]
    # Messages of each type are equally likely: else most changes would be of a shape's dimensions.
    by_type: dict[str, list[Any]] = {}
    for message in every:
        by_type.setdefault(message.DESCRIPTOR.name, []).append(message)
    message = random.choice(by_type[random.choice(sorted(by_type))])
    present = [field for field, _ in message.ListFields()]
    field = random.choice(present if present and random.random() < 0.8 else list(message.DESCRIPTOR.fields))
    if _is_repeated(field):
        _change_list(message, field, random, names, by_type)
    elif field.message_type is not None:
        _change_inner(message, field, random, by_type)
    elif random.random() < 0.2:
        message.ClearField(field.name)
    else:
        setattr(message, field.name, _scalar(field, random, names))


def serialised(message: Any) -> bytes:
    """Return a message's bytes, with `NOT_TEXT` replaced by bytes of its length that are not UTF-8."""
    marker = NOT_TEXT.encode()
    content: bytes = message.SerializeToString()
    return content.replace(marker, b"\xff\xfe\x80" + marker[3:])


def _change_list(message: Any, field: Any, random: Random, names: list[str], by_type: dict[str, list[Any]]) -> None:
    values = list(getattr(message, field.name))
    place = random.randrange(len(values)) if values else 0
    choice = random.randrange(6)
    if choice == 0 and values:
        del values[place]
    elif choice == 1 and values:
        values.insert(random.randrange(len(values) + 1), values[place])
    elif choice == 2 and values:
        random.shuffle(values)
    elif choice == 3:
        values = values[: place if random.random() < 0.5 else 0]
    elif field.message_type is not None:
        values[place : place + (choice == 4)] = random.choices(by_type.get(field.message_type.name, [_new(field)]))
    else:
        values[place : place + (choice == 4)] = [_scalar(field, random, names)]
    copies = [_copy(value) for value in values] if field.message_type is not None else values
    message.ClearField(field.name)
    getattr(message, field.name).extend(copies)


def _change_inner(message: Any, field: Any, random: Random, by_type: dict[str, list[Any]]) -> None:
    if random.random() < 0.4:
        message.ClearField(field.name)
        return
    other = _copy(random.choice(by_type.get(field.message_type.name, [_new(field)])))
    getattr(message, field.name).CopyFrom(other)


def _scalar(field: Any, random: Random, names: list[str]) -> Any:
    """Return an odd value of a field's type."""
    if field.enum_type is not None:
        return random.choice([value.number for value in field.enum_type.values])
    if field.cpp_type in (field.CPPTYPE_FLOAT, field.CPPTYPE_DOUBLE):
        return random.choice(_REAL)
    if field.cpp_type == field.CPPTYPE_STRING:
        if field.type == field.TYPE_BYTES:
            return random.choice([b"", b"\xff", random.randbytes(7), bytes(1000), b"\xff\xfe\x80", b"NOTSET"])
        return random.choice(names) if names and random.random() < 0.6 else random.choice(_TEXTS)
    low, high = _RANGES[field.cpp_type]
    return min(max(random.choice(_WHOLE), low), high)


_RANGES = {1: (-(2**31), 2**31 - 1), 2: (-(2**63), 2**63 - 1), 3: (0, 2**32 - 1), 4: (0, 2**64 - 1), 7: (0, 1)}
"""Of int32, int64, uint32, uint64 and bool, by ``FieldDescriptor.CPPTYPE_*``."""


def _copy(message: Any) -> Any:
    copy = type(message)()
    copy.CopyFrom(message)
    return copy


def _new(field: Any) -> Any:
    from google.protobuf import message_factory

    return message_factory.GetMessageClass(field.message_type)()


def _is_repeated(field: Any) -> bool:
    is_repeated = getattr(field, "is_repeated", None)
    return bool(field.label == field.LABEL_REPEATED if is_repeated is None else is_repeated)
