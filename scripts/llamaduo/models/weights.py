"""Loading local LLMs: from a folder or the Hub, in 4 bits or not, with an adapter or without."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from llamaduo.cli.errors import InputError
from llamaduo.config.models import ModelSettings
from llamaduo.models.hub import Repository, is_hub_id, snapshot

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def model_folder(path: str, revision: str | None = None) -> Path:
    """The folder with a model's files: `path` itself, or the Hub's snapshot of it, downloaded when it is not here yet.

    Raises `InputError` when there is no such folder, model or revision, when the model is gated, or without network.
    """
    folder = Path(path).expanduser()
    if folder.is_dir():
        if not any((folder / name).is_file() for name in ("config.json", "adapter_config.json")):
            raise InputError(f"{path}: not a model's folder: it has neither config.json nor adapter_config.json")
        return folder
    if not is_hub_id(path):
        raise InputError(f"{path}: no such folder (a model is a folder, or an id on the Hub like 'google/gemma-2b')")
    return snapshot(Repository(path, revision))


def base_folder(model: ModelSettings) -> Path:
    """The folder of the weights that a model stands on: for an adapter those of its base."""
    if model.kind == "adapter":
        return model_folder(model.base or "", model.base_revision)
    return model_folder(model.path, model.revision)


def preferred_dtype(precision: str = "auto") -> Any:
    """The torch number format for `auto` (bf16 on a GPU, fp32 on a CPU), `bf16` or `fp32`."""
    import torch

    if precision == "auto":
        return torch.bfloat16 if torch.cuda.is_available() else torch.float32
    return {"bf16": torch.bfloat16, "fp32": torch.float32}[precision]


def load_base(
    model: ModelSettings, quantise: bool = False, dtype: Any = None, sharded: bool = False
) -> "PreTrainedModel":
    """The base weights, on the GPU where there is one; `quantise`: in 4 bits (nf4 with double quantisation).

    `dtype` is the number format of the weights, or of the computation on 4-bit weights; None: `preferred_dtype()`.
    `sharded`: they stay where FSDP takes them from.
    """
    return load_causal(base_folder(model), quantise, dtype, sharded)


def load_with_adapter(model: ModelSettings, adapter: Path | None, dtype: Any = None) -> Any:
    """The model with an adapter of `finetune.py` on it, ready for inference.

    Without one: the model as it is (a base, a merged model, or the adapter tuned elsewhere on its base). The folder of
    a full fine-tuning holds a whole model, which is loaded instead of the base.
    """
    folder = adapter
    if folder is None and model.kind == "adapter":
        folder = model_folder(model.path, model.revision)
    if folder is None:
        loaded: Any = load_base(model, dtype=dtype)
    elif (folder / "adapter_config.json").is_file():
        from peft import PeftModel

        loaded = PeftModel.from_pretrained(load_base(model, dtype=dtype), str(folder))
    elif (folder / "config.json").is_file():
        loaded = load_causal(folder, dtype=dtype)
    else:
        raise InputError(f"{folder}: neither an adapter (adapter_config.json) nor a model (config.json) is in it")
    loaded.eval()
    return loaded


def load_causal(folder: Path, quantise: bool = False, dtype: Any = None, sharded: bool = False) -> "PreTrainedModel":
    """The causal language model in a folder, from safetensors only. Raises `InputError` when it cannot be loaded."""
    import torch
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig
    from transformers.utils import logging

    logging.disable_progress_bar()  # a bar per file of weights says nothing about the work

    dtype = dtype or preferred_dtype()
    options: dict[str, Any] = {"dtype": dtype, "use_safetensors": True, "local_files_only": True}
    if torch.cuda.is_available() and not sharded:
        options["device_map"] = {"": torch.cuda.current_device()}
    if quantise:
        options["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=dtype,
            bnb_4bit_quant_storage=dtype if sharded else None,  # FSDP flattens weights of one number format
        )
    try:
        model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(str(folder), **options)
    except (OSError, ValueError) as error:
        raise InputError(f"{folder}: the model cannot be loaded: {_first_line(error)}") from error
    if quantise:
        _keep_layout(model)
    return model


def _keep_layout(model: "PreTrainedModel") -> None:
    """Keep 4-bit weights on a CPU as they are when a model is evaluated.

    On processors with AVX512-BF16 bitsandbytes (0.50) repacks them then for a kernel without gradients, with their
    scales rounded to bf16: training goes on with other weights, and fails where a size is no multiple of 64.
    """
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
