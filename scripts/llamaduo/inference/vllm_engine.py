"""The engine on vLLM: the adapter beside the base, not merged into it; the samples of a prompt share its prefix.

vLLM batches, pages and schedules by itself. A sample's randomness comes from its query: each is a request of its own,
with its own seed, so it does not hang on which requests run beside it, as far as the kernels' last bits allow.

vLLM needs another version of PyTorch than the rest of this workflow, and so an environment of its own.
"""

import json
import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llamaduo.cli.errors import InputError
from llamaduo.config.inference import InferenceSettings
from llamaduo.config.models import ModelSettings
from llamaduo.inference.engine import FinishReason, Generated, Query
from llamaduo.models.weights import base_folder, model_folder

ENVIRONMENT = "rules/envs/vllm.yaml"
RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
"""What vLLM can make room for; an adapter of another rank gets the next larger one."""
AT_ONCE = 512
"""Responses asked for at once: what a kill may lose. vLLM runs fewer than this side by side."""
SEED_BITS = 63
"""vLLM's seeds are signed 64-bit integers."""


@dataclass(frozen=True)
class Weights:
    """What vLLM loads: the folder of a whole model, and of an adapter with its rank where there is one."""

    model: Path
    adapter: Path | None = None
    rank: int = 0


def weights_of(model: ModelSettings, adapter: Path | None) -> Weights:
    """The folders of a model with an adapter of `finetune.py` (or a full fine-tuning), or as it is.

    Raises `InputError` for an adapter that vLLM cannot put beside a base.
    """
    folder = adapter
    if folder is None and model.kind == "adapter":
        folder = model_folder(model.path, model.revision)
    if folder is None:
        return Weights(base_folder(model))
    if not (folder / "adapter_config.json").is_file():
        return Weights(folder)
    config = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    for key in ("modules_to_save", "use_dora", "alora_invocation_tokens"):
        if config.get(key):
            raise InputError(f"{folder}: vLLM takes no adapter with {key}: set inference.engine to 'transformers'")
    rank = max([config["r"], *config.get("rank_pattern", {}).values()])
    room = next((one for one in RANKS if one >= rank), None)
    if room is None:
        raise InputError(f"{folder}: vLLM takes LoRA ranks up to {RANKS[-1]}, and this one's is {rank}")
    return Weights(base_folder(model), folder, room)


def options_of_model(weights: Weights, longest: int) -> dict[str, Any]:
    """The arguments of `vllm.LLM`; longest: tokens that the longest prompt and its response have together."""
    options: dict[str, Any] = {
        "model": str(weights.model),
        "skip_tokenizer_init": True,
        "dtype": "bfloat16",
        "max_model_len": longest,
        "enable_prefix_caching": True,
        "generation_config": "vllm",  # the settings of the config, not those in the model's folder
        "disable_log_stats": True,
    }
    if weights.adapter is not None:
        options |= {"enable_lora": True, "max_loras": 1, "max_lora_rank": weights.rank}
    return options


def options_of_sampling(query: Query, settings: InferenceSettings, stop_ids: Collection[int]) -> dict[str, Any]:
    """The arguments of `vllm.SamplingParams` for one sample; its seed is the query's alone."""
    return {
        "n": 1,
        "temperature": settings.temperature,
        "top_p": settings.top_p,
        "top_k": settings.top_k,
        "max_tokens": query.limit,
        "seed": query.seed % 2**SEED_BITS,
        "stop_token_ids": sorted(stop_ids),
        "detokenize": False,
    }


def generated(index: int, tokens: Sequence[int], stop_ids: Collection[int]) -> Generated:
    """A sample from vLLM's token ids, which end with the token that ended the turn when one did."""
    stopped = bool(tokens) and tokens[-1] in stop_ids
    reason: FinishReason = "stop" if stopped else "length"
    return Generated(index, tuple(tokens[:-1] if stopped else tokens), reason)


def load(
    model: ModelSettings, adapter: Path | None, settings: InferenceSettings, stop_ids: Collection[int]
) -> "VllmEngine":
    """The engine for a model. Raises `InputError` when vLLM is not installed or cannot take the adapter."""
    return VllmEngine(import_vllm(), weights_of(model, adapter), settings, stop_ids)


def import_vllm() -> Any:
    """The package vllm. Raises `InputError` naming its environment when it is not installed."""
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
    try:
        import vllm
    except ImportError as error:
        raise InputError(
            f"inference.engine is 'vllm', and vLLM cannot be imported here ({error}): it has an environment of its "
            f"own, {ENVIRONMENT}: run Snakemake with --sdm conda, or set inference.engine to 'transformers'"
        ) from error
    return vllm


class VllmEngine:
    """Samples by vLLM; the model is loaded with the first queries, whose lengths say how much room they need."""

    def __init__(self, vllm: Any, weights: Weights, settings: InferenceSettings, stop_ids: Collection[int]) -> None:
        """vllm: the package."""
        self._vllm, self._weights, self._settings = vllm, weights, settings
        self._stop_ids = frozenset(stop_ids)
        self.positions = positions_of(weights.model)

    def generate(self, queries: Sequence[Query]) -> Iterator[list[Generated]]:
        """Each query's sample exactly once, in groups; the samples of a prompt share its prefix."""
        if not queries:
            return
        longest = max(len(query.prompt) + query.limit for query in queries)
        model = self._vllm.LLM(**options_of_model(self._weights, longest))
        request = None
        if self._weights.adapter is not None:
            from vllm.lora.request import LoRARequest

            request = LoRARequest("adapter", 1, str(self._weights.adapter))
        for start in range(0, len(queries), AT_ONCE):
            group = queries[start : start + AT_ONCE]
            outputs = model.generate(
                [{"prompt_token_ids": list(query.prompt)} for query in group],
                [
                    self._vllm.SamplingParams(**options_of_sampling(query, self._settings, self._stop_ids))
                    for query in group
                ],
                lora_request=request,
                use_tqdm=False,
            )
            yield [
                generated(start + number, output.outputs[0].token_ids, self._stop_ids)
                for number, output in enumerate(outputs)
            ]


def positions_of(folder: Path) -> int | None:
    """Tokens that a prompt and its response may have together by a model's config.json; None when it sets no limit."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    found = config.get("text_config", config).get("max_position_embeddings")
    return None if found is None else int(found)
