"""Backbones: the same numbers as the library's own forward pass, weights found and refused, grids, tiny models."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np
import pytest
import torch
import torchvision
from huggingface_hub import constants
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import Dinov2WithRegistersModel, DINOv3ViTModel, ResNetModel

from pipeline.config_correspondence import FeaturesKnobs
from pipeline.errors import PipelineError
from pipeline.knobs import knob_doc
from pipeline.models.backbone_loading import load_backbone
from pipeline.models.backbones import BACKBONES, MEAN, STD, Backbone, backbone_named, shape_of
from pipeline.models.dino_resnet import config_of, read_state, renamed
from pipeline.models.loading import lend
from pipeline.models.tiny_backbones import tiny_config, write_tiny_backbone
from pipeline.ops.features.grid import fit, grid_of
from tests.hub_server import HubServer

CLASSES: dict[str, Any] = {
    "dinov3-s": DINOv3ViTModel, "dinov3-b": DINOv3ViTModel, "dinov3-l": DINOv3ViTModel,
    "dinov2-b": Dinov2WithRegistersModel, "dino-resnet50": ResNetModel,
}  # fmt: skip
FAMILIES = ("dinov3-s", "dinov2-b", "dino-resnet50")
VITS = ("dinov3-s", "dinov2-b")


@pytest.fixture(scope="module", autouse=True)
def one_core() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    home = tmp_path_factory.mktemp("backbones")
    return {name: write_tiny_backbone(home / name, name) for name in CLASSES}


def loaded(tiny: dict[str, Path], name: str) -> Backbone:
    return load_backbone(name, str(tiny[name]), device="cpu")[0]


def noise(count: int, size_wh: tuple[int, int], seed: int = 0) -> Any:
    return np.random.default_rng(seed).integers(0, 256, (count, size_wh[1], size_wh[0], 3), np.uint8)


def edit(file: Path, **changes: Any) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


# Numbers


@pytest.mark.parametrize("name", CLASSES)
def test_tokens_are_those_of_a_direct_forward_pass(tiny: dict[str, Path], name: str) -> None:
    backbone = loaded(tiny, name)
    grid = backbone.grid((126, 84))
    assert grid.hw == (6, 9)
    pictures = noise(2, grid.shown_size_wh)
    found = backbone.tokens(pictures, grid)
    network = CLASSES[name].from_pretrained(tiny[name]).eval()
    normal = (pictures.astype(np.float32) / 255 - np.array(MEAN, np.float32)) / np.array(STD, np.float32)
    with torch.no_grad():
        out = network(torch.from_numpy(normal).permute(0, 3, 1, 2)).last_hidden_state
    if name == "dino-resnet50":
        expected = nn.functional.adaptive_avg_pool2d(out, (6, 9)).permute(0, 2, 3, 1)
    else:
        assert out.shape[1] == 1 + 4 + 6 * 9  # class token, registers, patches
        expected = out[:, 5:].reshape(2, 6, 9, -1)
    assert found.dtype == np.float16 and found.flags.c_contiguous
    np.testing.assert_allclose(found, expected.numpy(), atol=3e-3, rtol=1e-3)  # the width of float16
    assert np.abs(found.astype(np.float32) - expected.numpy()).mean() < 3e-4


@pytest.mark.parametrize("name", FAMILIES)
def test_a_token_lies_where_its_patch_is(tiny: dict[str, Path], name: str) -> None:
    """A change in one corner of a portrait picture changes the tokens of that corner most."""
    backbone = loaded(tiny, name)
    grid = backbone.grid((112, 224))
    assert grid.hw == (16, 8)
    picture = np.full((1, grid.shown_size_wh[1], grid.shown_size_wh[0], 3), 128, np.uint8)
    changed = picture.copy()
    side = 2 * backbone.patch
    changed[:, -side:, :side] = noise(1, (side, side))
    moved = np.abs(backbone.tokens(changed, grid).astype(np.float32) - backbone.tokens(picture, grid)).mean(-1)[0]
    reach = 4 if name == "dino-resnet50" else 2  # an output of a ResNet sees its neighbours
    row, column = np.unravel_index(moved.argmax(), moved.shape)
    assert row >= 16 - reach and column < reach


@pytest.mark.parametrize("name", FAMILIES)
def test_a_batch_gives_what_single_pictures_give(tiny: dict[str, Path], name: str) -> None:
    backbone = loaded(tiny, name)
    grid = backbone.grid((70, 70))
    pictures = noise(3, grid.shown_size_wh)
    together = backbone.tokens(pictures, grid).astype(np.float32)
    alone = np.concatenate([backbone.tokens(pictures[i : i + 1], grid) for i in range(3)]).astype(np.float32)
    np.testing.assert_allclose(together, alone, atol=4e-3)


def test_half_precision_is_near_single(tiny: dict[str, Path]) -> None:
    single = loaded(tiny, "dinov3-s")
    half = load_backbone("dinov3-s", str(tiny["dinov3-s"]), device="cpu", computed_in="float16")[0]
    assert (single.computed_in, half.computed_in) == ("float32", "float16")
    grid = single.grid((70, 70))
    pictures = noise(1, grid.shown_size_wh)
    np.testing.assert_allclose(half.tokens(pictures, grid), single.tokens(pictures, grid), atol=0.03)


def test_features_that_float16_cannot_hold(tiny: dict[str, Path]) -> None:
    backbone = loaded(tiny, "dinov3-s")
    with torch.no_grad():
        backbone.network.norm.weight.fill_(1e6)
    grid = backbone.grid((28, 28))
    with pytest.raises(PipelineError, match="that float16 cannot hold"):
        backbone.tokens(noise(1, grid.shown_size_wh), grid)


# Rows and shapes


def test_the_knob_has_the_rows_and_the_default_is_one() -> None:
    field = FeaturesKnobs.__dataclass_fields__["backbone"]
    assert set(knob_doc(field).choices) == {row.name for row in BACKBONES} == set(CLASSES)
    assert backbone_named(FeaturesKnobs().backbone).name == "dinov3-s"
    assert get_type_hints(FeaturesKnobs)["backbone"] is str


def test_no_such_backbone() -> None:
    with pytest.raises(PipelineError, match="'dinov9' is no backbone"):
        backbone_named("dinov9")


@pytest.mark.parametrize("name", CLASSES)
def test_shapes_come_from_the_model(tiny: dict[str, Path], name: str) -> None:
    backbone, config = loaded(tiny, name), tiny_config(backbone_named(name))
    if name == "dino-resnet50":
        assert (backbone.dim, backbone.patch, backbone.stride, backbone.prefix_tokens) == (128, 16, 32, 0)
    else:
        assert (backbone.dim, backbone.prefix_tokens) == (config.hidden_size, 1 + 4)
        assert backbone.patch == backbone.stride == config.patch_size == (14 if name == "dinov2-b" else 16)


def test_other_patches_and_registers_are_read(tmp_path: Path) -> None:
    folder = write_tiny_backbone(tmp_path, "dinov3-s")
    state = load_file(folder / "model.safetensors")
    state["embeddings.register_tokens"] = state["embeddings.register_tokens"][:, :2].contiguous()
    state["embeddings.patch_embeddings.weight"] = state["embeddings.patch_embeddings.weight"][..., :8, :8].contiguous()
    save_file(state, folder / "model.safetensors", {"format": "pt"})
    edit(folder / "config.json", num_register_tokens=2, patch_size=[8, 8])
    backbone = load_backbone("dinov3-s", str(folder), device="cpu")[0]
    assert (backbone.patch, backbone.prefix_tokens) == (8, 3)
    grid = backbone.grid((140, 70))
    assert grid.shown_size_wh == (80, 40)
    assert backbone.tokens(noise(1, (80, 40)), grid).shape == (1, 5, 10, 64)


def test_published_configs_have_the_published_shapes() -> None:
    """The libraries' own defaults are those of the published models, but for what the files of these say."""
    for name, changes in {
        "dinov3-s": {"num_register_tokens": 4},
        "dinov2-b": {"patch_size": 14},
        "dino-resnet50": {},
    }.items():
        row = backbone_named(name)
        shape = shape_of(CLASSES[name].config_class(**changes))
        assert (shape.dim, shape.patch) == (row.published.dim, row.published.patch)
        assert shape.prefix == (0 if name == "dino-resnet50" else 5)


