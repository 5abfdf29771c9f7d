"""O-MaMa's network: its parts against plain formulas, its loss, and its checkpoints."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from pipeline.errors import PipelineError
from pipeline.models.nearest_neighbour import nearest_neighbour
from pipeline.models.omama import VIEWS, Matches, Omama, OmamaConfig
from pipeline.models.omama_checkpoint import check_feature_dim, load_omama, save_omama
from pipeline.models.omama_loss import omama_loss
from pipeline.models.omama_released import own_name, released_state
from pipeline.ops.matching.pooling import descriptors
from pipeline.schema.egoexo_pairs import SETTINGS, Setting

GOLDEN = Path(__file__).resolve().parents[2] / "shared" / "golden"
GRIDS: dict[Any, tuple[int, int]] = {"ego": (5, 5), "exo": (3, 7)}
DIM = 16


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Small products gain nothing by a second thread, and lose much where cores are busy."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def small(**changes: Any) -> OmamaConfig:
    fields = {"feature_dim": DIM, "width": DIM, "ego_grid_hw": GRIDS["ego"], "exo_grid_hw": GRIDS["exo"]}
    return OmamaConfig(**(fields | changes))


def network(seed: int = 0, **changes: Any) -> Omama:
    torch.manual_seed(seed)
    return Omama(small(**changes)).double().eval()


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape))


def views(setting: Setting, pairs: int = 2, channels: int = DIM) -> tuple[Tensor, Tensor]:
    source, target = (GRIDS[view] for view in VIEWS[setting])
    return drawn(pairs, *source, channels, seed=1), drawn(pairs, *target, channels, seed=2)


def plain_norm(rows: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    centred = rows - rows.mean(-1, keepdim=True)
    return centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt() * weight + bias


def plain_attention(state: dict[str, Tensor], query: Tensor, tokens: Tensor) -> Tensor:
    """One query [D] and tokens [T, D], by the formulas and the released names."""

    def linear(name: str, rows: Tensor) -> Tensor:
        return rows @ state[f"CROSS_context_attn.{name}.weight"].T + state[f"CROSS_context_attn.{name}.bias"]

    def norm(name: str, rows: Tensor) -> Tensor:
        return plain_norm(rows, state[f"CROSS_context_attn.{name}.weight"], state[f"CROSS_context_attn.{name}.bias"])

    query, tokens = norm("norm_input", query), norm("norm_input", tokens)
    q, k, v = linear("query", query), linear("key", tokens), linear("value", tokens)
    size = len(query) // 4
    heads = []
    for head in range(4):
        part = slice(head * size, (head + 1) * size)
        heads.append(torch.softmax(k[:, part] @ q[part] / math.sqrt(size), 0) @ v[:, part])
    y = linear("project.0", torch.cat(heads))
    hidden = linear("mlp.0", norm("norm_output", y))
    return y + linear("mlp.2", hidden * 0.5 * (1 + torch.erf(hidden / math.sqrt(2))))


@pytest.mark.parametrize("setting", SETTINGS)
def test_equals_the_formulas(setting: Setting) -> None:
    net = network(visibility="similarity")
    state = released_state(net, setting)
    source, target = views(setting)
    sources, candidates = drawn(2, 1, 2 * DIM, seed=3), drawn(2, 4, 2 * DIM, seed=4)
    found = net(source, target, sources, candidates, setting)
    for pair in range(2):
        tokens = {
            "pos_embed_T": target[pair].reshape(-1, DIM) + state["pos_embed_T"][0],
            "pos_embed_Q": source[pair].reshape(-1, DIM) + state["pos_embed_Q"][0],
        }

        def embedding(descriptor: Tensor, other: Tensor) -> Tensor:
            rows = torch.cat([plain_attention(state, descriptor[:DIM], other), descriptor])
            for layer in (0, 2, 4):
                rows = state[f"mlp.mlp.{layer}.weight"] @ rows + state[f"mlp.mlp.{layer}.bias"]
                rows = rows.clamp(min=0) if layer < 4 else rows
            return rows

        z = embedding(sources[pair, 0], tokens["pos_embed_T"])
        for number in range(4):
            other = embedding(candidates[pair, number], tokens["pos_embed_Q"])
            cosine = (z @ other / z.norm() / other.norm()).item()
            assert found.similarity[pair, 0, number].item() == pytest.approx(cosine, abs=1e-12)
        best = found.similarity[pair, 0].max().item()
        assert found.confidence[pair, 0].item() == pytest.approx(1 / (1 + math.exp(-best)))
        assert found.best[pair, 0] == found.similarity[pair, 0].argmax()


def test_objects_of_a_pair_together_and_alone_are_the_same() -> None:
    net = network()
    source, target = views("exoego")
    sources, candidates = drawn(2, 5, 2 * DIM, seed=3), drawn(2, 4, 2 * DIM, seed=4)
    together = net(source, target, sources, candidates, "exoego")
    for query in range(5):
        alone = net(source, target, sources[:, query : query + 1], candidates, "exoego")
        torch.testing.assert_close(together.similarity[:, query : query + 1], alone.similarity)
        torch.testing.assert_close(together.visibility[:, query : query + 1], alone.visibility)
    # In parts, as inference does it: a view's keys and values once, whoever asks.
    looked_at = net.view(target[:1], "ego"), net.view(source[:1], "exo")
    parts = net.match(net.embed(sources[:1], looked_at[0]), net.embed(candidates[:1], looked_at[1]))
    torch.testing.assert_close(parts.similarity, together.similarity[:1])


def test_candidates_that_fill_up_change_nothing() -> None:
    net = network()
    source, target = views("egoexo")
    sources, candidates = drawn(2, 2, 2 * DIM, seed=3), drawn(2, 6, 2 * DIM, seed=4)
    valid = torch.tensor([[True] * 4 + [False] * 2, [True] * 6])
    padded = net(source, target, sources, candidates, "egoexo", valid)
    alone = net(source[:1], target[:1], sources[:1], candidates[:1, :4], "egoexo")
    torch.testing.assert_close(padded.similarity[0, :, :4], alone.similarity[0])
    torch.testing.assert_close(padded.visibility[0], alone.visibility[0])
    assert padded.similarity[0, :, 4:].isneginf().all()
    assert (padded.best[0] < 4).all()


@pytest.mark.parametrize("visibility", ["head", "similarity"])
def test_no_candidate_is_no_match_and_no_confidence(visibility: str) -> None:
    net = network(visibility=visibility)
    source, target = views("exoego")
    sources = drawn(2, 1, 2 * DIM)
    valid = torch.tensor([[False] * 3, [True, False, False]])
    some = net(source, target, sources, drawn(2, 3, 2 * DIM, seed=5), "exoego", valid)
    none = net(source, target, sources, torch.zeros(2, 0, 2 * DIM), "exoego")
    assert some.best.flatten().tolist() == [-1, 0]
    assert some.confidence[0].item() == 0
    assert 0 < some.confidence[1].item() < 1
    assert none.best.flatten().tolist() == [-1, -1]
    assert none.confidence.flatten().tolist() == [0, 0]

    net.zero_grad()
    loss = omama_loss(some, torch.tensor([[[0.0, 0, 0]], [[1.0, 0, 0]]]), visibility_weight=1)
    loss.total.backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in net.parameters())
    assert omama_loss(none, torch.zeros(2, 1, 0), visibility_weight=1).total.item() == 0


def test_other_grids_and_portrait_frames_get_an_interpolated_table() -> None:
    net = network()
    table = net.positions["exo"].table.detach()
    expected = functional.interpolate(table.permute(2, 0, 1)[None], (7, 3), mode="bilinear")[0]
    torch.testing.assert_close(net.positions["exo"]((7, 3)), expected.flatten(1).T)
    torch.testing.assert_close(net.positions["exo"](GRIDS["exo"]), table.flatten(0, 1))
    portrait = net(drawn(1, 7, 3, DIM), drawn(1, 9, 9, DIM), drawn(1, 1, 32), drawn(1, 2, 32), "exoego")
    assert portrait.similarity.isfinite().all()


def test_projection_after_pooling_is_projection_before() -> None:
    net = network(feature_dim=6, projected=True)
    random = np.random.default_rng(0)
    tokens = random.standard_normal((5, 5, 6))
    masks = np.zeros((2, 40, 40), np.uint8)
    masks[0, 4:30, 9:22] = 1  # the other one stays empty
    boxes = np.array([[9, 4, 12, 25], [0, 0, 0, 0]])
    assert net.projection is not None
    before = descriptors(net.projection(torch.from_numpy(tokens)).detach().numpy(), masks, boxes, (40, 40))
    pooled = torch.from_numpy(descriptors(tokens, masks, boxes, (40, 40)))
    view = net.view(drawn(1, 3, 7, 6), "exo")
    seen: list[Tensor] = []
    hook = net.head.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    net.embed(pooled[None], view)
    hook.remove()
    np.testing.assert_allclose(seen[0][0, :, DIM:].detach().numpy(), before, atol=1e-12)
    assert not seen[0][0, 1, DIM : 2 * DIM].any()


def matches_of(similarity: Tensor, visibility: Tensor | None = None) -> Matches:
    nothing: Any = None
    return Matches(nothing, nothing, similarity, similarity.amax(-1) if visibility is None else visibility)


def test_loss_of_the_paper() -> None:
    similarity = drawn(3, 1, 5).tanh().requires_grad_()
    targets = torch.zeros(3, 1, 5)
    targets[0, 0, 2] = targets[2, 0, 4] = 1  # the second object is not seen
    loss = omama_loss(matches_of(similarity), targets)
    logits = similarity[:, 0] / 0.07
    expected = (
        functional.cross_entropy(logits[0], torch.tensor(2)) + functional.cross_entropy(logits[2], torch.tensor(4))
    ) / 3
    assert loss.total.item() == pytest.approx(expected.item())
    assert loss.visibility.item() == 0
    loss.total.backward()
    assert similarity.grad is not None
    assert not similarity.grad[1].any()
    padded = torch.cat([similarity.detach(), torch.full((3, 1, 2), -torch.inf)], -1).requires_grad_()
    again = omama_loss(matches_of(padded), functional.pad(targets, (0, 2)))
    again.total.backward()
    assert again.total.item() == pytest.approx(expected.item())
    assert padded.grad is not None
    assert padded.grad.isfinite().all()


def test_loss_of_several_positives_and_of_visibility() -> None:
    similarity, visibility = drawn(2, 1, 4).tanh(), drawn(2, 1, seed=8)
    targets = torch.tensor([[[0.75, 0.25, 0, 0]], [[0.0, 0, 0, 0]]])
    loss = omama_loss(matches_of(similarity, visibility), targets, visibility_weight=0.5)
    surprise = -(similarity[0, 0] / 0.07).log_softmax(0)
    assert loss.matching.item() == pytest.approx((0.75 * surprise[0] + 0.25 * surprise[1]).item() / 2)
    right = visibility.sigmoid().flatten()
    expected = -(right[0].log() + (1 - right[1]).log()) / 2
    assert loss.visibility.item() == pytest.approx(0.5 * expected.item())
    seen = omama_loss(
        matches_of(similarity, visibility), targets, visible=torch.ones(2, 1, dtype=torch.bool), visibility_weight=1
    )
    assert seen.visibility.item() == pytest.approx(-right.log().mean().item())


@pytest.mark.slow
def test_learns_which_object_and_whether_it_is_there() -> None:
    """Objects are noisy copies of their counterparts; in half of the pairs there is none."""
    torch.manual_seed(0)
    net = Omama(small()).train()
    optimizer = torch.optim.AdamW(net.parameters(), 1e-3)
    code = torch.randn(DIM, DIM)  # an object looks different from the other side

    def batch(pairs: int) -> tuple[Matches, Tensor]:
        seen = torch.rand(pairs) < 0.5
        place = torch.randint(6, (pairs,))
        candidates = torch.randn(pairs, 6, 2 * DIM)
        sources = torch.randn(pairs, 1, 2 * DIM)
        chosen = candidates[torch.arange(pairs), place, :DIM] @ code / 4
        sources[:, 0, :DIM] = torch.where(seen[:, None], chosen, sources[:, 0, :DIM])
        tokens = [torch.randn(pairs, *GRIDS[view], DIM) for view in VIEWS["exoego"]]
        found = net(tokens[0], tokens[1], sources, candidates, "exoego")
        return found, functional.one_hot(place, 6)[:, None] * seen[:, None, None]

    for _ in range(250):
        found, targets = batch(64)
        optimizer.zero_grad()
        omama_loss(found, targets, visibility_weight=1).total.backward()
        optimizer.step()
    with torch.no_grad():
        found, targets = batch(500)
    seen = targets.any(-1).flatten()
    right = (found.best == targets.argmax(-1)).flatten()[seen].float().mean()
    there = (found.confidence.flatten() > 0.5) == seen
    assert right > 0.75
    assert there.float().mean() > 0.68


def test_nearest_neighbour_is_the_cosine_of_objects() -> None:
    sources, candidates = drawn(1, 2, 8), drawn(1, 3, 8, seed=1)
    candidates[0, 1, :4] = 0  # vanished
    valid = torch.tensor([[True, True, False]])
    similarity, confidence = nearest_neighbour(sources, candidates, valid)
    expected = functional.cosine_similarity(sources[0, 0, :4], candidates[0, 0, :4], dim=0)
    assert similarity[0, 0, 0].item() == pytest.approx(expected.item(), abs=1e-6)
    assert similarity[0, 0, 1] == 0
    assert similarity[0, 0, 2].isneginf()
    assert confidence[0, 0].item() == pytest.approx(max(0, expected.item()), abs=1e-6)
    _, nothing = nearest_neighbour(sources, torch.zeros(1, 0, 8))
    assert nothing.tolist() == [[0, 0]]


def test_sizes_of_the_release() -> None:
    with torch.device("meta"):
        net = Omama(OmamaConfig(visibility="similarity"))
    state = released_state(net, "exoego")
    assert len(state) == 32
    assert sum(tensor.numel() for tensor in state.values()) == 11_812_994
    assert state["pos_embed_T"].shape == (1, 2500, 768)
    assert state["pos_embed_Q"].shape == (1, 2584, 768)
    assert released_state(net, "egoexo")["pos_embed_T"].shape == (1, 2584, 768)
    assert {own_name(name, "exoego") for name in state} == set(net.state_dict())
    visible = sum(tensor.numel() for name, tensor in state.items() if name.startswith("mlp_visible"))
    assert visible == 1_410_434
    with pytest.raises(ValueError, match="does not have"):
        released_state(network(), "exoego")


def written(folder: Path, setting: Setting, wrap: Callable[[dict[str, Tensor]], object] = dict) -> tuple[Path, Omama]:
    net = network(visibility="similarity")
    path = folder / "model_weights" / "run.pt"
    path.parent.mkdir(exist_ok=True)
    torch.save(wrap({name: tensor.float() for name, tensor in released_state(net, setting).items()}), path)
    return path, net


@pytest.mark.parametrize("used", SETTINGS)
@pytest.mark.parametrize("trained", SETTINGS)
@pytest.mark.parametrize("wrapped", [False, True])
def test_released_and_wrapped_checkpoints_load_for_either_direction(
    tmp_path: Path, trained: Setting, used: Setting, wrapped: bool
) -> None:
    path, net = written(tmp_path, trained, (lambda state: {"model_state_dict": state}) if wrapped else dict)
    loaded = load_omama(path, used, grids_hw=GRIDS)
    assert loaded.kind == ("wrapped" if wrapped else "released")
    assert loaded.trained == trained
    assert bool(loaded.notes) == (trained != used)
    if loaded.notes:
        assert "swapped" in loaded.notes[0]
        assert "exo→ego" in loaded.notes[0]
    for name, tensor in net.state_dict().items():
        torch.testing.assert_close(loaded.network.state_dict()[name], tensor.float())
    assert not loaded.network.training


def test_released_checkpoint_with_a_new_visibility_output(tmp_path: Path) -> None:
    path, net = written(tmp_path, "exoego")
    loaded = load_omama(path, "exoego", grids_hw=GRIDS, visibility="head")
    assert loaded.network.config.visibility == "head"
    assert "untrained" in loaded.notes[0]
    torch.testing.assert_close(loaded.network.head[0].weight, net.head[0].weight.float())


def test_projection_of_the_derivative(tmp_path: Path) -> None:
    path, _ = written(tmp_path, "exoego", lambda state: {"model_state_dict": state})
    beside = tmp_path / "projection_weights" / "run.pt"
    beside.parent.mkdir()
    weight, bias = torch.randn(DIM, 6, 1, 1), torch.randn(DIM)
    torch.save({"feature_proj_state_dict": {"weight": weight, "bias": bias}}, beside)
    loaded = load_omama(path, "exoego", grids_hw=GRIDS)
    assert loaded.network.config.feature_dim == 6
    assert loaded.network.projection is not None
    torch.testing.assert_close(loaded.network.projection.weight, weight[:, :, 0, 0])
    assert "projection_weights" in loaded.notes[0]
    assert not load_omama(path, "exoego", grids_hw=GRIDS, projection=beside).notes
    check_feature_dim(loaded.network, 6, "the features")
    with pytest.raises(PipelineError, match="7 channels, and the checkpoint expects 6"):
        check_feature_dim(loaded.network, 7, "the features")
    with pytest.raises(PipelineError, match="only the projection"):
        load_omama(beside, "exoego", grids_hw=GRIDS)
    with pytest.raises(PipelineError, match="no feature_proj_state_dict"):
        load_omama(path, "exoego", grids_hw=GRIDS, projection=path)
    for broken in ({"weight": weight[:, :, 0, 0], "bias": bias}, {"weight": weight}):
        torch.save({"feature_proj_state_dict": broken}, beside)
        with pytest.raises(PipelineError, match="expected weight"):
            load_omama(path, "exoego", grids_hw=GRIDS)
    torch.save({"feature_proj_state_dict": {"weight": weight[:8], "bias": bias[:8]}}, beside)
    with pytest.raises(PipelineError, match="leads to 8 channels, not 16"):
        load_omama(path, "exoego", grids_hw=GRIDS)


def without(name: str) -> Callable[[dict[str, Tensor]], object]:
    return lambda state: {key: tensor for key, tensor in state.items() if key != name}


@pytest.mark.parametrize(
    ("wrap", "problem"),
    [
        (without("mlp.mlp.2.bias"), r"1 missing: mlp.mlp.2.bias"),
        (without("pos_embed_Q"), r"missing:? pos_embed_Q"),
        (lambda state: state | {"extra.weight": torch.ones(2)}, r"1 unexpected: extra.weight"),
        (lambda state: state | {"mlp.mlp.0.bias": torch.ones(3)}, r"mlp.mlp.0.bias \(3,\) for \(16,\)"),
        (lambda state: state | {"mlp.mlp.0.bias": torch.full((16,), torch.nan)}, r"no numbers in mlp.mlp.0.bias"),
        (lambda state: state | {"pos_embed_T": torch.ones(1, 9, 16)}, r"unknown grids: pos_embed_T \(1, 9, 16\)"),
        (lambda state: {"state": state}, "holds more or other things"),
        (lambda state: {"a.weight": torch.ones(1)}, "no checkpoint of O-MaMa: its keys are a.weight"),
        (lambda state: {}, "its keys are none"),
        (lambda state: [1, 2], "holds a list"),
        (lambda state: {"mlp.mlp.0.bias": Path("x")}, "cannot be read as weights only"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path: Path, wrap: Callable[[dict[str, Tensor]], object], problem: str) -> None:
    path, _ = written(tmp_path, "exoego", wrap)
    with pytest.raises(PipelineError, match=problem):
        load_omama(path, "exoego", grids_hw=GRIDS)


def test_damaged_and_missing_files(tmp_path: Path) -> None:
    path, net = written(tmp_path, "exoego")
    with pytest.raises(PipelineError, match="unknown grids"):
        load_omama(path, "exoego")  # those of the release
    for damaged in (path.read_bytes()[:2000], b"", b"no checkpoint"):
        path.write_bytes(damaged)
        with pytest.raises(PipelineError, match="cannot be read"):
            load_omama(path, "exoego")
    with pytest.raises(PipelineError, match="no checkpoint"):
        load_omama(tmp_path / "none.pt", "exoego")
    save_omama(path, net)
    content = torch.load(path)
    torch.save(content | {"config": {"width": 3}}, path)
    with pytest.raises(PipelineError, match="no usable config"):
        load_omama(path, "exoego")


@pytest.mark.parametrize("changes", [{}, {"visibility": "similarity"}, {"feature_dim": 6, "projected": True}])
def test_own_checkpoints_come_back_as_they_were(tmp_path: Path, changes: dict[str, Any]) -> None:
    net = network(**changes).float()
    save_omama(tmp_path / "own.pt", net, {"epoch": 3, "recipe": "egopipe"})
    assert [file.name for file in tmp_path.iterdir()] == ["own.pt"]
    loaded = load_omama(tmp_path / "own.pt", "egoexo")
    assert loaded.kind == "egopipe"
    assert loaded.network.config == net.config
    assert loaded.facts == {"epoch": 3, "recipe": "egopipe"}
    assert not loaded.notes
    for name, tensor in net.state_dict().items():
        assert torch.equal(loaded.network.state_dict()[name], tensor)


def test_config_refuses_what_cannot_be() -> None:
    with pytest.raises(ValueError, match="multiple"):
        small(width=18, feature_dim=18)
    with pytest.raises(ValueError, match="projected"):
        small(feature_dim=6)


# From here on: against the original's own numbers.


def golden_weight(name: str, shape: tuple[int, ...]) -> Tensor:
    """By the rule that the reference data state: weights come from the tensors' names."""
    z = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape)
    if name.startswith("pos_embed"):
        value = 0.5 * z
    elif z.ndim >= 2:
        sharp = name in ("CROSS_context_attn.query.weight", "CROSS_context_attn.key.weight")
        value = z / math.sqrt(z[0].size) * (3 if sharp else 1)
    else:
        value = 1 + 0.1 * z if name.endswith("weight") else 0.05 * z
    return torch.from_numpy(value.astype(np.float32))


