"""The pipeline file that `edgekd init` writes."""

from __future__ import annotations

import os
from pathlib import Path

from edgekd.config.data import NpzData, TableData
from edgekd.errors import ConfigError, DataError
from edgekd.schema import schema_text
from edgekd.store import write_atomic

SCHEMA_FILE = "pipeline.schema.json"

TEMPLATE = """\
# yaml-language-server: $schema={schema}
# Every field has a default: `edgekd schema pipeline` lists them. Run this with
#   edgekd run {file}
name: {name}
seed: 0                  # the same seed on the same processor gives the same bits
# seeds: 5               # do everything five times, and get figures with intervals

{data}
teacher:                 # the large network; only its answers reach the student
  model: {teacher}
  train: {{epochs: 40}}
  # require: {{accuracy: 95 %}}   # stop here if the teacher is worse than this on validation

student:                 # the network that is deployed
  model: {{name: {student}, width: 0.5}}

distill:
  method: {{name: kd, temperature: 4}}
  train: {{epochs: 60}}

# prune: {{keep: 0.7}}     # remove whole channels until 70 % of the multiplications remain

quantize: qat            # int8, trained through the quantizer; `ptq` only calibrates

bench: quick             # leave this line out for figures to publish

budget:                  # a miss is told at the end, with exit code 3
  accuracy_drop: 2 %     # below the teacher, on the test set
  # size: 40 kB
  # latency: {{device: local, threads: 1, p50: 2 ms}}
"""

DIGITS = """\
data:
  source: digits         # scikit-learn's handwritten digits; or the path of your own .npz
  augment: {shift: 1}
"""

NPZ = """\
data:
  source: npz
  path: {path}
{augment}"""

TABLE = """\
data:
  source: table
  path: {path}
  label: {label}         # the last column; name the one that is to be told
  # categorical: [...]   # numbers that are codes; text is found by itself
  # drop: [...]          # columns to leave out, such as a row's number
"""

SERIES = """\
data:
  source: series         # a row a step, in the order of time; a column a channel
  path: {path}
  label: {label}         # a window has the label of most of its steps
{columns}  window: {window}
  # stride: {stride}           # from a window's start to the next one's
  augment: {{time_shift: {shift}, noise: 0.1}}
"""

AUGMENT = (
    "  augment: {shift: 2}    # and flip: true, where a mirrored image is still the same class\n"
)


def write_starter(output: Path, data: Path | None, window: int | None = None) -> None:
    """Writes a commented pipeline file for `data` (or the digits), and the schema beside it.

    Args:
        window: the data is a signal with a row a step, and a window has so many of them.

    Raises:
        ConfigError: `output` exists.
        DataError: `data` cannot be used, said now rather than after the file is written.
    """
    if output.exists():
        raise ConfigError(
            "This file exists already.", where=str(output), fix="name another file to write"
        )
    if data is None:
        name, block, teacher, student = "digits", DIGITS, "resnet20", "dscnn"
    elif window is not None:
        name, block, teacher, student = _for_series(data, output, window)
    else:
        name, block, teacher, student = _for_data(data, output)
    output.parent.mkdir(parents=True, exist_ok=True)
    text = TEMPLATE.format(
        schema=SCHEMA_FILE,
        file=output.name,
        name=name,
        data=block,
        teacher=teacher,
        student=student,
    )
    write_atomic(output.with_name(SCHEMA_FILE), schema_text("pipeline"))
    write_atomic(output, text)


def _for_data(data: Path, output: Path) -> tuple[str, str, str, str]:
    """Name, data block, teacher and student that suit a file."""
    import json

    from edgekd.data.sources import load_source

    if data.suffix.lower() in (".csv", ".parquet", ".pq"):
        return _for_table(data, output)
    if data.suffix != ".npz":
        raise DataError(
            "This kind of data has no source yet.",
            where=str(data),
            fix="save it as .npz with the arrays x and y: see docs/data.md",
        )
    dataset = load_source(NpzData(path=data.absolute()), Path.cwd())
    path = os.path.relpath(data.absolute(), output.absolute().parent)
    is_image = dataset.spec.kind == "image"
    block = NPZ.format(path=json.dumps(path), augment=AUGMENT if is_image else "")
    teacher, student = ("resnet20", "dscnn") if is_image else ("mlp", "mlp")
    return _name(data), block, teacher, student


def _for_table(data: Path, output: Path) -> tuple[str, str, str, str]:
    """The same for a table; its last column is taken for the label."""
    import json

    from edgekd.data.sources import load_source
    from edgekd.data.table_file import read_table

    label = list(read_table(data).columns)[-1]
    load_source(TableData(path=data.absolute(), label=(label,)), Path.cwd())
    path = os.path.relpath(data.absolute(), output.absolute().parent)
    block = TABLE.format(path=json.dumps(path), label=json.dumps(label))
    return _name(data), block, "tablemlp", "tablemlp"


def _for_series(data: Path, output: Path, window: int) -> tuple[str, str, str, str]:
    """The same for a table over time, with what its columns look like."""
    import json

    from edgekd.data.series_guess import guess
    from edgekd.data.sources import load_source
    from edgekd.data.table_file import SUFFIXES, read_table

    if data.suffix.lower() not in SUFFIXES:
        raise DataError(
            "Windows are cut of a table with a row a step.",
            where=str(data),
            fix="give a .csv or .parquet file, or leave --window out",
        )
    found = guess(read_table(data.absolute()), None, window)
    load_source(found, Path.cwd())
    group = json.dumps(found.group, ensure_ascii=False) if found.group else None
    columns = (
        f"  group: {group}         # stays on one side of every split\n"
        if group
        else "  # group: ...           # a column, such as a machine, that no two parts share\n"
    )
    if found.drop:
        columns += f"  drop: {json.dumps(found.drop, ensure_ascii=False)}\n"
    block = SERIES.format(
        path=json.dumps(os.path.relpath(data.absolute(), output.absolute().parent)),
        label=json.dumps(found.label[0], ensure_ascii=False),
        columns=columns,
        window=window,
        stride=found.step,
        shift=window // 8,
    )
    return _name(data), block, "cnn1d", "cnn1d"


def _name(data: Path) -> str:
    name = "".join(c if c.isalnum() or c in "._-" else "-" for c in data.stem).strip("._-")
    return name or "mine"