@pytest.mark.parametrize(
    ("picture_wh", "patch", "stride", "hw", "input_wh", "shown_wh"),
    [
        ((704, 704), 14, 14, (50, 50), (700, 700), (700, 700)),
        ((960, 540), 14, 14, (38, 68), (952, 532), (952, 532)),
        ((540, 960), 14, 14, (68, 38), (532, 952), (532, 952)),
        ((704, 704), 16, 16, (50, 50), (800, 800), (800, 800)),
        ((960, 540), 16, 16, (38, 68), (1088, 608), (1088, 608)),
        ((704, 704), 16, 32, (50, 50), (800, 800), (800, 800)),
        ((960, 540), 16, 32, (38, 68), (1088, 608), (1088, 608)),
        ((448, 455), 16, 32, (32, 32), (512, 512), (512, 512)),
        ((462, 448), 16, 32, (32, 33), (528, 512), (544, 512)),  # an odd grid
        ((9, 5), 14, 14, (1, 1), (14, 14), (14, 14)),
    ],
)
def test_grids(picture_wh: Any, patch: int, stride: int, hw: Any, input_wh: Any, shown_wh: Any) -> None:
    grid = grid_of(picture_wh, patch, stride)
    assert (grid.hw, grid.input_size_wh, grid.shown_size_wh) == (hw, input_wh, shown_wh)
    assert all(side % stride == 0 for side in grid.shown_size_wh)