@pytest.fixture(scope="module")
def golden_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Setting], Path]:
    folder = tmp_path_factory.mktemp("weights")

    def path(setting: Setting) -> Path:
        with torch.device("meta"):
            state = released_state(Omama(OmamaConfig(visibility="similarity")), setting)
        file = folder / f"{setting}.pt"
        torch.save({name: golden_weight(name, tuple(tensor.shape)) for name, tensor in state.items()}, file)
        return file

    return path


@pytest.mark.shared
@pytest.mark.slow
@pytest.mark.skipif(not GOLDEN.is_dir(), reason="no reference data here")
@pytest.mark.parametrize(("name", "setting"), [("exo2ego", "exoego"), ("ego2exo", "egoexo")])
@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_golden_outputs_loss_and_gradients(
    golden_checkpoint: Callable[[Setting], Path], name: str, setting: Setting, precision: str
) -> None:
    golden = np.load(GOLDEN / f"omama_{name}.npz")
    dtype, exact = getattr(torch, precision), precision == "float64"
    net = load_omama(golden_checkpoint(setting), setting).network.to(dtype)
    random = np.random.default_rng(int(golden["seed"]))
    tokens, objects = [], []
    for side, role in (("source", "source"), ("target", "proposal")):
        height, width = golden[f"{side}_hw"].tolist()
        boxes = golden[f"{role}_boxes_xywh"].reshape(2, -1, 4)
        pixels = np.unpackbits(golden[f"{role}_masks_packed"])[: 2 * boxes.shape[1] * height * width]
        masks = pixels.reshape(2, -1, height, width)
        maps = random.standard_normal((2, height // 14, width // 14, 768)).astype(np.float32).astype(precision)
        pooled = [descriptors(maps[item], masks[item], boxes[item], (height, width)) for item in range(2)]
        tokens.append(torch.from_numpy(maps))
        objects.append(torch.from_numpy(np.stack(pooled)).requires_grad_())

    found = net(*tokens, *objects, setting)
    targets = torch.zeros(found.similarity.shape)
    targets[torch.arange(2), 0, torch.from_numpy(golden["positive"])] = torch.from_numpy(golden["visible"])
    loss = omama_loss(found, targets).total
    loss.backward()

    def compare(value: Tensor, field: str, tolerance: float) -> None:
        shown = value.detach().numpy().reshape(golden[field].shape)
        np.testing.assert_allclose(shown, golden[field], rtol=0, atol=1e-5 if exact else tolerance, err_msg=field)

    compare(found.sources.attended, "cross_source", 1e-3)
    compare(found.candidates.attended, "cross_proposals", 1e-3)
    compare(found.sources.embedding, "embedding_source", 1e-3)
    compare(found.similarity, "similarity", 1e-5)
    compare(found.confidence, "confidence", 1e-5)
    compare(loss, "loss", 1e-4)
    assert found.best.flatten().tolist() == golden["best"].tolist()
    assert found.similarity[:, 0].topk(5).indices.tolist() == golden["top5"].tolist()

    relative = 1e-4 if exact else 1e-3
    for part, role in zip(objects, ("source", "proposals"), strict=True):
        assert part.grad is not None
        assert part.grad.norm().item() == pytest.approx(float(golden[f"grad_descriptors_{role}_norm"]), rel=relative)
    parameters = dict(net.named_parameters())
    assert len(golden["grad_names"]) == len(parameters) == 32
    for key, norm in zip(golden["grad_names"].tolist(), golden["grad_norms"].tolist(), strict=True):
        gradient = parameters[own_name(key, setting)].grad
        assert (gradient is None) == key.startswith("mlp_visible"), key
        own = 0.0 if gradient is None else gradient.norm().item()
        assert own == pytest.approx(norm, rel=relative, abs=1e-10 if exact else 1e-4), key
