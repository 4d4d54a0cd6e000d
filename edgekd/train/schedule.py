"""Optimisers and learning-rate schedules."""

from __future__ import annotations

import math

import torch
from torch import nn

from edgekd.config.training import TrainSettings

ONE_CYCLE_RISE = 0.3
"""Share of the steps in which `one_cycle` climbs (Smith and Topin 2018)."""
ONE_CYCLE_START = 1 / 25


def parameter_groups(
    model: nn.Module, settings: TrainSettings, classifier: set[str] | None = None
) -> list[dict[str, object]]:
    """Parameters by learning rate and by whether they decay.

    Biases and normalisation (tensors of fewer than two dimensions) do not decay. Parameters that
    are not named in `classifier` learn at `backbone_rate` of the rate; without one, all learn at
    the whole rate.
    """
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        share = 1.0 if classifier is None or name in classifier else settings.backbone_rate
        decay = settings.weight_decay if parameter.ndim >= 2 else 0.0
        groups.setdefault((share, decay), []).append(parameter)
    return [
        {
            "params": parameters,
            "lr": settings.learning_rate * share,
            "rate_share": share,
            "weight_decay": decay,
        }
        for (share, decay), parameters in groups.items()
    ]


def make_optimizer(
    model: nn.Module,
    settings: TrainSettings,
    classifier: set[str],
    distiller: nn.Module | None = None,
) -> torch.optim.Optimizer:
    """AdamW (Loshchilov and Hutter 2019) or SGD with Nesterov momentum.

    Args:
        distiller: what the objective learns itself.
    """
    groups = parameter_groups(model, settings, classifier)
    if distiller is not None:
        groups += parameter_groups(distiller, settings)
    if settings.optimizer == "sgd":
        return torch.optim.SGD(
            groups,
            lr=settings.learning_rate,
            momentum=settings.momentum,
            nesterov=settings.momentum > 0,
        )
    return torch.optim.AdamW(groups, lr=settings.learning_rate, foreach=True)


def rate_factor(settings: TrainSettings, step: int, steps_per_epoch: int) -> float:
    """The share of `learning_rate` at `step` (from 0), between 0 and 1."""
    total = settings.epochs * steps_per_epoch
    if settings.schedule == "one_cycle":
        rise = max(1, round(ONE_CYCLE_RISE * total))
        if step < rise:
            return ONE_CYCLE_START + (1 - ONE_CYCLE_START) * _half_cosine(1 - (step + 1) / rise)
        return _half_cosine((step - rise) / max(1, total - rise))
    warmup = min(settings.warmup_epochs * steps_per_epoch, total - 1)
    if step < warmup:
        return (step + 1) / (warmup + 1)
    if settings.schedule == "step":
        epoch = step // steps_per_epoch
        return settings.step_factor ** sum(epoch >= at for at in settings.step_epochs)
    return _half_cosine((step - warmup) / max(1, total - warmup))


def _half_cosine(progress: float) -> float:
    """From 1 at 0 to 0 at 1 (Loshchilov and Hutter 2017, equation 5)."""
    return 0.5 * (1 + math.cos(math.pi * progress))


def set_rate(optimizer: torch.optim.Optimizer, settings: TrainSettings, factor: float) -> float:
    """Sets every group's rate and returns the classifier's."""
    rate = settings.learning_rate * factor
    for group in optimizer.param_groups:
        group["lr"] = rate * group["rate_share"]
    return rate
