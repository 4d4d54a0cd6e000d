"""What the methods on feature maps share: which layers are compared, and in what shape."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping

import torch
from torch import Tensor

from edgekd.config.method_base import FromFeatures, Layers
from edgekd.distill.part import Maps, Pair, Part, Step
from edgekd.distill.taps import all_maps, dry_run
from edgekd.errors import StageError
from edgekd.models.layer_names import find_layers
from edgekd.spec import Inputs, NamedInputs, Task

Shape = tuple[int, ...]
"""Of a feature map without the batch: (C, H, W), (C, L) or (D,)."""
LayerPair = tuple[str, str]
"""A layer of the student and the teacher's that it is compared with."""


def layer_pairs(layers: Layers | None, pair: Pair, *, every_size: bool = False) -> list[LayerPair]:
    """The layers that the setting `layers` means.

    Args:
        every_size: if it means nothing, take the last map of each size, and else of all.

    Raises:
        StageError: there is no such layer, or student and teacher have different numbers of them.
    """
    if layers is None and every_size:
        student, teacher = sized_maps("student", pair), sized_maps("teacher", pair)
        count = min(len(student), len(teacher))  # of different depths, the deepest are compared
        return list(zip(student[len(student) - count :], teacher[-count:], strict=True))
    if layers is None:
        return [(last_map("student", pair), last_map("teacher", pair))]
    if isinstance(layers, str):
        layers = (layers,)
    wanted = layers if isinstance(layers, Mapping) else {name: name for name in layers}
    found: list[LayerPair] = []
    for of_student, of_teacher in wanted.items():
        student = find_layers(pair.student, of_student, "student")
        teacher = find_layers(pair.teacher, of_teacher, "teacher")
        if len(student) != len(teacher):
            raise StageError(
                f"{of_student} are {len(student)} layers of the student and {of_teacher} "
                f"{len(teacher)} of the teacher.",
                where="method.layers",
                fix="name pairs: layers: {student's layer: teacher's layer}",
            )
        found += zip(student, teacher, strict=True)
    return found


def sized_maps(role: str, pair: Pair) -> list[str]:
    """The last layer of each size of map over positions, from the largest on, of those with as many
    axes as the last one; the last hidden layer of a network that has none."""
    last = last_map(role, pair)
    shapes = map_shapes(role, pair)
    found: dict[Shape, str] = {}
    for name, shape in shapes.items():
        if math.prod(shape[1:]) > 1 and len(shape) == len(shapes[last]):
            found.pop(shape[1:], None)
            found[shape[1:]] = name
    return list(found.values()) or [last]


def last_map(role: str, pair: Pair) -> str:
    """The last layer with a map over positions; of a network that has none, the last hidden one.

    Raises:
        StageError: the network has no layer but its output.
    """
    shapes = map_shapes(role, pair)
    for name, shape in reversed(shapes.items()):
        if math.prod(shape[1:]) > 1:
            return name
    if not shapes:
        raise StageError(f"The {role} has no layer before its output.", where="method.layers")
    return next(reversed(shapes))


def map_shapes(role: str, pair: Pair) -> dict[str, Shape]:
    """Shapes of a network's maps in the order in which they are made."""
    maps = all_maps(pair.student if role == "student" else pair.teacher, pair.spec)
    of_images = shows_images(pair.spec)
    return {name: tuple(channels_first(m, of_images).shape[1:]) for name, m in maps.items()}


