"""Several processes that do the heavy part of a stage together, on one host or on many.

torchrun or `accelerate launch` starts them. Of every global batch each process has one slice; what
is computed of slices is put together before a loss looks at it, and the gradients of all are added
up, so that a step is that of the whole batch. With one process nothing here does anything.

The first process runs the pipeline, prints and writes. What it says to the others goes over gloo as
JSON: pickles are never read.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.distributed_c10d import ProcessGroup, Store
from torch.distributed.rendezvous import rendezvous

from edgekd.errors import ConfigError, EdgekdError, StageError

ARRIVAL = timedelta(minutes=10)
"""So long the processes wait for each other at the start."""
PATIENCE = timedelta(days=30)
"""So long for the first one's work alone, such as measuring. One that dies is noticed at once: its
connections close."""


SMALL = 1 << 16
"""So many values are sent from each to each: gloo's sums take three times as long to begin."""


class LostProcess(EdgekdError):
    """Another process of this run has ended."""


class NotFirst(Exception):
    """Ends a stage in the processes that only helped the first one with it."""


@dataclass
class _Launched:
    """This process among those that a launcher started."""

    rank: int
    world: int
    store: Store
    group: ProcessGroup
    """Of tensors in main memory."""
    shared: bool = False
    """All of them are at work on one stage."""
    torn: bool = False
    """A stage that was shared has failed: the others are in the midst of it."""


_launched: _Launched | None = None


def start() -> int:
    """Meets the other processes. Returns this one's rank; 0 is the first.

    Raises:
        ConfigError: there are more processes than GPUs.
        LostProcess: not all have come.
    """
    global _launched  # noqa: PLW0603
    rank, world = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    gpus = torch.cuda.device_count()
    if gpus:
        local = int(os.environ.get("LOCAL_RANK", "0"))
        if local >= gpus:
            raise ConfigError(
                f"There are more processes than GPUs: {gpus}.",
                where=f"process {rank} of {world}",
                fix="start one process for each GPU, or hide them: CUDA_VISIBLE_DEVICES=",
            )
        torch.cuda.set_device(local)
    try:
        store, _, _ = next(rendezvous("env://", timeout=ARRIVAL))
        backend = "cpu:gloo,cuda:nccl" if gpus else "gloo"
        dist.init_process_group(backend, store=store, rank=rank, world_size=world, timeout=ARRIVAL)
        group = dist.new_group(backend="gloo", timeout=PATIENCE)
    except (RuntimeError, ValueError) as error:
        raise LostProcess(
            "The processes of this run did not find each other.",
            where=f"process {rank} of {world}: {str(error).splitlines()[0]}",
            fix="look at what the others printed, and at the launcher's address and port",
        ) from error
    _launched = _Launched(rank, world, store, cast(ProcessGroup, group))
    return rank


def end() -> None:
    """The first process has done all: the others may go. Where they are in the midst of a stage
    that failed here, they notice by themselves that this process ends."""
    if _launched is not None and not _launched.torn:
        tell(None)


def first_to_tell() -> bool:
    """Whether no other process has told an error of this run: one failure is told once."""
    if _launched is None:
        return True
    try:
        return _launched.store.add("edgekd/told", 1) == 1
    except RuntimeError:  # the process that keeps the store has ended, and said why
        return False


def several() -> bool:
    """Whether there are other processes, at work or waiting."""
    return _launched is not None


def count() -> int:
    """How many processes are at work on the present stage."""
    return _launched.world if _launched is not None and _launched.shared else 1


def rank() -> int:
    """This process's number among them, from 0."""
    return _launched.rank if _launched is not None and _launched.shared else 0


def is_first() -> bool:
    """Whether this process writes and prints."""
    return rank() == 0


@contextlib.contextmanager
def shared() -> Iterator[None]:
    """All processes are at work on one stage within this block."""
    assert _launched is not None
    _launched.shared = True
    try:
        yield
    except NotFirst:
        raise
    except BaseException:
        _launched.torn = True
        raise
    finally:
        _launched.shared = False


def only_first_goes_on() -> None:
    """The shared part of a stage is over; the first process does the rest of it alone.

    Raises:
        NotFirst: in all other processes.
    """
    if _launched is not None and _launched.shared:
        _launched.shared = False
        if _launched.rank:
            raise NotFirst


