"""check-rectify: one frame of a clip before and after rectification, for a person to judge."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.config import CheckRectifyKnobs
from pipeline.errors import PipelineError
from pipeline.job import Counts, Job
from pipeline.ops.camera.rectify import Rectifier
from pipeline.ops.camera.source import camera_of, clip_source
from pipeline.ops.pictures.drawing import Colour, Image, beside, captioned, draw_lines, jpeg, resized
from pipeline.ops.video.frames import Frame, iter_frames
from pipeline.ops.video.probe import VideoProbe, probe
from pipeline.paths import Paths

KINDS = ("raw", "rectified", "side_by_side")
SHOWN_WIDTH = 912
"""Pixels of each half of the side-by-side: twice the 100K clips'."""
POINTS_PER_LINE = 241
UPRIGHT: Colour = (70, 220, 255)
LEVEL: Colour = (255, 214, 70)
KEPT: Colour = (255, 90, 200)


def inputs(paths: Paths, unit: str, knobs: CheckRectifyKnobs) -> dict[str, Path]:
    """The files that the pictures depend on."""
    source = clip_source(paths, unit, knobs.video, knobs.intrinsics)
    return {"video": source.video} | ({"intrinsics": source.camera_file} if source.camera_file else {})


def products(paths: Paths, unit: str, knobs: CheckRectifyKnobs) -> dict[str, Path]:
    """The three pictures."""
    return {kind: paths.debug(unit, kind) for kind in KINDS}


def run(job: Job) -> Counts:
    """Write the raw frame, the rectified frame, and both side by side with the same reference lines.

    Raises:
        PipelineError: the clip's camera is an ordinary one, or no frame can be had.
    """
    knobs: CheckRectifyKnobs = job.knobs
    source = clip_source(job.paths, job.unit, knobs.video, knobs.intrinsics)
    facts = probe(source.video)
    camera = camera_of(source, (facts.width, facts.height), knobs.allow_aspect)
    if camera is None:
        raise PipelineError(
            f"{job.unit} comes from an ordinary camera (INTRINSICS=none), so there is nothing to rectify or check",
            "leave check-rectify out for this video, or pass its fisheye calibration",
        )
    rectifier = Rectifier(camera, balance=knobs.rectify_balance)
    frame = _frame_to_show(source.video, facts, knobs.at_s)
    rectified = rectifier.rectify(frame.image)
    view = side_by_side(frame, rectified, rectifier, job.unit)
    for kind, image in zip(KINDS, (frame.image, rectified, view), strict=True):
        job.products[kind].write_bytes(jpeg(image))
    raw_deg, new_deg = camera.field_of_view_deg, rectifier.field_of_view_deg
    job.report(
        f"{job.unit}: the lens sees {raw_deg.horizontal:.1f}° × {raw_deg.vertical:.1f}°, rectified "
        f"{new_deg.horizontal:.1f}° × {new_deg.vertical:.1f}° with {rectifier.pixels_kept:.1%} of the pixels kept; "
        f"look at {job.paths.debug(job.unit, 'side_by_side')}"
    )
    return Counts(
        made={
            "pictures": len(KINDS),
            "field_of_view_deg_horizontal": round(new_deg.horizontal, 2),
            "field_of_view_deg_vertical": round(new_deg.vertical, 2),
            "raw_field_of_view_deg_horizontal": round(raw_deg.horizontal, 2),
            "raw_field_of_view_deg_vertical": round(raw_deg.vertical, 2),
            "pixels_kept_percent": round(100 * rectifier.pixels_kept, 2),
            "pixels_valid_percent": round(100 * float(rectifier.valid_mask.mean()), 2),
        },
        details={"rectified": rectifier.describe(), "frame_index": frame.index, "frame_pts_s": frame.pts_s},
    )


