"""Training on a GPU at the real shapes, against TRL's padded defaults in the same run.

Models of the shapes of Gemma 2B and 7B, Mistral 7B and LLaMA3 8B with random weights made on the spot, so that nothing
is downloaded; QLoRA and LoRA (r 8 on all linear layers); examples of log-normal lengths of at most 1024 tokens; steps
of 8 examples. The baseline is TRL's SFTTrainer as it comes: batches of 4 padded to the longest, activation
checkpointing, its default attention and optimiser.

Share of the peak: model FLOPs per second over the GPU's dense bf16 peak. FLOPs of a step: for each weight of a linear
layer 4 per token, 2 forward and 2 for the gradient of what goes in (weights of the base get no gradient, those of the
adapters are too few to count), and for each layer's causal attention 6 x heads x head width x length per token (forward
and backward of half the square). The output layer counts for learned tokens only. Padding and recomputed activations
count nothing.

Prints one JSON line per model and method. Needs a GPU; `--tiny` runs the same code on small shapes on any machine.
"""

import argparse
import gc
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from real_shapes import SHAPES, build, shape_of
from training_trials import WARM_UP, Clock, ours, steps_of, tokens_per_second, trl_defaults

from llamaduo.config.models import ModelSettings
from llamaduo.config.training import TrainingSettings
from llamaduo.models.chat import load_tokenizer
from llamaduo.training.batches import learned_tokens, tokens
from llamaduo.training.examples import Example
from llamaduo.training.model import start

PEAKS = {"H200": 989e12, "H100": 989e12, "A100": 312e12, "B200": 2250e12, "L40S": 362e12, "4090": 165e12}
"""Dense bf16 FLOPs per second by the makers' data sheets."""
LONGEST = 1024


def examples_of(count: int, vocabulary: int, longest: int) -> list[Example]:
    """Random ids in lengths as uneven as those of instructions: log-normal, 250 tokens in the middle."""
    chance = np.random.default_rng(0)
    made = []
    for row in range(count):
        length = int(min(longest, max(16, chance.lognormal(np.log(longest / 4), 0.8))))
        ids = chance.integers(10, vocabulary, size=length).astype(np.int32)
        made.append(Example(row, ids, max(4, length // 3)))
    return made


def saved(name: str, tiny: bool, folder: Path) -> ModelSettings:
    """A model's folder with random weights in bf16, made on the GPU where there is one."""
    from tiny_models import build_tiny_tokenizer

    build_tiny_tokenizer(SHAPES[name]["model_type"], folder)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    build(name, device, torch.bfloat16, tiny).save_pretrained(folder, max_shard_size="4GB")
    return ModelSettings(path=str(folder))


def flops_of_step(shape: dict[str, Any], step: list[Example]) -> float:
    """Model FLOPs of one optimiser step; see the top of this file."""
    heads, width = shape["num_attention_heads"], shape["head_dim"]
    attention = shape["hidden_size"] * width * (2 * heads + 2 * shape["num_key_value_heads"])
    layer = attention + 3 * shape["hidden_size"] * shape["intermediate_size"]
    linear = 4 * layer * shape["num_hidden_layers"] * tokens(step)
    output = 4 * shape["hidden_size"] * shape["vocab_size"] * learned_tokens(step)
    square = sum(len(example.input_ids) ** 2 for example in step)
    return float(linear + output + 6 * heads * width * shape["num_hidden_layers"] * square)


def trial_of_ours(model: ModelSettings, settings: TrainingSettings, examples: list[Example]) -> tuple[Clock, Any]:
    """This project's training of a model."""
    return ours(start(model, settings, None), load_tokenizer(model), settings, examples)


def trial_of_trl(model: ModelSettings, settings: TrainingSettings, examples: list[Example]) -> tuple[Clock, Any]:
    """TRL's training of the same model."""
    return trl_defaults(start(model, settings, None), load_tokenizer(model), settings, examples), None


def measured(
    trial: Any, model: ModelSettings, examples: list[Example], settings: TrainingSettings, shape: dict[str, Any]
) -> dict[str, Any]:
    """Tokens per second, share of the peak and memory of one way to train."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    clock, chosen = trial(model, settings, examples)
    counted = steps_of(examples, settings)[WARM_UP : len(clock.seconds)]
    rate = sum(flops_of_step(shape, step) for step in counted) / sum(clock.seconds[WARM_UP:])
    name = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    peak = next((peak for part, peak in PEAKS.items() if part in name), None)
    return {
        "tokens_per_second": round(tokens_per_second(clock, examples, settings), 1),
        "tflops": round(rate / 1e12, 3),
        "share_of_peak": round(rate / peak, 3) if peak else None,
        "gigabytes": round(torch.cuda.max_memory_allocated() / 2**30, 1) if torch.cuda.is_available() else None,
        "last_loss": round(clock.losses[-1], 4),
        **({} if chosen is None else {"chosen": chosen}),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=list(SHAPES), default=list(SHAPES), help="which shapes")
    parser.add_argument(
        "--methods", nargs="+", choices=["lora", "qlora"], default=["lora", "qlora"], help="which methods"
    )
    parser.add_argument("--steps", type=int, default=12, help="optimiser steps of each training")
    parser.add_argument("--tiny", action="store_true", help="small shapes, to try this program without a GPU")
    given = parser.parse_args()
    if not torch.cuda.is_available() and not given.tiny:
        sys.exit("no GPU here: this bench needs one (--tiny tries its code on small shapes)")

    for name in given.models:
        shape = shape_of(name, given.tiny)
        longest = 128 if given.tiny else LONGEST
        examples = examples_of(8 * given.steps, shape["vocab_size"], longest)
        with tempfile.TemporaryDirectory() as folder:
            model = saved(name, given.tiny, Path(folder))
            for method in given.methods:
                settings = TrainingSettings.model_validate(
                    {"method": method, "max_steps": given.steps, "max_length": longest}
                )
                found = measured(trial_of_ours, model, examples, settings, shape)
                baseline = measured(trial_of_trl, model, examples, settings, shape)
                print(
                    json.dumps(
                        {
                            "bench": "gpu_training",
                            "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
                            "model": name,
                            "shape": "tiny" if given.tiny else "real",
                            "method": method,
                            "ours": found,
                            "trl_padded": baseline,
                            "tokens_ratio": round(found["tokens_per_second"] / baseline["tokens_per_second"], 2),
                        }
                    ),
                    flush=True,
                )


if __name__ == "__main__":
    main()