def part(total: int) -> slice:
    """This process's slice of so many samples; the slices differ by one sample at most."""
    return slice(total * rank() // count(), total * (rank() + 1) // count())


def gathered(own: Tensor, total: int) -> Tensor:
    """All slices as one, (total, ...), in the order of the samples.

    Its gradient at the own slice goes back to `own`, and to no other process: each computes the
    whole loss, and of it the gradient of its own samples.

    Args:
        own: (n, ...), this process's slice.
    """
    if count() == 1:
        return own
    return _Gathered.apply(own, total)  # type: ignore[return-value]


class _Gathered(torch.autograd.Function):
    """Slices of unequal lengths, added up into zeros, which changes none of them."""

    @staticmethod
    def forward(ctx: Any, own: Tensor, total: int) -> Tensor:
        ctx.own = part(total)
        whole = own.new_zeros(total, *own.shape[1:])
        whole[ctx.own] = own
        return summed(whole)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0][ctx.own], None


def summed(tensor: Tensor) -> Tensor:
    """The sum over all processes, in place; the same bits everywhere.

    Raises:
        LostProcess: one of them has ended.
    """
    if tensor.numel() * count() <= SMALL:
        return tensor.copy_(from_all(tensor).sum(0))
    with _noticing():
        dist.all_reduce(tensor, group=_group(tensor))
    return tensor


def from_all(tensor: Tensor) -> Tensor:
    """The tensors of all processes, (processes, ...), in their order.

    Raises:
        LostProcess: one of them has ended.
    """
    found = [
        torch.empty_like(tensor, memory_format=torch.contiguous_format) for _ in range(count())
    ]
    with _noticing():
        dist.all_gather(found, tensor.contiguous(), group=_group(tensor))
    return torch.stack(found)


def add_gradients(parameters: Iterable[nn.Parameter], *, mean: bool = False) -> None:
    """Replaces gradients by their sum over all processes.

    Args:
        mean: by their mean: of parameters that saw the whole batch everywhere.
    """
    found = [each.grad for each in parameters if each.grad is not None]
    if count() == 1 or not found:
        return
    flat = summed(torch.cat([gradient.reshape(-1) for gradient in found]))
    if mean:
        flat /= count()
    for gradient, new in zip(found, flat.split([g.numel() for g in found]), strict=True):
        gradient.copy_(new.view(gradient.shape))


def same_everywhere(tensors: Iterable[Tensor]) -> None:
    """Replaces tensors, in place, by the first process's."""
    if count() > 1:
        for tensor in tensors:
            whole = tensor.detach().contiguous()
            with _noticing():
                dist.broadcast(whole, src=0, group=_group(whole))
            with torch.no_grad():
                tensor.copy_(whole)


def of_first(*numbers: float) -> list[float]:
    """The first process's numbers: what decides how a training goes on must not differ."""
    told = torch.tensor(numbers, dtype=torch.float64)
    same_everywhere([told])
    return told.tolist()


def agree(what: str) -> None:
    """Makes sure that all processes are about to do the same.

    Raises:
        StageError: this one has something else before it than the first one.
    """
    if count() == 1:
        return
    if is_first():
        tell(what)
    elif (of_others := hear()) != what:
        raise StageError(
            "The processes of this run do not see the same files, code or libraries.",
            where=f"process {rank()}: {what}; process 0: {of_others}",
            fix="give all hosts the same installation and one common folder of runs",
        )


def tell(value: Any) -> None:
    """Sends a JSON value to all other processes."""
    content = torch.frombuffer(bytearray(json.dumps(value).encode()), dtype=torch.uint8)
    assert _launched is not None
    with _noticing():
        for message in (torch.tensor([len(content)]), content):
            dist.broadcast(message, src=0, group=_launched.group)


def hear() -> Any:
    """What the first process tells, whenever that is."""
    assert _launched is not None
    length = torch.zeros(1, dtype=torch.int64)
    with _noticing():
        dist.broadcast(length, src=0, group=_launched.group)
        content = torch.empty(int(length), dtype=torch.uint8)
        dist.broadcast(content, src=0, group=_launched.group)
    return json.loads(content.numpy().tobytes())


def _group(tensor: Tensor) -> ProcessGroup | None:
    assert _launched is not None
    return None if tensor.is_cuda else _launched.group


@contextlib.contextmanager
def _noticing() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        assert _launched is not None
        raise LostProcess(
            "Another process of this run has ended.",
            where=f"process {_launched.rank} of {_launched.world} waited for it",
            fix="look at what the launcher says of it, and whether its host ran out of memory; the "
            "same command goes on from the last finished epoch",
        ) from error
