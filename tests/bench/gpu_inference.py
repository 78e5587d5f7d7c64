"""Batch inference of models of the real shapes on a GPU, against the loop that the original system ran.

Random weights in bf16, made on the spot. Responses end by a bias on the end-of-turn token, as in bench_inference.py,
whose baseline and engine these are. Prompts are random token ids of uneven length.

    .venv/bin/python tests/bench/gpu_inference.py                        all four shapes
    .venv/bin/python tests/bench/gpu_inference.py --models llama3-8b --engines transformers vllm
    .venv/bin/python tests/bench/gpu_inference.py --tiny                 the code, on a CPU; no figures of worth

The engine `vllm` needs the environment rules/envs/vllm.yaml; it reads the weights from a folder, written for it.
The baseline runs one of the K passes: the passes are alike. Prints one JSON line per model and engine.
"""

import argparse
import gc
import json
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

import torch
from bench_inference import END_OF_TURN, SEED, TEMPERATURE, let_end, original_loop, our_engine
from real_shapes import SHAPES, build


def uneven_prompts(count: int, longest: int, vocabulary: int) -> list[tuple[int, ...]]:
    """Random token ids; lengths are log-normal around 150, as prompts of instruction data are."""
    chance = random.Random(SEED)
    lengths = [min(longest, 8 + int(chance.lognormvariate(5.0, 0.8))) for _ in range(count)]
    return [tuple(chance.randrange(2, vocabulary) for _ in range(length)) for length in lengths]


def vllm_engine(model: Any, bias: float, prompts: list[tuple[int, ...]], samples: int, most_new: int) -> list[int]:
    """Tokens of each response by vLLM; loading the weights is left out of the time, as for the others."""
    from llamaduo.config.inference import InferenceSettings
    from llamaduo.inference.engine import Query
    from llamaduo.inference.vllm_engine import Weights, import_vllm, options_of_model, options_of_sampling

    vllm, settings = import_vllm(), InferenceSettings(engine="vllm", temperature=TEMPERATURE)
    with tempfile.TemporaryDirectory() as folder:
        model.lm_head.bias = None
        model.save_pretrained(folder)
        model.to("cpu")
        torch.cuda.empty_cache()
        longest = max(map(len, prompts)) + most_new
        engine = vllm.LLM(**options_of_model(Weights(Path(folder)), longest))
    asked = [
        Query(prompt, 1000 * number + k, most_new) for number, prompt in enumerate(prompts) for k in range(samples)
    ]
    options = [options_of_sampling(query, settings, [END_OF_TURN]) for query in asked]
    started = time.perf_counter()
    found = engine.generate(
        [{"prompt_token_ids": list(query.prompt)} for query in asked],
        [vllm.SamplingParams(**one, logit_bias={END_OF_TURN: bias, 0: -100.0}) for one in options],
        use_tqdm=False,
    )
    vllm_engine.seconds = time.perf_counter() - started  # type: ignore[attr-defined]
    return [sum(token != END_OF_TURN for token in one.outputs[0].token_ids) for one in found]


def timed(run: Any, device: str) -> tuple[list[int], float, float]:
    """What `run` gives, its seconds, and the most memory that was allocated meanwhile, in GB."""
    if device == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
    started = time.perf_counter()
    lengths = run()
    if device == "cuda":
        torch.cuda.synchronize()
    seconds = time.perf_counter() - started
    return lengths, seconds, torch.cuda.max_memory_allocated() / 1e9 if device == "cuda" else 0.0


def measure(name: str, engines: list[str], options: argparse.Namespace, device: str) -> None:
    """Print a line of figures for each engine on one model."""
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    model = build(name, device, dtype, options.tiny)
    prompts = uneven_prompts(options.prompts, options.longest_prompt, model.config.vocab_size)
    bias = let_end(model, prompts[:8], options.mean_length)
    for warm in (original_loop, our_engine):
        warm(model, prompts[:8], 1, 4)
    baseline, baseline_seconds, baseline_memory = timed(
        lambda: original_loop(model, prompts, 1, options.most_new), device
    )
    before = sum(baseline) / baseline_seconds
    for engine in engines:
        if engine == "vllm":
            lengths = vllm_engine(model, bias, prompts, options.samples, options.most_new)
            seconds, memory = vllm_engine.seconds, float("nan")  # type: ignore[attr-defined]
        else:
            run = lambda: our_engine(model, prompts, options.samples, options.most_new)  # noqa: E731
            lengths, seconds, memory = timed(run, device)
        figures = {
            "benchmark": "gpu_inference",
            "hardware": torch.cuda.get_device_name() if device == "cuda" else "CPU, tiny shapes: no figures of worth",
            "model": name,
            "engine": engine,
            "prompts": len(prompts),
            "responses": len(lengths),
            "mean_response_tokens": [round(sum(one) / len(one), 1) for one in (baseline, lengths)],
            "tokens_per_second_baseline": round(before, 1),
            "tokens_per_second": round(sum(lengths) / seconds, 1),
            "gpu_inference_ratio": round(sum(lengths) / seconds / before, 2),
            "memory_gb_baseline": round(baseline_memory, 1),
            "memory_gb": None if memory != memory else round(memory, 1),
        }
        print(json.dumps(figures), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--models", nargs="+", choices=SHAPES, default=list(SHAPES))
    parser.add_argument("--engines", nargs="+", choices=["transformers", "vllm"], default=["transformers"])
    parser.add_argument("--prompts", type=int, default=32)
    parser.add_argument("--samples", type=int, default=4, help="K")
    parser.add_argument("--most-new", type=int, default=512)
    parser.add_argument("--mean-length", type=int, default=128)
    parser.add_argument("--longest-prompt", type=int, default=1024)
    parser.add_argument("--tiny", action="store_true", help="tiny shapes on the CPU, to try the code")
    options = parser.parse_args()
    if options.tiny:
        options.prompts, options.most_new, options.mean_length, options.longest_prompt = 10, 24, 8, 64
        torch.set_num_threads(1)
    elif not torch.cuda.is_available():
        sys.exit("no GPU is found: this benchmark measures models of 2 to 8 billion parameters; --tiny tries its code")
    for name in options.models:
        measure(name, options.engines, options, "cpu" if options.tiny else "cuda")
        gc.collect()
        torch.cuda.empty_cache()


if __name__ == "__main__":
    main()
