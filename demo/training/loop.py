"""Train a task until its development metric stops improving or its time is over."""

import math
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from demo.training.task import Item, Record, Task, bucketed

WARMUP_SHARE = 0.05
EVALUATIONS = 12
PATIENCE = 4
LEAST_LEARNING_RATE_SHARE = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A point of the learning curve."""

    minutes: float
    """Time since the start of the training."""
    steps: int
    """Optimizer steps so far."""
    loss: float
    """The mean loss since the last point."""
    metric: float
    """The task's chief metric on the development set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The result of a training."""

    state: dict[str, Tensor]
    """The weights at the point with the best metric."""
    curve: tuple[Point, ...]
    """The learning curve."""
    early_stopped: bool
    """Whether the training ended before its time was over, because the metric stopped improving."""


def train(
    task: Task,
    model: nn.Module,
    items: Sequence[Item],
    development: Sequence[Record],
    *,
    minutes: float,
    learning_rate: float,
    seed: int,
) -> Outcome:
    """Train with AdamW (Loshchilov and Hutter 2019) in bf16; the learning rate rises, and then falls along a cosine.

    The schedule takes `minutes`. The development metric is measured EVALUATIONS times, and PATIENCE times in a row
    without a new best end the training.
    """
    random = np.random.default_rng(seed)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=learning_rate, weight_decay=0.01, betas=(0.9, 0.98))
    curve: list[Point] = []
    best: dict[str, Tensor] = {}
    losses: list[float] = []
    steps = 0
    start = time.monotonic()

    def progress() -> float:
        return (time.monotonic() - start) / (60 * minutes)

    def measure() -> bool:
        """Add a point to the curve; returns whether the training should go on."""
        with torch.autocast("cpu", dtype=torch.bfloat16):
            metric = evaluate(task, model, development)[task.chief_metric]
        point = Point(
            minutes=(time.monotonic() - start) / 60,
            steps=steps,
            loss=float(np.mean(losses)),
            metric=metric,
        )
        losses.clear()
        if not curve or point.metric > max(earlier.metric for earlier in curve):
            best.update({name: value.detach().clone() for name, value in model.state_dict().items()})
        curve.append(point)
        sys.stderr.write(
            f"{task.head}: {point.minutes:.1f} min, step {steps}, loss {point.loss:.3f}, "
            f"{task.chief_metric} {point.metric:.4f}\n"
        )
        metrics = [earlier.metric for earlier in curve]
        return len(metrics) - 1 - int(np.argmax(metrics)) < PATIENCE

    while True:
        for batch in bucketed(items, task.tokens_per_batch, random):
            share = progress()
            for group in optimizer.param_groups:
                group["lr"] = learning_rate * schedule(share)
            model.train()
            with torch.autocast("cpu", dtype=torch.bfloat16):
                loss = task.loss(model, batch)
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(trained, 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            losses.append(loss.item())
            steps += 1
            over = progress() >= 1
            if over or progress() * EVALUATIONS >= len(curve) + 1:
                go_on = measure()
                if over or not go_on:
                    return Outcome(state=best, curve=tuple(curve), early_stopped=not over)


def schedule(share: float) -> float:
    """The learning rate as a share of its peak, after `share` of the time."""
    if share < WARMUP_SHARE:
        return max(share / WARMUP_SHARE, LEAST_LEARNING_RATE_SHARE)
    return max(LEAST_LEARNING_RATE_SHARE, 0.5 * (1 + math.cos(math.pi * min(share, 1))))


@torch.no_grad()
def evaluate(task: Task, model: nn.Module, records: Sequence[Record]) -> dict[str, float]:
    """The metrics of `model` on `records`, in evaluation mode."""
    model.eval()
    return task.metrics(model, records)