def _frame_to_show(video: Path, facts: VideoProbe, at_s: float) -> Frame:
    """The frame at `at_s`, or at the middle of the clip when that is negative."""
    if at_s > facts.duration_s:
        raise PipelineError(
            f"--at-s is {at_s:g}, but the video lasts {facts.duration_s:g} s", "choose a moment within the video"
        )
    time_s = at_s if at_s >= 0 else facts.duration_s / 2
    frame = next(iter(iter_frames(video, times_s=[time_s])), None)
    if frame is None:
        raise PipelineError(f"{video} has no picture at {time_s:g} s", "choose another moment with --at-s")
    return frame


def side_by_side(frame: Frame, rectified: Image, rectifier: Rectifier, clip: str) -> Image:
    """Raw left, rectified right, with the same lines of space on both: straight right, bent by the lens left."""
    raw_zoom, new_zoom = SHOWN_WIDTH / frame.image.shape[1], SHOWN_WIDTH / rectified.shape[1]
    left, right = resized(frame.image, SHOWN_WIDTH), resized(rectified, SHOWN_WIDTH)
    upright, level, border = reference_lines(rectifier.size_wh)
    for lines, colour in ((upright, UPRIGHT), (level, LEVEL)):
        left = draw_lines(left, [rectifier.to_fisheye(line) for line in lines], raw_zoom, colour, opacity=0.8)
        right = draw_lines(right, lines, new_zoom, colour, opacity=0.8)
    left = draw_lines(left, [rectifier.to_fisheye(border)], raw_zoom, KEPT, width=2)
    right = draw_lines(right, _outline_of(rectifier.valid_mask), new_zoom, KEPT, width=2)
    raw_deg, new_deg = rectifier.camera.field_of_view_deg, rectifier.field_of_view_deg
    balance = "camera's own matrix" if rectifier.balance is None else f"balance {rectifier.balance:g}"
    (raw_w, raw_h), (new_w, new_h) = rectifier.camera.size_wh, rectifier.size_wh
    left = captioned(left, [
        f"{clip}   at {frame.pts_s:.2f} s, frame {frame.index}",
        f"RAW  {raw_w} x {raw_h}   field of view {raw_deg.horizontal:.1f}° x {raw_deg.vertical:.1f}°   "
        f"pink: the {rectifier.pixels_kept:.1%} of pixels kept",
    ])  # fmt: skip
    right = captioned(right, [
        f"RECTIFIED  {new_w} x {new_h}   field of view {new_deg.horizontal:.1f}° x {new_deg.vertical:.1f}°   {balance}",
        f"pink: the {rectifier.valid_mask.mean():.1%} of pixels with a source   "
        "edges straight in life must be straight here, and follow the bent lines left",
    ])  # fmt: skip
    return beside([left, right])


def reference_lines(
    size_wh: tuple[int, int],
) -> tuple[list[NDArray[np.float64]], list[NDArray[np.float64]], NDArray[np.float64]]:
    """Upright lines, level lines and the border of a rectified picture, points (N, 2) each, in its pixels."""
    width, height = size_wh
    x, y = np.linspace(-0.5, width - 0.5, POINTS_PER_LINE), np.linspace(-0.5, height - 0.5, POINTS_PER_LINE)
    upright = [np.stack([np.full_like(y, at), y], -1) for at in x[20:-1:20]]
    level = [np.stack([x, np.full_like(x, at)], -1) for at in y[40:-1:40]]
    left, right = np.stack([np.full_like(y, x[0]), y], -1), np.stack([np.full_like(y, x[-1]), y], -1)
    top, bottom = np.stack([x, np.full_like(x, y[0])], -1), np.stack([x, np.full_like(x, y[-1])], -1)
    return upright, level, np.concatenate([top, right, bottom[::-1], left[::-1]])


def _outline_of(mask: NDArray[np.bool_]) -> list[NDArray[np.float64]]:
    """The borders of what a mask holds, closed, points (N, 2) each."""
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    closed = [np.concatenate([contour[:, 0], contour[:1, 0]]) for contour in contours]
    return [np.asarray(contour, np.float64) for contour in closed]
