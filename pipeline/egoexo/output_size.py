"""About how large a processed take becomes, by what its index says: no picture has been seen yet."""

from __future__ import annotations

from pipeline.schema.egoexo_index import TakeIndex

FRAME_BYTES = 75_000
"""JPEG, quality 95, 704×704 or 960×540: 71 kB each on the sample release. Frames of 448-pixel videos are smaller."""
MASK_BYTES = 1_700
"""In annotation.json, in both forms: 1.6 kB each on the sample release."""
FRAMES_PER_S = 30


def output_bytes(index: TakeIndex, every: int) -> int:
    """Bytes of a take's frames and annotations, rather too many than too few.

    All objects of a camera are looked at in the same frames, so these are its observations (object, frame) by its
    objects; each camera gets the frames of the one that has most, as pairs need both views.

    Args:
        every: also every so many-th frame of each camera; 0: no more than pairs need.
    """
    frames = max((-(-of.observations // of.objects) for of in index.cameras.values() if of.objects), default=0)
    if every:
        frames += int((index.duration_s or 0) * FRAMES_PER_S / every)
    return frames * len(index.cameras) * FRAME_BYTES + sum(of.masks for of in index.cameras.values()) * MASK_BYTES
