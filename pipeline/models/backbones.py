"""The backbones that make features, one row each; their sizes, patches and prefix tokens are read from the models.

Shapes: B pictures, H and W their sides in pixels, h and w token rows and columns, C width of a token.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from pipeline.errors import PipelineError
from pipeline.ops.features.grid import Grid, grid_of

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet, RGB in [0, 1]: what all these backbones were trained with."""
ComputedIn = Literal["float16", "float32"]


@dataclass(frozen=True)
class Published:
    """What the released weights have. A model says it of itself: this is for files that do not say it."""

    dim: int
    patch: int


@dataclass(frozen=True)
class BackboneRow:
    """One row.

    Attributes:
        name: what BACKBONE= takes.
        model_type: as in config.json.
        model_class: name of the class in transformers.
        hub: name on the hub; empty where the weights are a file.
        file_url: where that file is published.
        is_gated: the hub asks to accept terms first.
    """

    name: str
    model_type: str
    model_class: str
    published: Published
    hub: str = ""
    file_url: str = ""
    is_gated: bool = False


BACKBONES: tuple[BackboneRow, ...] = (
    BackboneRow(
        "dinov3-s", "dinov3_vit", "DINOv3ViTModel", Published(384, 16),
        hub="facebook/dinov3-vits16-pretrain-lvd1689m", is_gated=True,
    ),
    BackboneRow(
        "dinov3-b", "dinov3_vit", "DINOv3ViTModel", Published(768, 16),
        hub="facebook/dinov3-vitb16-pretrain-lvd1689m", is_gated=True,
    ),
    BackboneRow(
        "dinov3-l", "dinov3_vit", "DINOv3ViTModel", Published(1024, 16),
        hub="facebook/dinov3-vitl16-pretrain-lvd1689m", is_gated=True,
    ),
    BackboneRow(
        "dinov2-b", "dinov2_with_registers", "Dinov2WithRegistersModel", Published(768, 14),
        hub="facebook/dinov2-with-registers-base",
    ),
    BackboneRow(
        "dino-resnet50", "resnet", "ResNetModel", Published(2048, 16),
        file_url="https://dl.fbaipublicfiles.com/dino/dino_resnet50_pretrain/dino_resnet50_pretrain.pth",
    ),
)  # fmt: skip


def backbone_named(name: str) -> BackboneRow:
    """The row of that name.

    Raises:
        PipelineError: no row has this name.
    """
    for row in BACKBONES:
        if row.name == name:
            return row
    names = ", ".join(row.name for row in BACKBONES)
    raise PipelineError(f"{name!r} is no backbone", f"choose one with BACKBONE=: {names}")


class Backbone:
    """A loaded backbone: pictures in, tokens out, nothing trained.

    Args:
        network: in evaluation mode, on `device`, float32.
        computed_in: `float16` runs what is safe to in half precision.
    """

    def __init__(self, network: nn.Module, row: BackboneRow, device: torch.device, computed_in: ComputedIn) -> None:
        self.network, self.row, self.device, self.computed_in = network, row, device, computed_in
        shape = shape_of(network.config)
        self.dim, self.patch, self.stride, self.prefix_tokens = shape.dim, shape.patch, shape.stride, shape.prefix
        self._mean = torch.tensor(MEAN, device=device).view(1, 3, 1, 1)
        self._std = torch.tensor(STD, device=device).view(1, 3, 1, 1)

    def grid(self, picture_size_wh: tuple[int, int], scale: float = 1.0) -> Grid:
        """The token grid of pictures of one size, and the size in which they have to be given."""
        return grid_of(picture_size_wh, self.patch, self.stride, scale)

    def tokens(self, pictures: NDArray[np.uint8], grid: Grid) -> NDArray[np.float16]:
        """Patch tokens after the last norm.

        Args:
            pictures: (B, H, W, 3) RGB, of the grid's shown size.

        Returns:
            (B, h, w, C).

        Raises:
            PipelineError: a token does not fit the range of float16.
        """
        width, height = grid.shown_size_wh
        assert pictures.shape[1:] == (height, width, 3), (pictures.shape, grid)
        pixels = torch.from_numpy(pictures).to(self.device).permute(0, 3, 1, 2).float() / 255
        with torch.inference_mode(), torch.autocast(self.device.type, torch.float16, self.computed_in == "float16"):
            out: torch.Tensor = self.network(pixel_values=(pixels - self._mean) / self._std).last_hidden_state
            found = self._on_grid(out, grid.hw).to(torch.float16)
        if not bool(torch.isfinite(found).all()):
            raise PipelineError(
                f"{self.row.name} made features that float16 cannot hold",
                "use --computed-in float32; if that is so already, the weights are damaged",
            )
        return np.asarray(found.contiguous().cpu().numpy())

    def _on_grid(self, out: torch.Tensor, grid_hw: tuple[int, int]) -> torch.Tensor:
        """(B, prefix + h·w, C) of a transformer or (B, C, rows, columns) of a convolutional network → (B, h, w, C)."""
        if out.ndim == 4:
            return nn.functional.adaptive_avg_pool2d(out, grid_hw).permute(0, 2, 3, 1)
        return out[:, self.prefix_tokens :].reshape(len(out), *grid_hw, self.dim)


@dataclass(frozen=True)
class Shape:
    """What a network's config says about its tokens.

    Attributes:
        dim: width of a token.
        patch: pixels along a side that a token stands for.
        stride: pixels along a side from one output of the network to the next.
        prefix: tokens before the first patch: class token and registers.
    """

    dim: int
    patch: int
    stride: int
    prefix: int


def shape_of(config: Any) -> Shape:
    """Read from a config of transformers.

    A ResNet's outputs lie 32 pixels apart. Its maps are brought to the grids of the transformers, two tokens an output,
    so that pictures are shown to it in the size that a patch of 16 asks for.
    """
    if config.model_type == "resnet":
        halvings = 2 + config.downsample_in_first_stage + len(config.hidden_sizes) - 1
        return Shape(config.hidden_sizes[-1], 2**halvings // 2, 2**halvings, 0)
    patch = config.patch_size if isinstance(config.patch_size, int) else config.patch_size[0]
    return Shape(config.hidden_size, patch, patch, 1 + config.num_register_tokens)