def test_a_scaled_grid() -> None:
    assert grid_of((704, 704), 16, 16, 2.0).hw == (100, 100)
    assert grid_of((704, 704), 16, 16, 0.5).hw == (25, 25)


def test_pictures_shrink_by_areas_grow_smoothly_or_are_picked() -> None:
    noisy = noise(1, (12, 12))[0]
    areas = noisy.reshape(4, 3, 4, 3, 3).astype(float).mean((1, 3))
    assert np.abs(fit(noisy, (4, 4)) - areas).max() <= 1
    checks = np.indices((8, 8)).sum(0) % 2 * 255
    picture = np.repeat(checks[..., None], 3, 2).astype(np.uint8)
    assert set(np.unique(fit(picture, (4, 4), "nearest"))) <= {0, 255}
    assert len(np.unique(fit(picture, (20, 20)))) > 2
    assert set(np.unique(fit(picture, (20, 20), "nearest"))) == {0, 255}
    assert fit(picture, (8, 8)) is picture
    assert fit(picture, (20, 6)).shape == (6, 20, 3)


# Finding weights


def test_a_local_folder_and_its_safetensors(tiny: dict[str, Path]) -> None:
    file = tiny["dinov3-s"] / "model.safetensors"
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    for given in (tiny["dinov3-s"], file):
        _, files = load_backbone("dinov3-s", str(given), sha256=digest.upper(), device="cpu")
        assert (files.name, files.revision, files.sha256) == ("dinov3-s", None, digest)


def test_several_weight_files_have_one_digest(tiny: dict[str, Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny["dinov3-s"], tmp_path / "sharded"))
    state = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = sorted(state)
    parts = {"model-00001-of-00002.safetensors": names[:5], "model-00002-of-00002.safetensors": names[5:]}
    for part, keys in parts.items():
        save_file({key: state[key] for key in keys}, folder / part, {"format": "pt"})
    weight_map = {key: part for part, keys in parts.items() for key in keys}
    index = {"metadata": {"total_size": 1}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    digests = [hashlib.sha256((folder / part).read_bytes()).hexdigest() for part in sorted(parts)]
    _, files = load_backbone("dinov3-s", str(folder), device="cpu")
    assert files.sha256 == hashlib.sha256("".join(digests).encode()).hexdigest()


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (lambda folder: (folder / "config.json").unlink(), r"there is no config\.json"),
        (lambda folder: (folder / "model.safetensors").unlink(), "holds no weights"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"\0" * 64), "cannot be read"),
        (lambda folder: edit(folder / "config.json", model_type="vit"), "of model type 'vit'"),
        (lambda folder: edit(folder / "config.json", num_hidden_layers=3), "do not match its config: .* missing"),
        (lambda folder: edit(folder / "config.json", proj_bias=False), "do not match its config: .* unexpected"),
        (lambda folder: edit(folder / "config.json", num_hidden_layers=1), "config of mine cannot be used"),
        (lambda folder: edit(folder / "config.json", hidden_size="wide"), "config of mine cannot be used"),
        (lambda folder: edit(folder / "config.json", hidden_size=32), "do not match its config: .* of another shape"),
    ],
    ids=[
        "no config",
        "no weights",
        "zeros",
        "other type",
        "missing",
        "unexpected",
        "contradiction",
        "no number",
        "other shape",
    ],
)
def test_damaged_folders(tiny: dict[str, Path], tmp_path: Path, damage: Any, problem: str) -> None:
    folder = Path(shutil.copytree(tiny["dinov3-s"], tmp_path / "mine"))
    damage(folder)
    with pytest.raises(PipelineError, match=problem) as caught:
        load_backbone("dinov3-s", str(folder), device="cpu")
    assert "Qwen" not in str(caught.value)


