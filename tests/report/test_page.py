"""The page is one whole file, says what the figures say, and survives what a run may lack."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from report_example import example_details, example_seeds, example_summary

from edgekd.report.details import Details
from edgekd.report.page import render, write_report
from edgekd.report.parts import loss_parts
from edgekd.report.plots import training_curves
from edgekd.report.svg import COLOURS
from edgekd.train.history import EpochRecord

VOID = {"meta", "br", "hr", "img", "input", "link"}
EVIL = '<script>alert("x")</script>$\\frac{1}{2}$'


class Page(HTMLParser):
    """Collects what the tests ask for, and holds that every element is closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "title"):
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def text() -> str:
    return render(example_summary(), example_details())


def minimal_summary():
    whole = example_summary()
    return whole.model_copy(
        update={
            "stages": whole.stages[:1],
            "models": [m for m in whole.models if m.stage == "distill"],
            "parity": [],
            "bench": [],
            "budget": [],
            "quality": [],
            "teachers": [],
            "settings": {},
        }
    )


def test_page_needs_nothing_from_outside(text):
    page = Page(text)
    for tag, attributes in page.tags:
        assert tag not in ("script", "link", "iframe", "object")
        for name in ("src", "href", "xlink:href", "data", "action"):
            assert (attributes.get(name) or "#").startswith("#"), (tag, attributes)
    assert "@import" not in text
    assert not re.search(r"url\((?!#)", text)
    outside = set(re.findall(r"https?://[^\s\"'<]+", text))
    assert outside <= {"http://www.w3.org/2000/svg"}
    assert len(text.encode()) < 600_000


def test_ids_are_unique_and_references_resolve(text):
    page = Page(text)
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    used = {a["href"] for _, a in page.tags if a.get("href")}
    used |= {f"#{name}" for name in re.findall(r"url\(#([^)]+)\)", text)}
    assert used <= {f"#{name}" for name in ids}


def test_every_figure_has_a_name_and_every_header_a_scope(text):
    page = Page(text)
    plots = page.of("svg")
    assert len(plots) == 4 + 4 + 2 + 2 + 3 + 3  # trainings and their losses, costs, confusions, ...
    assert all(plot["role"] == "img" and plot["aria-label"] for plot in plots)
    assert all(header.get("scope") in ("row", "col") for header in page.of("th"))


def test_plots_take_their_colours_from_the_theme(text):
    plots = "".join(re.findall(r"<svg.*?</svg>", text, re.DOTALL))
    assert re.findall(r"#[0-9a-f]{6}\b", plots) == []
    style = text[text.index("<style>") : text.index("</style>")]
    light = style[: style.index("prefers-color-scheme")]
    for name, colour in COLOURS.items():
        assert f"--{name}: {colour};" in light
        assert style.count(f"--{name}: #") == 2  # one light, one dark


def test_page_says_the_figures(text):
    page = Page(text)
    for figure in (
        "272,000 parameters → 6,106; 98.9 % → 98.6 %; 1.13 MB → 19.2 kB;",
        "17× faster in LiteRT on local",
        "45× fewer",
        "96.8 to 99.4 %",  # Wilson's interval of 355 of 360
        "≤ 12 µs",
        "✗ missed",
        "≥ 97 %",
        "avx512_vnni",
        "the last block keeps 8 channels",
        "PyTorch and LiteRT",
    ):
        assert figure in re.sub(r" (?=[;,.])", "", page.text), figure
    assert "nan" not in page.text.lower().split()


def test_quality_stands_side_by_side():
    summary = example_summary()
    page = Page(render(summary, example_details()))
    labels = [plot["aria-label"] or "" for plot in page.of("svg")]
    for name in ("Teacher", "Student, float32", "Student, int8"):
        assert page.text.count(name) >= 2
        assert any(label.startswith(f"Reliability of {name}: ") for label in labels)
    (brightness,) = [label for label in labels if "under brightness" in label]
    assert "Student, int8 −30 %: 75.0 %, +30 %: 85.0 %" in brightness
    ticks = re.sub(r"\s+", " ", page.text)
    assert "−30 % clean +30 %" in ticks, "clean stands between darker and brighter"
    for figure in summary.quality:
        found = figure.calibration
        assert found is not None and figure.shifted is not None
        assert f"by chance up to {100 * found.ece_by_chance:.1f} %" in page.text
        assert f"{100 * figure.shifted.value:.1f} %" in page.text


