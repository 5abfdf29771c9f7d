"""Bring a model's weights into memory: right class, every key matched, on one device; or say why not."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any, Literal

import psutil  # type: ignore[import-untyped]
import torch
import transformers
from safetensors import SafetensorError, safe_open
from transformers import AutoConfig, AutoProcessor, PreTrainedModel

from pipeline.errors import PipelineError
from pipeline.models.families import Family
from pipeline.models.loading import free_memory, is_out_of_memory
from pipeline.models.model_files import ModelFiles
from pipeline.models.quiet import progress_bars_off

DeviceChoice = Literal["auto", "cuda", "cpu"]
DtypeChoice = Literal["auto", "bfloat16", "float32"]
SMALLER = "take a smaller model with MODEL= (Qwen/Qwen2.5-VL-3B-Instruct, or the AWQ build on CUDA)"
KEYS_SHOWN = 5


def choose_device(choice: DeviceChoice) -> torch.device:
    """CUDA where there is one, unless told otherwise.

    Raises:
        PipelineError: CUDA is asked for and there is none.
    """
    if choice == "cuda" and not torch.cuda.is_available():
        raise PipelineError("--device is cuda, but torch sees no CUDA device", "use --device cpu, or run make doctor")
    return torch.device("cuda" if choice != "cpu" and torch.cuda.is_available() else "cpu")


def choose_dtype(choice: DtypeChoice, device: torch.device, files: ModelFiles) -> torch.dtype:
    """bfloat16 on CUDA, float32 on a CPU, float16 for AWQ, whose kernels know nothing else."""
    if files.config.quantization_config is not None:
        return torch.float16
    if choice == "auto":
        return torch.bfloat16 if device.type == "cuda" else torch.float32
    return torch.bfloat16 if choice == "bfloat16" else torch.float32


def check_quantization(files: ModelFiles, device: torch.device) -> None:
    """Refuse a quantized model that this machine cannot run, before anything is loaded.

    Raises:
        PipelineError: not AWQ; or no CUDA, or no gptqmodel, whose kernels transformers 5 uses for AWQ.
    """
    quantization = files.config.quantization_config
    if quantization is None:
        return
    if quantization.quant_method != "awq":
        raise PipelineError(
            f"{files.model_id} is quantized by {quantization.quant_method!r}; only AWQ builds and unquantized models "
            "are supported",
            "set MODEL= to an AWQ build such as Qwen/Qwen2.5-VL-7B-Instruct-AWQ",
        )
    if device.type != "cuda":
        raise PipelineError(f"{files.model_id} is an AWQ build, whose kernels need CUDA", "take an unquantized model")
    if importlib.util.find_spec("gptqmodel") is None:
        raise PipelineError(
            f"{files.model_id} is an AWQ build, and the package gptqmodel, which has its kernels, is not installed",
            "pip install gptqmodel (it compiles against the installed torch), or take an unquantized model",
        )


def check_room(files: ModelFiles, device: torch.device, dtype: torch.dtype) -> None:
    """Refuse weights that cannot fit, before minutes are spent on them.

    Raises:
        PipelineError: fewer bytes are free on the device than the weights take.
    """
    needed = files.weight_bytes
    if files.config.quantization_config is None:
        needed = round(needed * dtype.itemsize / stored_itemsize(files.folder))
    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else psutil.virtual_memory().available
    if needed > free:
        where = "the GPU" if device.type == "cuda" else "memory"
        raise PipelineError(
            f"the weights of {files.model_id} take {needed / 1e9:.1f} GB as {name_of(dtype)}, and {where} has "
            f"{free / 1e9:.1f} GB free",
            SMALLER if dtype.itemsize <= 2 else f"use --dtype bfloat16, or {SMALLER}",
        )


def stored_itemsize(folder: Path) -> int:
    """Bytes of one number in the weight files, told by the first tensor of the first file."""
    file = min(folder.glob("*.safetensors"))
    try:
        with safe_open(file, framework="pt") as tensors:
            row: torch.Tensor = tensors.get_slice(next(iter(tensors.keys())))[:1]
    except (SafetensorError, OSError, StopIteration) as error:
        raise damaged(str(file), error) from None
    return row.dtype.itemsize


def load_weights(files: ModelFiles, family: Family, device: torch.device, dtype: torch.dtype) -> PreTrainedModel:
    """Load strictly: every key of the file is one of the model and the other way round.

    Raises:
        PipelineError: keys or shapes differ, a file is damaged, or the device has too little memory.
    """
    model_class: Any = getattr(transformers, family.model_class)
    too_small = ""
    try:
        with progress_bars_off():
            model, info = model_class.from_pretrained(
                files.folder,
                config=config_of(files),
                dtype=dtype,
                attn_implementation="sdpa",
                device_map={"": str(device)} if device.type == "cuda" else None,
                local_files_only=True,
                use_safetensors=True,
                ignore_mismatched_sizes=True,  # so that they are named below, with all other differences
                output_loading_info=True,
            )
    except (SafetensorError, OSError) as error:
        raise damaged(files.model_id, error) from None
    except (ValueError, NotImplementedError, ImportError) as error:
        if files.config.quantization_config is None:
            raise
        raise PipelineError(
            f"the quantized layers of {files.model_id} cannot be made: {str(error).splitlines()[0]}", SMALLER
        ) from None
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        too_small = str(error).splitlines()[0]
    if too_small:
        free_memory()
        raise PipelineError(f"too little memory for the weights of {files.model_id}: {too_small}", SMALLER)
    check_keys(info, files.model_id)
    loaded: PreTrainedModel = model.eval()
    return loaded


def config_of(files: ModelFiles) -> Any:
    """The model's config, with the skip list of a quantized build in the names of transformers 5.

    Published builds keep `visual` unquantized. transformers 5 calls it `model.visual` and renames the weights' keys,
    but not this list, so that the vision layers would be taken for quantized ones.
    """
    config: Any = AutoConfig.from_pretrained(files.folder, local_files_only=True)
    if files.config.quantization_config is not None:
        kept = config.quantization_config.get("modules_to_not_convert") or []
        config.quantization_config["modules_to_not_convert"] = [
            f"model.{name}" if name.partition(".")[0] == "visual" else name for name in kept
        ]
    return config


def check_keys(info: dict[str, Any], model_id: str) -> None:
    """Refuse a checkpoint with missing, unexpected or mismatched keys, and name some of each."""
    found = {
        "missing": sorted(info["missing_keys"]),
        "unexpected": sorted(info["unexpected_keys"]),
        "of another shape": [f"{name} {tuple(a)} for {tuple(b)}" for name, a, b in sorted(info["mismatched_keys"])],
    }
    lines = [
        f"{len(keys)} {what}: {', '.join(keys[:KEYS_SHOWN])}{', …' if len(keys) > KEYS_SHOWN else ''}"
        for what, keys in found.items()
        if keys
    ]
    lines += [str(message) for message in info.get("error_msgs", [])]
    if lines:
        raise PipelineError(
            f"the weights of {model_id} do not match its config: {'; '.join(lines)}",
            "take all files of the model from one place",
        )


def load_processor(files: ModelFiles) -> Any:
    """The model's own processor.

    Raises:
        PipelineError: one of its files is missing or damaged, or it has no chat template or no fast tokenizer.
    """
    auto: Any = AutoProcessor
    try:
        processor = auto.from_pretrained(files.folder, local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        fix = "the folder needs the tokenizer's and the processor's files beside the weights"
        if "image processor" in str(error) and "Qwen2_5_VLImageProcessor" in str(error):
            fix = "take the current revision, or write Qwen2VLImageProcessor in its preprocessor_config.json"
        raise PipelineError(f"{files.model_id} has no usable processor: {str(error).splitlines()[0]}", fix) from None
    tokenizer = getattr(processor, "tokenizer", None)
    if tokenizer is None or not (getattr(processor, "video_processor", None) and getattr(tokenizer, "is_fast", False)):
        raise PipelineError(f"{files.model_id} has no video processor or no fast tokenizer", "take another copy of it")
    processor.chat_template = processor.chat_template or tokenizer.chat_template  # fine-tunes often have it only there
    if not processor.chat_template:
        raise PipelineError(f"{files.model_id} has no chat template", "take another copy of it")
    # Pictures come in the model's own size, so no cap applies; saying so keeps a warning off the terminal.
    processor.video_processor.cap_pixels_per_frame = False
    return processor


def name_of(dtype: torch.dtype) -> str:
    """`bfloat16` for torch.bfloat16."""
    return str(dtype).removeprefix("torch.")


def damaged(what: str, error: Exception) -> PipelineError:
    """A weight file cannot be read."""
    return PipelineError(f"the weights of {what} cannot be read: {str(error).splitlines()[0]}", "fetch the model again")
