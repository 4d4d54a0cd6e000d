"""The page of `edgekd bench --device browser` as a phone shows it."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest
from headless import Command, program
from phone_page import HEIGHT, SCALE, WIDTH, PhonePage, phone_page
from tiny_models import Tiny

TOO_WIDE = f"""[...document.querySelectorAll("body *")].filter((e) => {{
  const box = e.getBoundingClientRect();
  return box.right > {WIDTH} + 0.5 || box.left < -0.5 || e.scrollWidth > e.clientWidth + 1
    && getComputedStyle(e).display !== "inline";
}}).map((e) => e.tagName + "#" + e.id)"""
TEXTS = """[...document.querySelectorAll("body *")].filter(
  (e) => [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()) && e.offsetHeight
)"""
"""What has text of its own, and is shown."""
SMALLEST_TEXT = f"Math.min(...{TEXTS}.map((e) => parseFloat(getComputedStyle(e).fontSize)))"
LOW_CONTRAST = """(() => {
  const numbers = (color) => color.match(/[\\d.]+/g).map(Number);
  const light = (color) => numbers(color).slice(0, 3).map((v) => v / 255).map(
    (v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4
  ).reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (e) => {
    const color = getComputedStyle(e).backgroundColor;
    return (numbers(color)[3] ?? 1) > 0 || !e.parentElement ? color : ground(e.parentElement);
  };
  return TEXTS.filter((e) => {
    const [a, b] = [light(getComputedStyle(e).color), light(ground(e))];
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05) < 4.5;
  }).map((e) => e.tagName + "#" + e.id);
})()""".replace("TEXTS", TEXTS)
SMALL_BUTTONS = """[...document.querySelectorAll("button, a, input, select")].filter((e) => {
  const box = e.getBoundingClientRect();
  return box.width < 44 || box.height < 44;
}).map((e) => e.tagName + "#" + e.id)"""

HIDDEN = "document.getElementById('{}').hidden"


def check(page: PhonePage, picture: Path) -> None:
    """Nothing is wider than the phone; text is 14 px or more with a contrast of 4.5 (WCAG 2.1, AA),
    in light and in dark; what is tapped has 44 px."""
    assert page.value("document.documentElement.scrollWidth") == WIDTH
    assert page.value("devicePixelRatio") == SCALE
    assert page.value(TOO_WIDE) == []
    assert page.value(SMALLEST_TEXT) >= 14
    assert page.value(SMALL_BUTTONS) == []
    assert page.value(f"{HIDDEN.format('now')} || {HIDDEN.format('wait')}"), "one or the other"
    for scheme in ("dark", "light"):
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        page.ask("Emulation.setEmulatedMedia", features=features)
        page.photograph(picture.with_stem(f"{picture.stem}-{scheme}"))
        assert page.value(LOW_CONTRAST) == [], scheme
    with picture.with_stem(f"{picture.stem}-light").open("rb") as file:
        width, height = struct.unpack(">II", file.read(24)[16:])
    assert width == SCALE * WIDTH and height >= SCALE * HEIGHT


@pytest.mark.slow
def test_the_page_before_and_after_a_benchmark(tmp_path: Path) -> None:
    program("npm", "npm")
    name = "a-long-name-of-a-keyword-spotting-network-int8-2026-11.onnx"
    Tiny().write(tmp_path, "onnx", "int8").rename(tmp_path / name)
    words = [name, "--device", "browser", "--threads", "1", "--quick", "--processes", "2"]
    with Command(tmp_path, "bench", *words, "--json", "-") as command:
        with phone_page(command.page(), tmp_path / "profile") as page:
            page.until("document.querySelector('#facts dd') !== null")
            check(page, tmp_path / "before.png")
            page.until("document.getElementById('state').className === 'done'")
            check(page, tmp_path / "after.png")
            shown = page.value("document.getElementById('results').innerText")
        code, out = command.end()
    assert code == 0, command.err
    (row,) = json.loads(out)["rows"]
    assert name in shown and "2 starts" in shown and row["processes"] == 2
    assert any(unit in shown for unit in (" µs", " ms"))