def test_quality_of_a_regression_has_no_calibration():
    summary = example_summary()
    for figure in summary.quality:
        figure.calibration = None
        for score in (figure.clean, *(row.score for row in figure.shifts)):
            score.metric = "r2"
    of_classes = (
        "ece",
        "ece_by_chance",
        "confidence",
        "temperature",
        "entropy",
        "outside",
        "wrong",
    )
    summary.teachers[0] = summary.teachers[0].model_copy(update=dict.fromkeys(of_classes))
    page = Page(render(summary, example_details()))
    assert "Calibration" not in page.text
    assert "Clean R²" in page.text
    assert len(page.of("svg")) == 4 + 4 + 2 + 2 + 3


def test_names_are_escaped():
    summary, details = example_summary(), example_details()
    summary.pipeline = EVIL
    summary.machine.processor = EVIL
    summary.bench[0].device = EVIL
    summary.stages[1].warnings = [EVIL]
    summary.settings = {"name": EVIL}
    labels = (EVIL, *details.labels[1:])
    networks = {"teacher": EVIL, "student": EVIL}
    histories = {EVIL: details.histories["teacher"]}
    evil = Details(
        histories=histories,
        confusion=details.confusion,
        labels=labels,
        networks=networks,
        warnings=[EVIL],
    )
    text = render(summary, evil)
    page = Page(text)
    assert page.of("script") == []
    assert "<script" not in text
    assert page.text.count(EVIL) >= 5


def test_a_run_with_next_to_nothing_still_has_a_page():
    page = Page(render(minimal_summary(), Details()))
    assert "8,442 parameters; 98.6 %; 41.2 kB" in page.text
    ids = {attributes.get("id") for attributes in page.of("section")}
    assert ids == {"stages", "cost", "run"}
    empty = minimal_summary().model_copy(update={"models": [], "stages": []})
    assert "This run made no model" in Page(render(empty, Details())).text


def test_seeds_show_their_intervals():
    summary = example_summary()
    summary.seeds, summary.over_seeds = [0, 1, 2], example_seeds()
    histories = {f"teacher@{seed}": example_details().histories["teacher"] for seed in range(3)}
    page = Page(render(summary, Details(histories=histories)))
    assert "Over 3 seeds" in page.text
    assert "98.20 % to 99.20 %" in page.text
    assert len([s for s in page.of("svg") if "epochs" in (s["aria-label"] or "")]) == 1


def test_same_input_same_bytes_and_atomic(tmp_path: Path, text):
    path = tmp_path / "report.html"
    write_report(example_summary(), example_details(), path)
    assert path.read_text(encoding="utf-8") == text
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


def test_a_single_epoch_and_many_classes_can_be_drawn():
    record = EpochRecord(1, 2.0, 2.3, 0.0, 1e-3, 1.0)
    assert "1 epochs" in training_curves({"teacher": [record], "distill": []})[0]
    rng = np.random.default_rng(0)
    matrix = rng.integers(0, 3, (100, 100)) + np.diag(np.full(100, 50))
    details = Details(confusion={"teacher": matrix, "student": matrix.T})
    text = render(example_summary(), details)
    assert "of the weakest cells are not drawn" in text
    assert len(text.encode()) < 1_500_000


def test_the_parts_of_a_loss_are_drawn():
    def record(epoch: int, **parts: float) -> EpochRecord:
        return EpochRecord(epoch, 1.0, 1.0, 0.5, 0.1, 1.0, parts)

    several = [record(1, ce=2.0, kd=0.5, at=1e-4), record(2, ce=1.0, kd=0.25, at=1e-5)]
    drawn = loss_parts({"teacher": [record(1, ce=1.0)], "distill@0": several, "distill@1": several})
    assert len(drawn) == 1
    for word in (">kd<", ">at<", ">ce<", "loss, by part", "at 0.00001"):
        assert word in drawn[0]
    assert loss_parts({"quantize": [record(1, ce=1.0, vid=-2.0)]})
