"""The compiled loop that draws round surfaces: a ray for each pixel, where it meets the surface, what it sees there."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.ops.compiled import compiled


@compiled
def draw_round(
    picture: NDArray[np.uint8],
    nearness: NDArray[np.float32],
    owners: NDArray[np.uint8],
    place_xy: tuple[int, int],
    rays: NDArray[np.float64],
    eye: NDArray[np.float64],
    radii: tuple[float, float, float],
    span: tuple[float, float],
    texture: NDArray[np.uint8],
    light: NDArray[np.float64],
    ambient: float,
    nearest_m: float,
    owner: int,
) -> None:
    """Draw into parts of a picture, its nearness (one over the depth) and its owners, where nothing nearer is.

    All in the surface's own axes: it is what fulfils x² + y² + bend·z² = (radius + slope·z)² between two heights.

    Args:
        place_xy: pixel of the parts' first corner.
        rays: (3, 3) pixel (x, y, 1) to a direction of one unit of depth.
        eye: (3,) the camera.
        radii: radius, slope, bend; bend is 1 for a ball and 0 for a cone or cylinder.
        span: lowest and highest z.
        texture: HWC uint8, wrapped around once, its first row at the highest z.
        light: (3,) direction to the light.
        ambient: brightness of what is turned away from it, 0 to 1.
        nearest_m: what is nearer to the camera is not drawn.
    """
    radius, slope, bend = radii
    low, high = span
    texture_height, texture_width = texture.shape[0], texture.shape[1]
    radius_here = radius + slope * eye[2]
    c = eye[0] * eye[0] + eye[1] * eye[1] + bend * eye[2] * eye[2] - radius_here * radius_here
    for row in range(picture.shape[0]):
        for column in range(picture.shape[1]):
            x, y = float(place_xy[0] + column), float(place_xy[1] + row)
            ray_x = rays[0, 0] * x + rays[0, 1] * y + rays[0, 2]
            ray_y = rays[1, 0] * x + rays[1, 1] * y + rays[1, 2]
            ray_z = rays[2, 0] * x + rays[2, 1] * y + rays[2, 2]
            a = ray_x * ray_x + ray_y * ray_y + (bend - slope * slope) * ray_z * ray_z
            b = eye[0] * ray_x + eye[1] * ray_y + (bend * eye[2] - slope * radius_here) * ray_z
            under_root = b * b - a * c
            if under_root <= 0 or a == 0:
                continue
            depth = (-b - np.sqrt(under_root)) / a
            if depth < nearest_m or 1 / depth <= nearness[row, column]:
                continue
            hit_x, hit_y, hit_z = eye[0] + depth * ray_x, eye[1] + depth * ray_y, eye[2] + depth * ray_z
            if hit_z < low or hit_z > high:
                continue
            normal_z = bend * hit_z - slope * (radius + slope * hit_z)
            length = np.sqrt(hit_x * hit_x + hit_y * hit_y + normal_z * normal_z)
            towards = (hit_x * light[0] + hit_y * light[1] + normal_z * light[2]) / length
            brightness = ambient + (1 - ambient) * max(towards, 0.0)
            # Four texels, weighted by how near they are.
            across = np.arctan2(hit_y, hit_x) / (2 * np.pi) * texture_width + texture_width / 2 - 0.5
            down = min(max((high - hit_z) / (high - low) * texture_height - 0.5, 0.0), texture_height - 1.0)
            left, top = int(np.floor(across)), int(down)
            share_x, share_y = across - left, down - top
            left, right = left % texture_width, (left + 1) % texture_width
            bottom = min(top + 1, texture_height - 1)
            for channel in range(3):
                above = texture[top, left, channel] * (1 - share_x) + texture[top, right, channel] * share_x
                below = texture[bottom, left, channel] * (1 - share_x) + texture[bottom, right, channel] * share_x
                value = (above * (1 - share_y) + below * share_y) * brightness
                picture[row, column, channel] = np.uint8(min(value + 0.5, 255.0))
            nearness[row, column] = 1 / depth
            owners[row, column] = owner
