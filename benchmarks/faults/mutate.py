"""Damage with a plan: what makes an input hostile is mostly a length, a name or a depth."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

NUMBERS = (
    0,
    1,
    2**7,
    2**8 - 1,
    2**15,
    2**16 - 1,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**63 - 1,
    2**64 - 1,
)
"""What lengths, counts and offsets overflow at."""
DEPTH = 20_000
"""Brackets in each other."""
ODD: tuple[Any, ...] = (
    *(None, True, False, -1, 0, 1e308, 2**70, -0.5, "", "0", "é\u202e\x00", "../../../etc/passwd"),
    *("/etc/passwd", "odd.py:build", [], {}, [[[]]], {"": None}, "x" * 5000, 10**400),
)
"""Values that stand where others should."""
TOKENS = (
    *(b"-1", b"99999999999999999999", b"1e999", b"nan", b"null", b"true", b"[", b"{", b'"', b"\0"),
    *(
        b"\xff\xfe",
        b"../",
        b"!!python/object/apply:os.system [id]",
        b"&a [*a]",
        b"*a",
        b": ",
        b"\n",
    ),
    *(b"2001-99-99", b"9" * 5000, b"[" * DEPTH, b'{"a":' * DEPTH, b"(" * DEPTH),
)


def mutate(random: Random, seed: bytes, others: Sequence[bytes]) -> bytes:
    """`seed` with one to four changes.

    Args:
        random: where chance comes from; hypothesis gives one of its own.
        others: further seeds of the same kind, to splice with.
    """
    made = seed
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        made = random.choice(CHANGES)(random, made, others)
    return made


def _flip(random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    made = bytearray(data or b"\0")
    for _ in range(random.choice((1, 1, 2, 8))):
        made[random.randrange(len(made))] ^= 1 << random.randrange(8)
    return bytes(made)


def _cut(random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    return data[: random.randrange(len(data) + 1)]


def _number(random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    size = random.choice((1, 2, 4, 8))
    word = (random.choice(NUMBERS) % 2 ** (8 * size)).to_bytes(
        size, random.choice(("little", "big"))
    )
    place = random.randrange(max(1, len(data) - size))
    return data[:place] + word + data[place + size :]


def _chunk(random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """A piece again, elsewhere; or left out; or one of another seed."""
    start = random.randrange(len(data) + 1)
    end = min(len(data), start + random.choice((1, 4, 16, 256)))
    place = random.randrange(len(data) + 1)
    kind = random.randrange(3)
    if kind == 0:
        return data[:start] + data[end:]
    if kind == 1:
        return data[:place] + data[start:end] + data[place:]
    return data[:place] + random.choice(others)[place:]


def _token(random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    place = random.randrange(len(data) + 1)
    gone = random.choice((0, 0, 1, 4))
    return data[:place] + random.choice(TOKENS) + data[place + gone :]


def _json(random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """A value of a JSON document replaced or removed; other content has bits flipped."""
    try:
        whole = json.loads(data)
    except (ValueError, RecursionError):
        return _flip(random, data, others)
    holders = list(_holders(whole))
    if not holders:
        return json.dumps(random.choice(ODD)).encode()
    holder = random.choice(holders)
    place = random.choice(list(holder) if isinstance(holder, dict) else range(len(holder)))
    if random.randrange(4) == 0:
        del holder[place]
    else:
        holder[place] = random.choice(ODD)
    return json.dumps(whole).encode()


def _holders(value: Any) -> Any:
    if isinstance(value, dict | list) and value:
        yield value
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _holders(inner)


def _zip(random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """A member of an archive changed or renamed, with the right checksum: what reads it sees it."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
    except Exception:  # it is none, or no longer one
        return _flip(random, data, others)
    if not members:
        return data
    name = random.choice(list(members))
    content = members.pop(name)
    change = random.choice((_flip, _cut, _number, _chunk, _token, _json))
    if random.randrange(4):
        content = change(random, content, list(members.values()) or [content])
    else:
        name = random.choice((f"../{name}", f"/{name}", f"{name}/{name}", "", "\0", f"x\\{name}"))
    made = io.BytesIO()
    with zipfile.ZipFile(
        made, "w", random.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
    ) as new:
        for each, old in members.items():
            new.writestr(each, old)
        new.writestr(name or "x", content)
    return made.getvalue()


CHANGES: tuple[Callable[[Random, bytes, Sequence[bytes]], bytes], ...] = (
    *(_flip, _cut, _number, _number, _chunk, _token, _json, _zip),
)
