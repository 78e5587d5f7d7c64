"""Batch inference on a CPU against the loop that the original system ran, at equal sampling settings.

The baseline is the original's: the prompts in their given order in batches of 8, padded, `model.generate` with
sampling, once through all prompts for each of the K samples. Both get the same model, prompts, temperature and most new
tokens, and only tokens up to the end of a turn count, so that rows that only wait for others earn nothing.

The model is of the Llama architecture with random weights. Its head has a bias on the end-of-turn token, measured so
that a response ends with about one chance in `--mean-length` after each token: lengths are uneven as those of real
responses are, many short ones, some up to the limit. The prompts are the test split of ../shared/data where there is
one, else generated.

Both run on one thread, and its CPU time is what counts: on a core of its own that is the time on the clock. Prints one
JSON line: tokens per second of each, their ratio (`inference_ratio`), and the seconds of the baseline and of ours, of
the processor and on the clock.
"""

import argparse
import json
import math
import os
import random
import sys
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))
PROMPTS = ROOT.parent / "shared" / "data" / "coverage" / "test.parquet"

import torch

BATCH_OF_THE_ORIGINAL, TEMPERATURE, SEED, VOCABULARY = 8, 0.8, 0, 4096
END_OF_TURN, PADDING = 1, 0


def texts(count: int) -> tuple[list[str], str]:
    """So many prompts, and where they are from."""
    if PROMPTS.is_file():
        import pyarrow.parquet as pq

        found = pq.read_table(PROMPTS, columns=["prompt"]).column("prompt").to_pylist()
        return random.Random(SEED).sample(found, count), "real prompts of uneven length"
    chance = random.Random(SEED)
    words = [f"word{number}" for number in range(2000)]
    lengths = [int(chance.lognormvariate(4.2, 1.0)) + 4 for _ in range(count)]
    return [" ".join(chance.choices(words, k=length)) for length in lengths], "generated prompts of uneven length"


def encode(prompts: list[str], longest: int) -> list[tuple[int, ...]]:
    """Token ids by a byte-level BPE trained on the prompts; what is longer loses its end."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    tokenizer: Any = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.train_from_iterator(
        prompts,
        trainers.BpeTrainer(
            vocab_size=VOCABULARY,
            special_tokens=["<pad>", "<end>"],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    return [tuple(tokenizer.encode(prompt).ids[:longest]) for prompt in prompts]


def small_model(hidden: int, layers: int) -> Any:
    """A Llama with random weights."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(SEED)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=hidden,
        intermediate_size=3 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=hidden // 64,
        num_key_value_heads=max(1, hidden // 256),
        max_position_embeddings=4096,
        bos_token_id=None,
        eos_token_id=END_OF_TURN,
        pad_token_id=PADDING,
    )
    return LlamaForCausalLM(config)


@torch.no_grad()
def let_end(model: Any, prompts: list[tuple[int, ...]], mean_length: int) -> float:
    """Give the model's head a bias with which a response ends after about `mean_length` tokens, and no padding comes.

    Gives the bias of the end-of-turn token, from the mean of what the other tokens weigh after these prompts.
    """
    model.eval()
    old = model.lm_head
    others = []
    for prompt in prompts:
        logits = model(input_ids=torch.tensor([prompt], device=model.device)).logits[0, -1].double() / TEMPERATURE
        others.append((logits[2:].logsumexp(dim=0) - logits[END_OF_TURN]).item())
    bias = TEMPERATURE * (sum(others) / len(others) - math.log(mean_length - 1))
    head = torch.nn.Linear(old.in_features, old.out_features, device=model.device, dtype=old.weight.dtype)
    head.weight = old.weight
    head.bias.zero_()
    head.bias[PADDING], head.bias[END_OF_TURN] = -100.0, bias
    model.lm_head = head
    return bias