def test_weights_of_another_row_are_refused_by_name(tmp_path: Path) -> None:
    config = tiny_config(backbone_named("dinov3-s"))
    config.hidden_size, config.num_attention_heads = 768, 12
    DINOv3ViTModel(config).save_pretrained(tmp_path)
    with pytest.raises(PipelineError, match=r"these are weights of dinov3-b, not of dinov3-s \(384\)"):
        load_backbone("dinov3-s", str(tmp_path), device="cpu")


def test_one_s_own_width_is_named(tiny: dict[str, Path]) -> None:
    said: list[str] = []
    load_backbone("dinov2-b", str(tiny["dinov2-b"]), device="cpu", report=said.append)
    assert said == ["dinov2-b has 64 features a token; the published dinov2-b has 768"]


def test_a_wrong_digest(tiny: dict[str, Path]) -> None:
    with pytest.raises(PipelineError, match=f"have SHA-256 [0-9a-f]{{64}}, expected {'0' * 64}"):
        load_backbone("dinov3-s", str(tiny["dinov3-s"]), sha256="0" * 64, device="cpu")


@pytest.mark.parametrize("given", ["/nowhere/weights.pth", "./nothing", "/nowhere/model.safetensors"])
def test_weights_that_are_not_there(given: str) -> None:
    for name in ("dinov3-s", "dino-resnet50"):
        with pytest.raises(PipelineError, match=r"there is no f(ile|older)") as caught:
            load_backbone(name, given, device="cpu")
        assert "BACKBONE_WEIGHTS=" in caught.value.fix


def test_a_state_dict_is_no_transformer(tmp_path: Path) -> None:
    torch.save({}, tmp_path / "dinov3.pth")
    with pytest.raises(PipelineError, match="alone does not make a dinov3-s"):
        load_backbone("dinov3-s", str(tmp_path / "dinov3.pth"), device="cpu")


