"""The page in a real browser, at the width of a phone."""

from __future__ import annotations

import html
import subprocess
import sys
from pathlib import Path

import pytest

sys.path += [
    str(Path(__file__).resolve().parents[1] / folder) for folder in ("report", "sweep", "devices")
]
from headless import FLAGS, program
from report_example import example_details, example_summary
from sweep_example import example

from edgekd.report.page import write_report
from edgekd.report.sweep_page import write_page

IN_A_PAGE = ("--allow-file-access-from-files", "--virtual-time-budget=5000")

WRAPPER = """<!DOCTYPE html><body>
<iframe id="phone" src="report.html" style="width:390px;height:800px;border:0"></iframe>
<script>
addEventListener("load", () => {
  const page = document.getElementById("phone").contentDocument;
  const edge = 390.5;
  const wide = [...page.querySelectorAll("main *")].filter(
    (e) => !e.closest(".scroll, pre, svg *") && e.getBoundingClientRect().right > edge);
  document.title = "width=" + page.documentElement.scrollWidth +
    " sections=" + page.querySelectorAll("section").length +
    " wide=" + wide.map((e) => e.tagName + "." + e.className).join(",");
});
</script></body>"""


def facts_on_a_phone(page: Path) -> dict[str, str]:
    """How wide a page `report.html` is on a phone, how many sections it has, and what is wider."""
    wrapper = page.with_name("phone.html")
    wrapper.write_text(WRAPPER, encoding="utf-8")
    browser = program("chromium", "chromium", "chromium-browser")
    profile = f"--user-data-dir={page.with_name('profile')}"
    shown = subprocess.run(
        [browser, *FLAGS, *IN_A_PAGE, profile, "--dump-dom", wrapper.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    title = html.unescape(shown.stdout.partition("<title>")[2].partition("</title>")[0])
    return dict(part.partition("=")[::2] for part in title.split(" "))


@pytest.mark.slow
def test_page_fits_a_phone(tmp_path: Path):
    write_report(example_summary(), example_details(), tmp_path / "report.html")
    facts = facts_on_a_phone(tmp_path / "report.html")
    assert facts["sections"] == "11", facts
    assert int(facts["width"]) <= 390, facts
    assert facts["wide"] == "", facts


@pytest.mark.slow
def test_page_of_a_sweep_fits_a_phone(tmp_path: Path):
    write_page(example(), tmp_path / "report.html")
    facts = facts_on_a_phone(tmp_path / "report.html")
    assert facts["sections"] == "4", facts
    assert int(facts["width"]) <= 390, facts
    assert facts["wide"] == "", facts
