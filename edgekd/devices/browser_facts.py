"""What a browser tells about itself and its machine. It is not trusted to be what is expected."""

from __future__ import annotations

from typing import Any

SHOWN = 300
"""Characters of a text."""
THREADS = 256
"""More processors than any browser tells of."""
GIB = 2**30


def machine_of(facts: dict[str, Any], runtimes: dict[str, str]) -> dict[str, Any]:
    """The facts as the agent tells those of a machine, and `webgpu` and `browser`.

    Args:
        facts: what the page sent; see `facts` in `page/page.js`.
        runtimes: versions by package.
    """
    threads = facts.get("threads") is True
    cores = int(_number(facts, "hardware_concurrency", 1, THREADS))
    graphics = facts.get("webgpu")
    gpu = _text(graphics, "name") if isinstance(graphics, dict) else ""
    emulated = isinstance(graphics, dict) and graphics.get("fallback") is True
    memory = facts.get("memory_gb")
    kinds = {"simd": "wasm-simd128", "relaxed_simd": "wasm-relaxed-simd", "threads": "wasm-threads"}
    system = (_text(facts, "platform"), _text(facts, "platform_version"))
    return {
        "system": " ".join(part for part in system if part) or "not told",
        "processor": " ".join(filter(None, (_text(facts, "model"), _text(facts, "architecture"))))
        or "not told",
        "cores": cores if threads else 1,
        "memory_bytes": 0 if memory is None else int(_number(facts, "memory_gb", 0, 4096) * GIB),
        "instructions": [kind for name, kind in kinds.items() if facts.get(name) is True],
        "governor": None,
        "load_average": None,
        "runtimes": runtimes,
        "webgpu": bool(gpu),
        "webgpu_emulated": emulated,
        "browser": {
            "user_agent": _text(facts, "user_agent"),
            "hardware_concurrency": cores,
            "cross_origin_isolated": facts.get("cross_origin_isolated") is True,
            "timer_us": _number(facts, "timer_us", 0, 1e6),
            "webgpu": f"{gpu}, emulated" if emulated else gpu,
        },
    }


def _text(told: dict[str, Any], name: str) -> str:
    value = told.get(name)
    if not isinstance(value, str):
        return ""
    return "".join(c for c in value if c.isprintable())[:SHOWN]


def _number(told: dict[str, Any], name: str, least: float, most: float) -> float:
    value = told.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return least
    if value > most:
        return most
    return float(value) if value >= least else least  # NaN is least, too