class FeaturePart(Part):
    """A method that compares layers of the student with layers of the teacher.

    A subclass makes in `prepare` what a pair needs.

    Args:
        settings: of the method.
        pair: the networks; they run once on zeros, for the shapes of their maps.
        task: of the data.

    Raises:
        StageError: a layer does not exist, or its maps cannot be compared.
    """

    of_outputs = False
    every_size = False
    """By default the last map of each size is compared, and not of all only the last."""

    def __init__(self, settings: FromFeatures, pair: Pair, task: Task) -> None:
        super().__init__(settings)
        self.task: Task = task
        self.pairs = layer_pairs(settings.layers, pair, every_size=self.every_size)
        self.student_layers = tuple(student for student, _ in self.pairs)
        self.teacher_layers = tuple(teacher for _, teacher in self.pairs)
        self.of_images = shows_images(pair.spec)
        student = dry_run(pair.student, pair.spec, set(self.student_layers))
        teacher = dry_run(pair.teacher, pair.spec, set(self.teacher_layers))
        self.shapes = [(self._shape(student[s]), self._shape(teacher[t])) for s, t in self.pairs]
        self.prepare()

    def prepare(self) -> None:
        """Makes the modules for the pairs, whose `shapes` are known.

        Raises:
            StageError: the maps of a pair cannot be compared.
        """

    def needed(self, number: int, teacher: Tensor) -> Tensor:
        """What the loss needs of the teacher's map of a pair: all of it, if a method says nothing
        else. A cache holds this.

        Args:
            teacher: (B, C, H, W), (B, C, L) or (B, D).
        """
        return teacher

    def needed_of(self, teacher: Maps) -> list[Tensor]:
        """Of each pair, (B, ...)."""
        return [
            self.needed(number, channels_first(teacher[name], self.of_images))
            for number, (_, name) in enumerate(self.pairs)
        ]

    def needed_shapes(self) -> list[Shape]:
        """Of each pair, without the batch."""
        return [
            tuple(self.needed(number, torch.zeros(1, *teacher)).shape[1:])
            for number, (_, teacher) in enumerate(self.shapes)
        ]

    def maps(self, step: Step) -> list[tuple[Tensor, Tensor]]:
        """Each pair's map of the student, (B, C, H, W), (B, C, L) or (B, D), and what is needed of
        the teacher's."""
        theirs = self.needed_of(step.teacher) if step.kept is None else step.kept
        return [
            (channels_first(step.student[student], self.of_images), teacher)
            for (student, _), teacher in zip(self.pairs, theirs, strict=True)
        ]

    def unlike(self, number: int, why: str) -> StageError:
        """The error about a pair whose maps cannot be compared."""
        (student, teacher), (of_student, of_teacher) = self.pairs[number], self.shapes[number]
        return StageError(
            f"The method {self.name} cannot compare {student} of the student {of_student} with "
            f"{teacher} of the teacher {of_teacher}: {why}.",
            where="method.layers",
            fix="name other layers, as {student's layer: teacher's layer}",
        )

    def _shape(self, map_: Tensor) -> Shape:
        return tuple(channels_first(map_, self.of_images).shape[1:])


class PairPart(FeaturePart):
    """A method that compares each pair by itself; its loss is the sum over them."""

    @abstractmethod
    def compare(self, number: int, student: Tensor, teacher: Tensor, step: Step) -> Tensor:
        """The loss of a pair: the student's map, (B, C, H, W), (B, C, L) or (B, D), and what is
        `needed` of the teacher's."""

    def forward(self, step: Step) -> Tensor:
        """The sum over the pairs."""
        losses = [
            self.compare(number, student, teacher, step)
            for number, (student, teacher) in enumerate(self.maps(step))
        ]
        return torch.stack(losses).sum()


def shows_images(spec: Inputs) -> bool:
    """Whether the network's input is an image, or a sound's spectrogram."""
    return not isinstance(spec, NamedInputs) and len(spec.shape) == 3


def embedding(map_: Tensor) -> Tensor:
    """A map (B, C, ...) averaged over its positions, (B, C)."""
    return map_.flatten(2).mean(2) if map_.ndim > 2 else map_


def channels_first(map_: Tensor, of_images: bool) -> Tensor:
    """Tokens of an image (B, L, D), as a transformer has them, as a map (B, D, L)."""
    return map_.transpose(1, 2) if of_images and map_.ndim == 3 else map_
