"""The worst and best cases of an evaluation as pictures: the query on the left, truth and prediction on the right."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from pipeline.ops.evaluation.protocols import Item
from pipeline.ops.evaluation.queries import record_of
from pipeline.ops.evaluation.scores import SizeHw, shape_at
from pipeline.ops.pictures.drawing import Image, beside, captioned
from pipeline.ops.pictures.outlines import COLOURS, Outline, Pen, outlined, shown_name
from pipeline.schema.evaluation import GroundTruth

HEIGHT = 360
"""Of each picture, pixels."""
QUERY, TRUE, PREDICTED = (Pen(COLOURS[number], False) for number in (1, 3, 5))


def choose_cases(items: Iterable[Item], count: int, *, is_worst: bool) -> list[Item]:
    """Items of least or most IoU, one of each object in a take; of equal ones the greatest objects first."""
    scored = [(item, item.scores) for item in items if item.scores is not None]
    scored.sort(key=lambda pair: (pair[1].iou if is_worst else -pair[1].iou, -pair[1].gt_share))
    chosen: dict[tuple[str, str], Item] = {}
    for item, _ in scored:
        chosen.setdefault((item.query.take, item.query.object), item)
    return list(chosen.values())[:count]


def case_sheet(
    cases: Sequence[Item], truth: GroundTruth, results: Mapping[str, Any], data_set: Path
) -> tuple[Image | None, list[Path]]:
    """A row a case.

    Args:
        data_set: folder of the processed takes; frames may be smaller than the masks' own size.

    Returns:
        The sheet, None when no case has its frames; the frames that are not there.
    """
    rows, missing = [], []
    for item in cases:
        query = item.query
        files = [data_set / query.take / camera / f"{query.frame}.jpg" for camera in (query.source, query.target)]
        pictures = [_read(file) for file in files]
        gone = [file for file, picture in zip(files, pictures, strict=True) if picture is None]
        missing += gone
        source, target = pictures
        if source is not None and target is not None:
            rows.append(_row(item, truth, results, source, target))
    if not rows:
        return None, missing
    width = max(row.shape[1] for row in rows)
    padded = [np.pad(row, ((0, 12), (0, width - row.shape[1]), (0, 0))) for row in rows]
    return np.concatenate(padded), missing


def _read(file: Path) -> Image | None:
    picture = cv2.imread(str(file), cv2.IMREAD_COLOR)
    return None if picture is None else np.ascontiguousarray(picture[..., ::-1], np.uint8)


def _row(item: Item, truth: GroundTruth, results: Mapping[str, Any], source: Image, target: Image) -> Image:
    query, scores = item.query, item.scores
    assert scores is not None
    cameras = truth.annotations[query.take].masks[query.object]
    asked, true = cameras[query.source][query.frame], cameras[query.target][query.frame]
    predicted = record_of(results, query)["pred_mask"]
    left = _outlined(source, [("query", QUERY, asked.counts, asked.size_hw)])
    right = _outlined(
        target,
        [
            ("true", TRUE, true.counts, true.size_hw),
            ("predicted", PREDICTED, predicted["counts"], (predicted["size"][0], predicted["size"][1])),
        ],
    )
    lines = [
        f"{shown_name(query.object)}   {query.source} to {query.target}   frame {query.frame}   {query.take}",
        f"IoU {scores.iou:.3f}   contour {scores.contour_accuracy:.3f}   location error {scores.location_error:.3f}   "
        f"confidence {item.confidence:.2f}   {100 * scores.gt_share:.2f} % of the frame"
        + ("" if scores.pred_pixels else "   nothing predicted"),
    ]
    return captioned(beside([left, right]), lines, 15)


def _outlined(picture: Image, masks: Sequence[tuple[str, Pen, str, SizeHw]]) -> Image:
    size_hw = (picture.shape[0], picture.shape[1])
    outlines = [Outline(name, pen, shape_at(counts, native_hw, size_hw).mask) for name, pen, counts, native_hw in masks]
    width = max(1, round(picture.shape[1] * HEIGHT / picture.shape[0]))
    return outlined(picture, outlines, width)
