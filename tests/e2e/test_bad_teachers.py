"""Teachers, soft labels and methods that do not fit, told by the real command before training."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from commands import edgekd, explained

PIPELINE = """\
name: mine
data: {source: npz, path: mine.npz, labels: [ant, bee, cat]}
teacher: {model: mlp, train: {epochs: 2}}
student: {model: {name: mlp, width: 0.25}}
distill: {train: {epochs: 2}}
"""


def write(folder: Path, name: str, old: str = "", new: str = "") -> str:
    """The pipeline called `name`, with a change."""
    text = PIPELINE.replace("name: mine\n", f"name: {name}\n").replace(old, new or old)
    (folder / f"{name}.yaml").write_text(text)
    return f"{name}.yaml"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose teacher and soft labels are made."""
    folder = tmp_path_factory.mktemp("teachers")
    y = np.arange(120) % 3
    x = np.random.default_rng(0).normal(size=(120, 5)).astype(np.float32) + y[:, None]
    np.savez(folder / "mine.npz", x=x, y=y)
    np.savez(folder / "others.npz", x=x + 1, y=y)
    edgekd("labels", write(folder, "mine"), "--out", "soft.npz", cwd=folder)
    return folder


def trained(folder: Path, name: str) -> list[str]:
    """Stages that train and were finished."""
    found = (folder / "runs" / name).glob("*-*")
    return [path.name for path in found if path.name.startswith(("teacher", "distill"))]


def refused(folder: Path, file: str, *parts: str, code: int = 1) -> None:
    explained(edgekd("run", file, cwd=folder, expect=code), *parts)
    assert not trained(folder, file.removesuffix(".yaml"))


@pytest.mark.parametrize("temperature", ["0", "-2", "{from: 4, to: 0}", ".nan"])
def test_a_temperature_that_is_none(tmp_path: Path, temperature: str):
    method = f"{{method: {{name: kd, temperature: {temperature}}}, train"
    file = write(tmp_path, "cold", "distill: {train", f"distill: {method}")
    done = edgekd("run", file, cwd=tmp_path, expect=2)
    explained(done, "distill.method", "temperature", "greater than 0")


@pytest.mark.slow
def test_a_teacher_of_other_classes(folder: Path):
    (saved,) = (folder / "runs/mine").glob("teacher-*")
    given = f"{{model: mlp, weights: {saved}, train: null}}"
    old = "{model: mlp, train: {epochs: 2}}"
    file = write(folder, "classes", old, given)
    (folder / file).write_text((folder / file).read_text().replace("cat]", "dog]"))
    refused(folder, file, "classes", "cat", "dog")


@pytest.mark.slow
def test_a_teacher_whose_classes_stand_in_another_order(folder: Path):
    (saved,) = (folder / "runs/mine").glob("teacher-*")
    given = f"{{model: mlp, weights: {saved}, train: null}}"
    file = write(folder, "order", "{model: mlp, train: {epochs: 2}}", given)
    (folder / file).write_text((folder / file).read_text().replace("ant, bee", "bee, ant"))
    refused(folder, file, "another order", "ant, bee, cat", "bee, ant, cat")


@pytest.mark.slow
def test_soft_labels_of_other_classes_or_not_numbers(folder: Path):
    with np.load(folder / "soft.npz") as arrays:
        found = dict(arrays)
    np.savez(folder / "classes.npz", **(found | {"labels": np.array(["ant", "bee", "dog"])}))
    broken = found["train_logits"].copy()
    broken.reshape(-1)[7] = np.nan
    np.savez(folder / "nan.npz", **(found | {"train_logits": broken}))
    for name, parts in (("classes", ("dog", "cat")), ("nan", ("nan", "sample 2"))):
        given = f"{{labels: {name}.npz}}"
        file = write(folder, f"labels-{name}", "{model: mlp, train: {epochs: 2}}", given)
        refused(folder, file, *parts)


@pytest.mark.slow
def test_soft_labels_of_another_data_set(folder: Path):
    file = write(folder, "others", "{model: mlp, train: {epochs: 2}}", "{labels: soft.npz}")
    (folder / file).write_text((folder / file).read_text().replace("mine.npz", "others.npz"))
    refused(folder, file, "other data")


@pytest.mark.slow
def test_a_cache_that_was_put_there_from_another_run(folder: Path):
    """A folder that somebody copied under another's key."""
    edgekd("run", write(folder, "copied"), "--until", "check", cwd=folder)
    (cache,) = (folder / "runs/copied").glob("softlabels-*")
    facts = json.loads((cache / "softlabels.json").read_text())
    (cache / "softlabels.json").unlink()  # the file may be shared with another run folder
    (cache / "softlabels.json").write_text(json.dumps(facts | {"fingerprint": "theirs"}))
    manifest = json.loads((cache / "manifest.json").read_text())
    kept = {name: value for name, value in manifest.items() if name not in ("files", "sum")}
    (cache / "manifest.json").unlink()
    (cache / "manifest.json").write_text(json.dumps(kept))  # else it tells of the change itself
    done = edgekd("run", "copied.yaml", "--until", "distill", cwd=folder, expect=1)
    explained(done, "made for other data", "softlabels-", "remove this folder")
    assert not [name for name in trained(folder, "copied") if name.startswith("distill")]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "parts"),
    [
        ("{name: at}", ("attention is over positions", "distill.method.layers")),
        ("{name: fitnet, layers: hiden}", ("no layer hiden", "distill.method.layers")),
    ],
)
def test_layers_that_are_not_there_or_cannot_be_compared(
    folder: Path, method: str, parts: tuple[str, ...]
):
    name = method.split()[1].strip(",}")
    file = write(folder, name, "distill: {train", f"distill: {{method: {method}, train")
    refused(folder, file, *parts, code=2)