# The hub


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def use(server: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", server.endpoint)
    monkeypatch.setattr(
        constants, "HUGGINGFACE_CO_URL_TEMPLATE", server.endpoint + "/{repo_id}/resolve/{revision}/{filename}"
    )


def test_the_hub_s_weights_by_name(tiny: dict[str, Path], cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = backbone_named("dinov2-b").hub
    with HubServer(models={hub: tiny["dinov2-b"]}) as server:
        use(server, monkeypatch)
        _, files = load_backbone("dinov2-b", device="cpu")
        assert (files.name, files.revision) == (hub, server.commit(tiny["dinov2-b"]))
        with pytest.raises(PipelineError, match="has no revision 'old'"):
            load_backbone("dinov2-b", revision="old", device="cpu")


def test_gated_weights_and_the_ways_out(tiny: dict[str, Path], cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = backbone_named("dinov3-s").hub
    with HubServer(models={hub: tiny["dinov3-s"]}, tokens={"hf_good": True, "hf_stranger": False}) as server:
        use(server, monkeypatch)
        for token, problem in ((None, "is refused, and no token was given"), ("hf_stranger", "is refused$")):
            with pytest.raises(PipelineError) as caught:
                load_backbone("dinov3-s", token=token, device="cpu")
            assert hub in caught.value.problem
            assert re.search(problem, caught.value.problem)
            for way in (f"accept its terms on https://huggingface.co/{hub}", "HF_TOKEN=", "BACKBONE=dinov2-b"):
                assert way in caught.value.fix
        assert load_backbone("dinov3-s", token="hf_good", device="cpu")[1].name == hub


def test_no_network_and_no_copy(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(PipelineError, match="the hub cannot be reached") as caught:
        load_backbone("dinov3-s", device="cpu")
    assert "set BACKBONE_WEIGHTS= to a local folder" in caught.value.fix


# The DINO ResNet's file


def torchvision_resnet(seed: int = 0) -> nn.Module:
    """Small, with what a trained one has: statistics and scales that are not 0 and 1."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = torchvision.models.ResNet(torchvision.models.resnet.Bottleneck, [1, 2, 1, 1])
        for layer in network.modules():
            if isinstance(layer, nn.BatchNorm2d):
                nn.init.uniform_(layer.weight, 0.5, 1.0)
                nn.init.normal_(layer.bias, 0, 0.1)
                nn.init.normal_(layer.running_mean, 0, 0.1)  # type: ignore[arg-type]
                nn.init.uniform_(layer.running_var, 0.75, 1.25)  # type: ignore[arg-type]
    network.fc = nn.Identity()
    return network.eval()


@pytest.fixture(scope="module")
def resnet() -> nn.Module:
    return torchvision_resnet()


def test_a_state_dict_of_torchvision_gives_torchvision_s_features(resnet: nn.Module, tmp_path: Path) -> None:
    torch.save(resnet.state_dict(), tmp_path / "dino.pth")
    said: list[str] = []
    backbone, files = load_backbone("dino-resnet50", str(tmp_path / "dino.pth"), device="cpu", report=said.append)
    digest = hashlib.sha256((tmp_path / "dino.pth").read_bytes()).hexdigest()
    assert (backbone.dim, backbone.patch, files.sha256) == (2048, 16, digest)
    assert len(said) == 1 and digest in said[0] and "no checksum of its publisher is known" in said[0]
    grid = backbone.grid((112, 56))
    pictures = noise(1, grid.shown_size_wh)
    pixels = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255
    pixels = (pixels - torch.tensor(MEAN).view(1, 3, 1, 1)) / torch.tensor(STD).view(1, 3, 1, 1)
    layers = ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4")
    with torch.no_grad():
        for name in layers:
            pixels = getattr(resnet, name)(pixels)
    assert pixels.shape[2:] == (2, 4) and grid.hw == (4, 8)
    expected = pixels.repeat_interleave(2, 2).repeat_interleave(2, 3).permute(0, 2, 3, 1)  # two tokens an output
    np.testing.assert_allclose(backbone.tokens(pictures, grid), expected.numpy(), rtol=2e-3, atol=2e-3)


def test_all_of_the_published_architecture_s_names_are_known() -> None:
    """ResNet-50 of torchvision on the meta device: each name has its counterpart, none is left."""
    with torch.device("meta"):
        state = {k: v for k, v in torchvision.models.resnet50().state_dict().items() if not k.startswith("fc.")}
        config = config_of(state, Path("x.pth"))
        network = ResNetModel(config)
    assert (config.depths, config.hidden_sizes) == ([3, 4, 6, 3], [256, 512, 1024, 2048])
    own = {name: value.shape for name, value in network.state_dict().items()}
    assert {name: value.shape for name, value in renamed(state).items()} == own


@pytest.mark.parametrize("wrapping", ["teacher", "state_dict"])
def test_wrapped_and_headed_state_dicts(resnet: nn.Module, tmp_path: Path, wrapping: str) -> None:
    state = {f"module.backbone.{name}": value for name, value in resnet.state_dict().items()}
    state |= {"module.head.mlp.0.weight": torch.zeros(2, 2)}
    torch.save({wrapping: state, "epoch": 3}, tmp_path / "full.pth")
    found, heads = read_state(tmp_path / "full.pth")
    assert found.keys() == resnet.state_dict().keys() and heads == ["head.mlp.0.weight"]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda state: state.pop("layer2.1.bn2.running_var"), r"1 missing: encoder\.stages\.1\.layers\.1"),
        (lambda state: state.update({"layer9000": torch.zeros(1)}), "1 unexpected: layer9000"),
        (lambda state: state.update({"bn1.bias": torch.zeros(3)}), "1 of another shape: embedder"),
        (lambda state: state.pop("conv1.weight"), "holds no ResNet with bottlenecks"),
        (lambda state: state.clear(), "holds no ResNet with bottlenecks"),
        (lambda state: state.update({"epoch": 3}), "holds no state dict of tensors"),
    ],
    ids=["missing", "unexpected", "shape", "no stem", "empty", "no tensor"],
)
def test_state_dicts_that_do_not_fit(resnet: nn.Module, tmp_path: Path, change: Any, problem: str) -> None:
    state: dict[str, Any] = dict(resnet.state_dict())
    change(state)
    torch.save(state, tmp_path / "dino.pth")
    with pytest.raises(PipelineError, match=problem):
        load_backbone("dino-resnet50", str(tmp_path / "dino.pth"), device="cpu")


def test_a_file_without_step_counters_fits(resnet: nn.Module, tmp_path: Path) -> None:
    state = {name: value for name, value in resnet.state_dict().items() if not name.endswith("num_batches_tracked")}
    torch.save(state, tmp_path / "dino.pth")
    assert load_backbone("dino-resnet50", str(tmp_path / "dino.pth"), device="cpu")[0].dim == 2048


@pytest.mark.parametrize("content", [b"", b"<html>log in</html>", b"PK\x03\x04 cut off"])
def test_files_that_are_no_state_dict(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "dino.pth").write_bytes(content)
    with pytest.raises(PipelineError, match="cannot be read"):
        load_backbone("dino-resnet50", str(tmp_path / "dino.pth"), device="cpu")


class Spy:
    """Unpickling it would run code."""

    def __reduce__(self) -> Any:
        return (pytest.fail, ("code was run",))


def test_a_file_cannot_run_code(tmp_path: Path) -> None:
    torch.save({"conv1.weight": Spy()}, tmp_path / "dino.pth")
    with pytest.raises(PipelineError, match="cannot be read"):
        load_backbone("dino-resnet50", str(tmp_path / "dino.pth"), device="cpu")


@pytest.fixture
def published(resnet: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file at its address, which is this disk's for the test; torch.hub's own downloader fetches it."""
    import dataclasses

    from pipeline.models import backbone_loading

    file = tmp_path / "site" / "dino_resnet50_pretrain.pth"
    file.parent.mkdir()
    torch.save(resnet.state_dict(), file)
    row = dataclasses.replace(backbone_named("dino-resnet50"), file_url=file.as_uri())
    monkeypatch.setattr(backbone_loading, "backbone_named", lambda _: row)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "torch"))
    return file


def test_the_published_file_is_fetched_once(published: Path, tmp_path: Path) -> None:
    said: list[str] = []
    digest = hashlib.sha256(published.read_bytes()).hexdigest()
    load_backbone("dino-resnet50", sha256=digest, device="cpu", report=said.append)
    assert said == [f"fetching {published.as_uri()}"]
    published.unlink()
    _, files = load_backbone("dino-resnet50", device="cpu", report=said.append)
    assert files.place == tmp_path / "torch" / "checkpoints" / published.name and files.sha256 == digest


def test_a_fetched_file_with_another_digest_is_not_kept(published: Path, tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="is not the expected file"):
        load_backbone("dino-resnet50", sha256="0" * 64, device="cpu")
    assert not list((tmp_path / "torch" / "checkpoints").iterdir())


def test_a_file_that_cannot_be_fetched(published: Path) -> None:
    published.unlink()
    with pytest.raises(PipelineError, match="cannot be fetched from") as caught:
        load_backbone("dino-resnet50", device="cpu")
    assert "BACKBONE_WEIGHTS=FILE" in caught.value.fix


# Tiny backbones


@pytest.mark.parametrize("name", FAMILIES)
def test_tiny_backbones_are_small_and_repeatable(tiny: dict[str, Path], tmp_path: Path, name: str) -> None:
    torch.manual_seed(5)
    before = torch.rand(1)
    torch.manual_seed(5)
    again = write_tiny_backbone(tmp_path / "again", name)
    assert torch.equal(torch.rand(1), before)
    files = {file.name: file.read_bytes() for file in again.iterdir()}
    assert files == {file.name: file.read_bytes() for file in tiny[name].iterdir()}
    assert sum(map(len, files.values())) < 1_000_000
    other = write_tiny_backbone(tmp_path / "other", name, seed=1)
    assert (other / "model.safetensors").read_bytes() != files["model.safetensors"]


@pytest.mark.parametrize("name", FAMILIES)
def test_tiny_features_tell_textures_apart(tiny: dict[str, Path], name: str) -> None:
    """The left half of two pictures is alike and the right half is not: so are their tokens."""
    backbone = loaded(tiny, name)
    grid = backbone.grid((112, 112))
    width = grid.shown_size_wh[0]
    red, stripes = np.zeros((width, width, 3), np.uint8), np.zeros((width, width, 3), np.uint8)
    red[..., 0] = 200
    stripes[::4] = 255
    pictures = np.stack([red, np.concatenate([red[:, : width // 2], stripes[:, width // 2 :]], 1)])
    one, two = backbone.tokens(pictures, grid).astype(np.float32)
    cosine = (one * two).sum(-1) / np.linalg.norm(one, axis=-1) / np.linalg.norm(two, axis=-1)
    assert cosine[:, :2].min() > cosine[:, -2:].max() + 0.05


def test_a_lent_backbone_is_really_given_back(tiny: dict[str, Path]) -> None:
    with lend("dinov3-s", lambda: loaded(tiny, "dinov3-s")) as backbone:
        assert not any(tensor.is_meta for tensor in backbone.network.parameters())
    assert all(tensor.is_meta for tensor in backbone.network.parameters())
