"""A model's dimensions for the memory plan, without its weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from huggingface_hub import hf_hub_download
from huggingface_hub.errors import RemoteEntryNotFoundError
from transformers import AutoConfig

from pipeline.errors import PipelineError
from pipeline.models.families import family_of
from pipeline.models.model_files import CHOOSE, HUB_ERRORS, ModelConfig, explain, is_folder_name
from pipeline.ops.model_dims import KNOWN, ModelDims, dims_of_config
from pipeline.schema.base import read_model


def find_dims(model_id: str, revision: str = "main", token: str | None = None) -> ModelDims:
    """Dimensions of a model: known by heart for the published Qwen2.5-VL models, else read from its config.json.

    Raises:
        PipelineError: no such model, no access, no network, or an unknown family.
    """
    if model_id in KNOWN:
        return KNOWN[model_id]
    if is_folder_name(model_id):
        file = Path(model_id).expanduser() / "config.json"
        if not file.is_file():
            raise PipelineError(f"{model_id} holds no model: there is no {file}", CHOOSE)
    else:
        try:
            file = Path(hf_hub_download(model_id, "config.json", revision=revision, token=token or False))
        except RemoteEntryNotFoundError:
            raise PipelineError(f"{model_id} holds no model: it has no config.json", CHOOSE) from None
        except HUB_ERRORS as error:
            raise explain(error, model_id, revision, token) from None
    family_of(read_model(file, ModelConfig, CHOOSE).model_type, model_id)
    config: Any = AutoConfig.from_pretrained(file.parent)
    return dims_of_config(config.to_dict())
