"""The method of a pipeline that names none."""

from __future__ import annotations

from typing import get_args

import pytest
import torch
from pydantic import ValidationError

from edgekd.config.methods import (
    DefaultSettings,
    DISTSettings,
    DKDSettings,
    KDSettings,
    LabelsSettings,
    after_training,
    is_auto,
    needs_features,
    needs_logits,
    temperature_of,
    usual,
)
from edgekd.config.pipeline import Pipeline
from edgekd.distill.dist import dist_loss
from edgekd.distill.losses import make_objective
from edgekd.distill.suited import suited
from edgekd.spec import Task
from edgekd.train.batches import Batch

DEFAULT = DefaultSettings()


def test_classes_are_related_and_the_rest_is_imitated():
    found = {task: suited(DEFAULT, task) for task in get_args(Task)}
    assert found.pop("classification") == DISTSettings()
    assert set(found) == {"binary", "multilabel", "regression"}
    assert all(method == KDSettings() for method in found.values())


@pytest.mark.parametrize("method", [DKDSettings(), LabelsSettings(), (KDSettings(), DKDSettings())])
def test_what_is_named_stays(method):
    assert suited(method, "classification") == method


def test_the_loss_is_that_of_the_method_it_stands_for():
    torch.manual_seed(0)
    outputs, teacher, y = torch.randn(8, 5), torch.randn(8, 5), torch.arange(8) % 5
    objective = make_objective(DEFAULT, task="classification")
    batch = Batch(x=torch.zeros(8, 1), y=y, index=torch.arange(8), teacher=teacher)
    total, parts = objective(outputs, batch, 0)
    wanted = torch.nn.functional.cross_entropy(outputs, y) + dist_loss(outputs, teacher, 4.0)
    assert torch.allclose(total, wanted)
    assert set(parts) == {"ce", "dist"}


def test_before_the_task_is_known_it_counts_as_a_method_on_logits():
    assert needs_logits(DEFAULT) and not needs_features(DEFAULT) and not is_auto(DEFAULT)
    assert usual(DEFAULT) == after_training(DEFAULT) == DEFAULT
    for method in (KDSettings(), DISTSettings()):
        assert temperature_of(DEFAULT) == temperature_of(method)


@pytest.mark.parametrize("distill", [{}, {"distill": "default"}, {"distill": {"train": {}}}])
def test_of_the_top_classes_it_is_kd(distill):
    pipeline = Pipeline.model_validate({"name": "x", "softlabels": {"top": 5}, **distill})
    assert pipeline.distill.method == KDSettings()


def test_it_stands_alone():
    with pytest.raises(ValidationError, match="stands alone"):
        Pipeline.model_validate({"name": "x", "distill": {"method": ["default", "at"]}})
