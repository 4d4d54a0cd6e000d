"""The method that suits a task, where a pipeline names none."""

from __future__ import annotations

from edgekd.config.methods import DefaultSettings, DISTSettings, KDSettings, Method
from edgekd.spec import Task


def suited(method: Method, task: Task) -> Method:
    """The method, or what `default` stands for.

    Of three classes and more it is DIST (Huang et al. 2022): a student that cannot reach the values
    of its teacher's logits still can reach how they relate, so that it costs less than Hinton's
    where it does not help. Two classes are always correlated by 1 or -1, and several labels or a
    number are not classes of one sample: these have Hinton's loss.
    """
    if not isinstance(method, DefaultSettings):
        return method
    return DISTSettings() if task == "classification" else KDSettings()
