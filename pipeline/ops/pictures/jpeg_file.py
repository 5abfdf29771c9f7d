"""Is a JPEG whole? Most readers show a damaged one with grey or shifted blocks and say nothing."""

from __future__ import annotations

import av

STRICT = {"err_detect": "crccheck+bitstream+buffer+explode"}
END_OF_IMAGE, START_OF_SCAN = b"\xff\xd9", b"\xff\xda"


class PictureError(ValueError):
    """Not a whole JPEG."""


def jpeg_size_wh(data: bytes) -> tuple[int, int]:
    """Decode every pixel and give the width and height.

    Raises:
        PictureError: no JPEG, a damaged one, or one that ends too early.
    """
    if data.rfind(END_OF_IMAGE) <= data.rfind(START_OF_SCAN):
        raise PictureError("no JPEG" if START_OF_SCAN not in data else "the picture ends too early")
    decoder = av.CodecContext.create("mjpeg", "r")
    decoder.options = STRICT
    decoder.thread_count = 1  # callers open many pictures at once
    try:
        frames = [frame for packet in (av.Packet(data), None) for frame in decoder.decode(packet)]
    except av.error.FFmpegError as error:
        raise PictureError(f"it does not decode: {error.strerror}") from None
    if not frames:
        raise PictureError("it shows no picture")
    return frames[0].width, frames[0].height
