"""The two charts of an evaluation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.ops.evaluation.protocols import Item
from pipeline.ops.evaluation.report import SIZE_BINS
from pipeline.ops.pictures.charts import ChartBar, bar_chart, line_chart
from pipeline.ops.pictures.drawing import Image
from pipeline.schema.evaluation import Metrics

STEPS = 100
"""Thresholds of the success curve between 0 and 1."""


def iou_by_size(metrics: Metrics) -> Image:
    """Mean IoU of visible objects by their share of the frame."""
    groups = metrics.breakdowns["size"]
    bars = [
        ChartBar(name, f"n = {groups[name].present if name in groups else 0}",
                 groups[name].iou if name in groups else None)
        for name in SIZE_BINS
    ]  # fmt: skip
    return bar_chart(f"IoU by share of the frame, {metrics.direction}, {metrics.protocol} protocol", "mean IoU", bars)


def success_curve(items: Sequence[Item], metrics: Metrics) -> Image:
    """Share of visible objects with at least each IoU; the area below it is about the mean IoU."""
    ious = np.sort([item.scores.iou for item in items if item.scores is not None])
    thresholds = np.linspace(0, 1, STEPS + 1)
    # A perfect match scores 0.99999999, and should not drop out at 1.
    shares = 1 - np.searchsorted(ious, thresholds - 1e-6, "left") / max(len(ious), 1)
    mean = "–" if metrics.aggregate.iou is None else f"{metrics.aggregate.iou:.3f}"
    return line_chart(
        f"Success curve, {metrics.direction}, {metrics.protocol} protocol: {len(ious)} targets, mean IoU {mean}",
        "IoU of at least",
        "share",
        list(zip(thresholds.tolist(), shares.tolist(), strict=True)),
    )
