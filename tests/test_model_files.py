"""Finding a model: folders, a hub on loopback through the real client, and everything that can be wrong with them."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import load_file, save_file

from pipeline.errors import PipelineError
from pipeline.models import model_files, weights
from pipeline.models.families import family_of
from pipeline.models.model_files import find_model, is_folder_name
from pipeline.models.planning import find_dims, plan_question
from pipeline.models.qwen_vl import load_annotator
from pipeline.models.tiny import write_tiny_model
from pipeline.ops.model.dims import QWEN2_5_VL_7B
from tests.hub_server import HubServer

NAME = "someone/tiny"


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture
def folder(original: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(original, tmp_path / "tiny"))


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


class Served(NamedTuple):
    server: HubServer
    cache: Path


@pytest.fixture
def hub(original: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    with HubServer(models={NAME: original}) as server:
        monkeypatch.setattr(constants, "ENDPOINT", server.endpoint)
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", server.endpoint + "/{repo_id}/resolve/{revision}/{filename}"
        )
        yield Served(server, cache)


def edit(file: Path, **changes: Any) -> None:
    content = json.loads(file.read_text()) | changes
    file.write_text(json.dumps({name: value for name, value in content.items() if value is not None}))


# Names


@pytest.mark.parametrize("name", ["./tiny", "/models/tiny", "~/tiny", "tiny", "a/b/c"])
def test_names_of_folders(name: str) -> None:
    assert is_folder_name(name)


def test_names_of_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not is_folder_name("Qwen/Qwen2.5-VL-7B-Instruct")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "Qwen" / "mine").mkdir(parents=True)
    assert is_folder_name("Qwen/mine")


# Folders


def test_a_folder(folder: Path) -> None:
    found = find_model(str(folder))
    assert (found.folder, found.revision, found.config.model_type) == (folder, None, "qwen2_5_vl")
    assert found.weight_bytes == (folder / "model.safetensors").stat().st_size


def test_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="there is no folder"):
        load_annotator(str(tmp_path / "nothing"))


def test_a_folder_without_a_model(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match=r"holds no model: there is no config\.json"):
        load_annotator(str(tmp_path))


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (lambda folder: (folder / "config.json").write_text("{nonsense"), "is not a valid ModelConfig"),
        (lambda folder: edit(folder / "config.json", model_type=None), "model_type: Field required"),
        (lambda folder: edit(folder / "config.json", model_type="llava"), "model type 'llava'; supported"),
        (lambda folder: (folder / "model.safetensors").unlink(), "holds no weights"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"\0" * 100), "cannot be read"),
        (lambda folder: os.truncate(folder / "model.safetensors", 500_000), "cannot be read"),
        (lambda folder: (folder / "processor_config.json").unlink(), "no usable processor"),
        (lambda folder: (folder / "tokenizer.json").unlink(), "token id is"),
        (lambda folder: (folder / "chat_template.jinja").unlink(), "no chat template"),
        (lambda folder: edit(folder / "config.json", quantization_config={"quant_method": "gptq"}), "only AWQ builds"),
        (lambda folder: edit(folder / "config.json", quantization_config={"quant_method": "awq"}), "need CUDA"),
    ],
    ids=[
        "no json", "no type", "other type", "no weights", "zeros", "cut off", "no processor", "no tokenizer",
        "no template", "gptq", "awq",
    ],
)  # fmt: skip
def test_damaged_folders(folder: Path, damage: Any, problem: str) -> None:
    damage(folder)
    with pytest.raises(PipelineError, match=problem):
        load_annotator(str(folder), device="cpu")


def test_awq_without_its_kernels(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    edit(folder / "config.json", quantization_config={"quant_method": "awq", "bits": 4, "group_size": 128})
    found = find_model(str(folder))
    monkeypatch.setattr(weights.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(PipelineError, match=r"package gptqmodel.*is not installed"):
        weights.check_quantization(found, torch.device("cuda"))
    monkeypatch.setattr(weights.importlib.util, "find_spec", lambda name: object())
    weights.check_quantization(found, torch.device("cuda"))
    assert weights.choose_dtype("auto", torch.device("cuda"), found) == torch.float16


def test_weights_that_do_not_match_are_named(folder: Path) -> None:
    file = folder / "model.safetensors"
    tensors = load_file(file)
    name = "visual.merger.mlp.0.bias"
    key = next(key for key in tensors if key.endswith(name))
    kept = tensors.pop(key)
    tensors["visual.extra.weight"] = torch.zeros(3)
    bias = next(key for key in tensors if key.endswith("layers.0.self_attn.q_proj.bias"))
    tensors[bias] = torch.zeros(5)
    save_file(tensors, file, metadata={"format": "pt"})
    with pytest.raises(
        PipelineError,
        match=r"1 missing: .*merger\.mlp\.0\.bias; 1 unexpected: .*extra\.weight.*1 of another shape: .*\(5,\) for",
    ):
        load_annotator(str(folder), device="cpu")
    assert kept.shape == (128,)


def test_weights_larger_than_memory_are_refused_before_they_are_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Little:
        available = 100_000

    monkeypatch.setattr(weights.psutil, "virtual_memory", lambda: Little)
    with pytest.raises(PipelineError, match=r"take 0\.0 GB as float32, and memory has 0\.0 GB free") as caught:
        load_annotator(str(folder), device="cpu")
    assert "--dtype bfloat16" in caught.value.fix


def test_room_counts_the_chosen_format(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = find_model(str(folder))

    class Enough:
        available = found.weight_bytes * 0.6

    monkeypatch.setattr(weights.psutil, "virtual_memory", lambda: Enough)
    weights.check_room(found, torch.device("cpu"), torch.bfloat16)
    with pytest.raises(PipelineError):
        weights.check_room(found, torch.device("cpu"), torch.float32)


def test_out_of_memory_while_loading(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 130 MiB")

    monkeypatch.setattr(weights.transformers.Qwen2_5_VLForConditionalGeneration, "from_pretrained", fail)
    with pytest.raises(PipelineError, match=r"too little memory for the weights.*130 MiB") as caught:
        load_annotator(str(folder), device="cpu")
    assert "MODEL=" in caught.value.fix


# The hub


def test_a_model_from_the_hub(hub: Served, original: Path) -> None:
    said: list[str] = []
    annotator = load_annotator(NAME, device="cpu", report=said.append)
    assert annotator.revision == hub.server.commit(original)
    assert said == [f"fetching {NAME}: 0.0 GB"]
    hub.server.reset()
    load_annotator(NAME, device="cpu", report=said.append)
    assert len(said) == 1
    assert not [request for request in hub.server.requests if request.host == "storage"]


def test_a_cached_model_needs_no_network(hub: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    first = find_model(NAME)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    assert find_model(NAME) == first


def test_no_network_and_no_copy(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(PipelineError, match=r"the hub cannot be reached.*it is not in the cache"):
        find_model(NAME)
    with pytest.raises(PipelineError, match="the hub cannot be reached"):
        find_dims(NAME)


def test_a_gated_model(hub: Served) -> None:
    hub.server.tokens = {"hf_accepted": True, "hf_new": False}
    with pytest.raises(PipelineError, match=f"{NAME} is refused, and no token was given|may not see it") as caught:
        find_model(NAME)
    with pytest.raises(PipelineError, match=f"access to {NAME} is refused") as caught:
        find_model(NAME, token="hf_new")
    assert f"https://huggingface.co/{NAME}" in caught.value.fix
    assert find_model(NAME, token="hf_accepted").config.model_type == "qwen2_5_vl"
    assert {request.authorization for request in hub.server.requests} <= {None, "Bearer hf_new", "Bearer hf_accepted"}


def test_an_unknown_token(hub: Served) -> None:
    hub.server.tokens = {"hf_accepted": True}
    with pytest.raises(PipelineError, match=r"does not know this token|may not see it|is refused") as caught:
        find_model(NAME, token="hf_wrong")
    assert "hf_wrong" not in str(caught.value)


def test_no_such_model_and_no_such_revision(hub: Served) -> None:
    with pytest.raises(PipelineError, match="the hub has no model someone/nothing"):
        find_model("someone/nothing")
    with pytest.raises(PipelineError, match=f"{NAME} has no revision 'v9'"):
        find_model(NAME, "v9")


@pytest.mark.parametrize("name", ["some one/tiny", "a..b/--c", "owner/" + "x" * 200])
def test_names_that_cannot_be(cache: Path, name: str) -> None:
    with pytest.raises(PipelineError, match="neither a folder nor a name on the hub"):
        find_model(name)


def test_a_full_disk(hub: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    class Usage(NamedTuple):
        free: int = 1000

    monkeypatch.setattr(model_files.shutil, "disk_usage", lambda place: Usage())
    with pytest.raises(PipelineError, match=r"needs 0\.0 GB more, but the disk of .* has 0\.0 GB free") as caught:
        find_model(NAME)
    assert "HF_HOME" in caught.value.fix


# Dimensions


def test_dimensions_known_by_heart_need_nothing(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    assert find_dims("Qwen/Qwen2.5-VL-7B-Instruct") == QWEN2_5_VL_7B


def test_dimensions_from_folder_and_hub_without_weights(hub: Served, original: Path) -> None:
    assert find_dims(NAME) == find_dims(str(original))
    assert find_dims(NAME).text.hidden == 64
    assert not [request for request in hub.server.requests if "safetensors" in request.path]


def test_a_plan_needs_no_weights(cache: Path, original: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    plan = plan_question("Qwen/Qwen2.5-VL-7B-Instruct", (456, 256), 180, 540, 4096, dtype="bfloat16", device="cpu")
    assert (plan.visual_tokens, plan.prompt_tokens) == (12_960, 13_500)
    assert plan.fits is not None
    window = plan_question("Qwen/Qwen2.5-VL-7B-Instruct", (456, 256), 3600, 540, 4096, device="cpu")
    assert window.visual_tokens == 166 * 144
    assert plan_question(str(original), (456, 256), 30, 100, 100, device="cpu").visual_tokens == 15 * 144


def test_dimensions_of_nothing(tmp_path: Path, hub: Served) -> None:
    with pytest.raises(PipelineError, match=r"there is no config\.json"):
        find_dims(str(tmp_path))
    with pytest.raises(PipelineError, match="the hub has no model"):
        find_dims("someone/nothing")


def test_an_awq_build_s_vision_layers_stay_as_they_are(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Published builds exclude `visual`, which transformers 5 knows as `model.visual`.

    The real loader and quantizer, but for the two steps that need CUDA: the swap of layers is only written down.
    """
    import transformers.integrations as integrations
    from transformers.quantizers import quantizer_awq
    from transformers.quantizers.quantizers_utils import should_convert_module

    swapped: list[str] = []

    def swap(model: torch.nn.Module, modules_to_not_convert: list[str] | None = None, **_: object) -> torch.nn.Module:
        linear = [name for name, layer in model.named_modules() if isinstance(layer, torch.nn.Linear)]
        swapped.extend(name for name in linear if should_convert_module(name, modules_to_not_convert))
        return model

    monkeypatch.setattr(quantizer_awq.AwqQuantizer, "validate_environment", lambda *_, **__: None)
    monkeypatch.setattr(quantizer_awq.AwqQuantizer, "_process_model_after_weight_loading", lambda *_, **__: None)
    monkeypatch.setattr(integrations, "replace_with_awq_linear", swap)
    monkeypatch.setattr(integrations, "replace_quantization_scales", lambda model, _: model)
    awq = {"quant_method": "awq", "bits": 4, "group_size": 128, "version": "gemm", "zero_point": True}
    edit(folder / "config.json", quantization_config=awq | {"modules_to_not_convert": ["visual"]})
    found = find_model(str(folder))
    weights.load_weights(found, family_of("qwen2_5_vl", "tiny"), torch.device("cpu"), torch.float16)
    assert swapped
    assert not [name for name in swapped if "visual" in name]

    def refuse(*_: object, **__: object) -> None:
        raise NotImplementedError("this kernel wants other shapes")

    monkeypatch.setattr(integrations, "replace_with_awq_linear", refuse)
    with pytest.raises(PipelineError, match="this kernel wants other shapes"):
        weights.load_weights(found, family_of("qwen2_5_vl", "tiny"), torch.device("cpu"), torch.float16)


def test_a_chat_template_that_only_the_tokenizer_has_serves(folder: Path) -> None:
    template = (folder / "chat_template.jinja").read_text()
    (folder / "chat_template.jinja").unlink()
    edit(folder / "tokenizer_config.json", chat_template=template)
    assert load_annotator(str(folder), device="cpu").processor.chat_template == template
