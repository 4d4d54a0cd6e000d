"""`MODEL_CARD.md`: what a model is for, what it was made of and how, and how good it is where (the
idea and the sections are those of Mitchell et al. 2019, "Model cards for model reporting").
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from edgekd.package.deployable import Deployable, DeployedFile
from edgekd.results import Accuracy, MetricFigures, ModelFigures, RetentionFigures
from edgekd.spec import InputSpec, ModelSpec
from edgekd.tasks import names

ANSWERS = {
    "classification": "which of {n} classes",
    "binary": "which of two classes",
    "multilabel": "which of {n} labels, each by itself",
    "regression": "{n} numbers",
}
STEPS = ("teacher", "distill", "finetune", "prune", "quantize")
MOST_LABELS = 40
"""Labels that are listed in a sentence; a table has all of them."""
NO_FIGURE = "–"


def card_of(model: Deployable, file: DeployedFile) -> str:
    """The card as Markdown. It holds no date: the same run gives the same card."""
    sections = (
        ("", _head(model, file)),
        ("Intended use", _use(file)),
        ("Data", _data(model)),
        ("Results", _results(file)),
        (
            "By " + ("target" if file.told.model.task == "regression" else "class"),
            _each(model, file),
        ),
        ("Time", _times(file)),
        ("Limits", _limits(model, file)),
        ("Compression steps", _steps(model, file)),
        ("Made with", _made(model, file)),
    )
    parts = []
    for title, lines in sections:
        body = "\n".join(lines)
        parts.append(f"## {title}\n\n{body}" if title else body)
    return "\n\n".join(parts) + "\n"


def _head(model: Deployable, file: DeployedFile) -> Iterator[str]:
    yield f"# {model.names.artefact} {model.version}"
    yield ""
    yield f"- licence of the model: {_plain(file.facts['license']) or 'not stated'}"
    yield f"- author: {_plain(file.facts['author']) or 'not stated'}"
    kind = f"{file.format} file in {file.told.precision}"
    yield f"- {file.told.model.name}, a {kind} of {len(file.content):,} bytes"


def _use(file: DeployedFile) -> Iterator[str]:
    spec = file.told.model
    yield file.facts["description"]
    yield ""
    answer = ANSWERS[spec.task].format(n=len(spec.labels))
    yield f"It takes {' and '.join(map(_input_words, spec.input.inputs))}, and tells {answer}."
    if len(spec.labels) <= MOST_LABELS:
        yield f"The answers: {', '.join(map(_plain, spec.labels))}."


def _input_words(part: InputSpec) -> str:
    if part.sound is not None:
        return f"a recording of {part.sound.samples / part.sound.rate:g} s at {part.sound.rate} Hz"
    if part.kind == "image":
        channels, height, width = part.shape
        colour = {1: "grey", 3: "RGB"}.get(channels, f"{channels}-channel")
        return f"a {colour} picture, which it sees in {width} x {height} pixels"
    if part.kind == "series":
        return f"a window of {part.shape[1]} steps of {part.shape[0]} channels"
    if part.kind == "codes":
        return f"categories ({', '.join(map(_plain, part.columns)) or part.shape[0]})"
    return f"numbers ({', '.join(map(_plain, part.columns)) or part.shape[0]})"


def _data(model: Deployable) -> Iterator[str]:
    told = model.summary.settings.get("data", {})
    yield f"- source: {told.get('source', NO_FIGURE)}"
    if told.get("path"):
        yield f"- file: {str(told['path']).replace(chr(92), '/').rsplit('/', 1)[-1]}"
    if model.data:
        yield f"- {model.data}"
    yield "- The test samples were used for these figures and for nothing else."


def _results(file: DeployedFile) -> Iterator[str]:
    accuracy = file.figures.accuracy
    if accuracy is None:
        yield "This run did not measure the file on the test set."
        return
    yield f"Of the file itself, in {accuracy.runtime}, on {accuracy.n:,} {accuracy.split} samples."
    yield ""
    rows = [row for row in file.figures.metrics if not row.target]
    head = [] if any(row.name == accuracy.metric for row in rows) else [accuracy]
    yield from _table(
        ("metric", "value", "95 % interval"),
        [
            (names.title(_name(row)), _shown(row, row.value), _interval(row))
            for row in (*head, *rows)
        ],
    )


def _name(row: Accuracy | MetricFigures) -> str:
    return row.metric if isinstance(row, Accuracy) else row.name


def _shown(row: Accuracy | MetricFigures, value: float) -> str:
    if isinstance(row, MetricFigures) and row.unit == "raw":
        return f"{value:.4g}"
    return names.shown(value, _name(row))


def _interval(row: Accuracy | MetricFigures) -> str:
    return f"{_shown(row, row.low)} to {_shown(row, row.high)}"


def _each(model: Deployable, file: DeployedFile) -> Iterator[str]:
    spec = file.told.model
    rows = [row for row in file.figures.metrics if row.target]
    if rows:
        yield from _table(
            ("target", "metric", "value", "95 % interval"),
            [(r.target, names.title(r.name), _shown(r, r.value), _interval(r)) for r in rows],
        )
        return
    form = _last_form(model, file)
    if form is None or not form.per_class:
        yield "Not measured in this run."
        return
    measure = "F1" if spec.task == "multilabel" else "recall"
    yield f"On {form.score.n:,} test samples, as PyTorch computes the same network."
    yield ""
    shares = [NO_FIGURE if v is None else f"{100 * v:.1f} %" for v in form.per_class]
    yield from _table(("class", measure), list(zip(spec.labels, shares, strict=True)))


def _last_form(model: Deployable, file: DeployedFile) -> RetentionFigures | None:
    """The network that became the file."""
    found = [
        row
        for row in model.summary.retention
        if row.seed == file.figures.seed and row.stage in STEPS[1:]
    ]
    whole = "int8" if file.told.precision == "int8" else "float32"
    return next((row for row in reversed(found) if row.precision == whole), None)


def _times(file: DeployedFile) -> Iterator[str]:
    rows = [
        (row.device, row.runtime, str(row.threads), f"{row.latency_us.p50:,.1f} µs")
        for row in file.bench
        if row.latency_us is not None
    ]
    if not rows:
        yield "Not measured in this run."
        return
    yield "One inference, the median:"
    yield ""
    yield from _table(("device", "runtime", "threads", "p50"), rows)


def _limits(model: Deployable, file: DeployedFile) -> Iterator[str]:
    spec = file.told.model
    yield "- The figures hold for data like the test samples, which come from the source above."
    if spec.task in ("classification", "binary"):
        yield "- It answers with one of its classes whatever it is shown, also with what is none."
    yield from _missing(spec)
    ours = [
        row
        for row in model.summary.quality
        if row.stage == "student"
        and row.seed == file.figures.seed
        and row.model == file.figures.path
    ]
    for row in ours:
        if row.shifted is not None:
            clean, shifted = (
                names.shown(s.value, row.clean.metric) for s in (row.clean, row.shifted)
            )
            yield f"- Noise, blur, light, contrast or gain: {clean} becomes {shifted} on the mean."
        if row.calibration is not None:
            gap = row.calibration.confidence - row.calibration.accuracy
            side = "above" if gap > 0 else "below"
            yield (
                f"- Its scores lie {100 * abs(gap):.1f} points {side} how often it is right "
                f"(calibration error {100 * row.calibration.ece.value:.1f} %)."
            )
    if not ours:
        yield "- Robustness and calibration were not measured in this run."


def _missing(spec: ModelSpec) -> Iterator[str]:
    if any(part.columns and part.kind in ("row", "codes") for part in spec.input.inputs):
        yield (
            "- A number that is missing counts as the mean of the training rows, and a category "
            "that they did not have as missing."
        )


def _steps(model: Deployable, file: DeployedFile) -> Iterator[str]:
    made = [
        m
        for m in model.summary.models
        if m.format == "torch" and m.seed == file.figures.seed and m.stage in STEPS
    ]
    rows = [
        (f"{m.stage}, {m.precision}", f"{m.parameters:,}", f"{m.macs:,}", _score(m)) for m in made
    ]
    rows.append(
        (
            f"{file.format}, {file.told.precision}",
            f"{file.figures.parameters:,}",
            f"{file.figures.macs:,}",
            _score(file.figures),
        )
    )
    yield from _table(("after", "parameters", "multiplications", "test score"), rows)


def _score(figures: ModelFigures) -> str:
    accuracy = figures.accuracy
    return NO_FIGURE if accuracy is None else names.shown(accuracy.value, accuracy.metric)


def _made(model: Deployable, file: DeployedFile) -> Iterator[str]:
    yield f"- pipeline {model.pipeline}, key {model.key}, seed {file.figures.seed}"
    versions = sorted(model.summary.versions.items())
    yield f"- {', '.join(f'{name} {version}' for name, version in versions)}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    for cells in (head, ["---"] * len(head), *rows):
        yield f"| {' | '.join(_plain(cell).replace('|', '/') for cell in cells)} |"


def _plain(text: str) -> str:
    """On one line and without tags: labels are whatever the data had."""
    return " ".join(text.split()).replace("<", "&lt;")