def original_loop(model: Any, prompts: list[tuple[int, ...]], samples: int, most_new: int) -> list[int]:
    """Tokens of each response, by the loop of the original system."""
    from transformers import GenerationConfig

    settings = GenerationConfig(
        do_sample=True,
        temperature=TEMPERATURE,
        top_k=0,
        top_p=1.0,
        max_new_tokens=most_new,
        eos_token_id=END_OF_TURN,
        pad_token_id=PADDING,
    )
    torch.manual_seed(SEED)
    lengths = []
    for _ in range(samples):
        for start in range(0, len(prompts), BATCH_OF_THE_ORIGINAL):
            batch = prompts[start : start + BATCH_OF_THE_ORIGINAL]
            width = max(map(len, batch))
            padded = [[PADDING] * (width - len(prompt)) + list(prompt) for prompt in batch]
            present = [[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in batch]
            ids, mask = torch.tensor(padded, device=model.device), torch.tensor(present, device=model.device)
            with torch.inference_mode():
                found = model.generate(input_ids=ids, attention_mask=mask, generation_config=settings)
            lengths += [length_of(row) for row in found[:, width:].tolist()]
    return lengths


def length_of(tokens: list[int]) -> int:
    """Tokens before the end of the turn."""
    return tokens.index(END_OF_TURN) if END_OF_TURN in tokens else len(tokens)


def our_engine(model: Any, prompts: list[tuple[int, ...]], samples: int, most_new: int) -> list[int]:
    """Tokens of each response, by the transformers engine with its default token budget."""
    from llamaduo.config.inference import InferenceSettings
    from llamaduo.inference.engine import Query
    from llamaduo.inference.sampling import Sampling
    from llamaduo.inference.transformers_engine import TransformersEngine

    queries = [
        Query(prompt, seed=1000 * number + sample, limit=most_new)
        for number, prompt in enumerate(prompts)
        for sample in range(samples)
    ]
    budget = InferenceSettings().batch_tokens
    engine = TransformersEngine(model, [END_OF_TURN], Sampling(TEMPERATURE), budget)
    return [len(one.tokens) for group in engine.generate(queries) for one in group]


def timed(
    run: Any, model: Any, prompts: list[tuple[int, ...]], options: argparse.Namespace
) -> tuple[list[int], float, float]:
    """Tokens of each response, and the seconds that they took: of the processor, and on the clock."""
    cpu, wall = time.process_time(), time.perf_counter()
    lengths = run(model, prompts, options.samples, options.most_new)
    return lengths, time.process_time() - cpu, time.perf_counter() - wall


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--prompts", type=int, default=24)
    parser.add_argument("--samples", type=int, default=4, help="K")
    parser.add_argument("--most-new", type=int, default=256)
    parser.add_argument("--mean-length", type=int, default=64)
    parser.add_argument("--longest-prompt", type=int, default=512)
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--layers", type=int, default=6)
    options = parser.parse_args()
    torch.set_num_threads(1)

    prompts, source = texts(options.prompts)
    asked = encode(prompts, options.longest_prompt)
    model = small_model(options.hidden, options.layers)
    let_end(model, asked[:8], options.mean_length)
    for run in (original_loop, our_engine):
        run(model, asked[:2], 1, 4)
    original, seconds, wall = timed(original_loop, model, asked, options)
    ours, our_seconds, our_wall = timed(our_engine, model, asked, options)
    before, after = sum(original) / seconds, sum(ours) / our_seconds
    figures = {
        "benchmark": "inference",
        "baseline": "the original's loop: batches of 8 in given order, K passes of model.generate",
        "prompts": source,
        "prompt_tokens": [min(map(len, asked)), max(map(len, asked))],
        "responses": [len(original), len(ours)],
        "mean_response_tokens": [round(sum(original) / len(original), 1), round(sum(ours) / len(ours), 1)],
        "million_parameters": round(sum(one.numel() for one in model.parameters()) / 1e6, 1),
        "tokens_per_second_baseline": round(before, 1),
        "tokens_per_second": round(after, 1),
        "cpu_seconds": [round(seconds, 2), round(our_seconds, 2)],
        "wall_seconds": [round(wall, 2), round(our_wall, 2)],
        "inference_ratio": round(after / before, 2),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
