"""Names in a compiled Java class, changed without a compiler.

All names of a class file, those of its own and other classes, of types in signatures and the text
of constants, lie in its constant pool, and everything else refers to them by number: The Java
Virtual Machine Specification, Java SE 8, sections 4.1 and 4.4. So other names only make the pool
longer or shorter.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

MAGIC = 0xCAFEBABE
UTF8 = 1
POOL = 8
"""Where the pool's count stands, behind magic and version."""
SIZES = {3: 4, 4: 4, 5: 8, 6: 8, 7: 2, 8: 2, 9: 4, 10: 4, 11: 4, 12: 4, 15: 3, 16: 2, 18: 4}
"""Bytes of the other entries behind their tag (table 4.4-A)."""
TWO_NUMBERS = (5, 6)
"""Longs and doubles take two numbers of the pool."""


def with_names(content: bytes, change: Callable[[str], str]) -> bytes:
    """A class file with every text of its constant pool passed through `change`.

    Raises:
        ValueError: it is no class file.
    """
    if len(content) < POOL + 2 or struct.unpack_from(">I", content)[0] != MAGIC:
        raise ValueError("this is no class file")
    count = struct.unpack_from(">H", content, POOL)[0]
    parts, at, number = [content[: POOL + 2]], POOL + 2, 1
    while number < count:
        tag = content[at]
        if tag == UTF8:
            size = struct.unpack_from(">H", content, at + 1)[0]
            text = change(content[at + 3 : at + 3 + size].decode("ascii")).encode("ascii")
            parts.append(struct.pack(">BH", UTF8, len(text)) + text)
            at += 3 + size
        elif tag in SIZES:
            parts.append(content[at : at + 1 + SIZES[tag]])
            at += 1 + SIZES[tag]
        else:
            raise ValueError(f"a constant of the unknown kind {tag}")
        number += 2 if tag in TWO_NUMBERS else 1
    return b"".join([*parts, content[at:]])
