"""The weights that a training starts from: the base in 4 bits or whole, with new adapters or those of before."""

from pathlib import Path
from typing import Any

from llamaduo.cli.errors import InputError
from llamaduo.config.models import ModelSettings
from llamaduo.config.training import TrainingSettings
from llamaduo.models.weights import load_base, load_causal, preferred_dtype
from llamaduo.storage.files import read_json


def start(model: ModelSettings, settings: TrainingSettings, warm_start: Path | None, sharded: bool = False) -> Any:
    """The model to be trained; `sharded`: its weights are shared out over processes when training begins.

    qlora: the base in nf4 with double quantisation; lora: the base in the computation's format; full: in fp32, which
    small steps need, computing in bf16 where `precision` says so. New adapters change nothing at first.
    """
    import torch
    from transformers import set_seed

    set_seed(settings.seed)
    if settings.method == "full":
        if warm_start is None:
            return load_base(model, dtype=torch.float32, sharded=sharded)
        if not (warm_start / "config.json").is_file():
            raise InputError(f"{warm_start}: no whole model to start from (training.method is full)")
        return load_causal(warm_start, dtype=torch.float32, sharded=sharded)

    from peft import PeftModel, get_peft_model

    base = load_base(model, settings.method == "qlora", preferred_dtype(settings.precision), sharded)
    if warm_start is None:
        config = _lora_config(model, settings)
        try:
            return get_peft_model(base, config)
        except ValueError as error:
            raise InputError(f"training.lora.target_modules: {str(error).splitlines()[0]}") from error
    _check_same_lora(warm_start, settings)
    warm = PeftModel.from_pretrained(base, str(warm_start), is_trainable=True)
    warm.peft_config["default"].inference_mode = False
    return warm


def name_base(trained: Any, model: ModelSettings) -> None:
    """Write the base's id and revision into an adapter's config, as the config names them."""
    if hasattr(trained, "peft_config"):
        trained.peft_config["default"].base_model_name_or_path = model.path
        trained.peft_config["default"].revision = model.revision


def _lora_config(model: ModelSettings, settings: TrainingSettings) -> Any:
    from peft import LoraConfig, TaskType

    lora = settings.lora
    return LoraConfig(
        task_type=TaskType.CAUSAL_LM,
        r=lora.r,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=lora.target_modules,
        bias="none",
        base_model_name_or_path=model.path,
        revision=model.revision,
    )


def _check_same_lora(warm_start: Path, settings: TrainingSettings) -> None:
    if not (warm_start / "adapter_config.json").is_file():
        raise InputError(f"{warm_start}: no adapter to start from (adapter_config.json is missing)")
    before = read_json(warm_start / "adapter_config.json")
    for name, key, value in (("r", "r", settings.lora.r), ("alpha", "lora_alpha", settings.lora.alpha)):
        if before.get(key) != value:
            raise InputError(
                f"{warm_start}: its lora {name} is {before.get(key)}, and training.lora.{name} is {value}; "
                "a warm start needs equal ones"
            )
