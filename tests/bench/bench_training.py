"""Training on a CPU against TRL's padded batches: the same model, examples, order and optimiser steps.

The baseline is TRL's SFTTrainer as it comes: batches of 4 in the order of the steps, padded to the longest, two per
optimiser step. Ours packs the examples of a step and computes logits for learned tokens only. Useful tokens are those
of the examples; padding earns nothing. Seconds are of the processor, in one thread. The losses of both are compared
step by step, in fp32 without dropout.

The examples are drawn from ../shared/data/instructions.parquet where there is one (real prompts of uneven length), else
generated with lengths of a log-normal distribution. The model is of the Llama architecture with random weights.

Prints one JSON line: useful tokens per second of each, their ratio (`useful_tokens_ratio`), the largest difference
between the losses of a step (`loss_difference`), and the seconds of the baseline and of ours, of the processor and on
the clock, which differ where the machine is busy.
"""

import argparse
import json
import os
import random
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from training_trials import ROOT, WARM_UP, ours, steps_of, tokens_per_second, trl_defaults

from llamaduo.config.training import TrainingSettings
from llamaduo.training.batches import tokens
from llamaduo.training.examples import Example

INSTRUCTIONS = ROOT.parent / "shared" / "data" / "instructions.parquet"
VOCABULARY, SEED, LONGEST = 8192, 0, 512


def texts(count: int) -> tuple[list[tuple[str, str]], str]:
    """So many pairs of a prompt and a response, and where they are from."""
    if INSTRUCTIONS.is_file():
        import pyarrow.parquet as pq

        rows = pq.read_table(INSTRUCTIONS, columns=["instruction", "response"]).to_pylist()
        chosen = random.Random(SEED).sample(rows, count)
        return [(row["instruction"], row["response"]) for row in chosen], "real prompts of uneven length"
    chance = random.Random(SEED)
    words = [f"word{number}" for number in range(2000)]

    def some(mean: float) -> str:
        return " ".join(chance.choices(words, k=int(chance.lognormvariate(mean, 1.0)) + 3))

    return [(some(4.2), some(3.0)) for _ in range(count)], "generated prompts of uneven length"


def tokenizer_of(lines: list[str]) -> Any:
    """A byte-level BPE trained on the texts."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer: Any = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=["<pad>", "<end>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(lines, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<end>")


def examples_of(tokenizer: Any, pairs: list[tuple[str, str]]) -> list[Example]:
    """Training examples of at most `LONGEST` tokens; long prompts lose their middle, responses their end."""
    made = []
    for row, (prompt, response) in enumerate(pairs):
        learned = [*tokenizer(response)["input_ids"][: LONGEST // 2], tokenizer.eos_token_id]
        given = tokenizer(prompt)["input_ids"]
        room = LONGEST - len(learned)
        given = given if len(given) <= room else given[: room // 2] + given[len(given) - (room - room // 2) :]
        made.append(Example(row, np.asarray(given + learned, dtype=np.int32), len(learned)))
    return made


def new_model(hidden: int, layers: int) -> Any:
    """The same random weights every time."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(SEED)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=VOCABULARY,
            hidden_size=hidden,
            intermediate_size=3 * hidden,
            num_hidden_layers=layers,
            num_attention_heads=hidden // 64,
            num_key_value_heads=hidden // 64,
            max_position_embeddings=LONGEST,
            pad_token_id=0,
            eos_token_id=1,
            bos_token_id=None,
        )
    )


def padded_slots(examples: list[Example], settings: TrainingSettings) -> int:
    """The places that batches in the order of the steps have, padding included."""
    in_order = [example for step in steps_of(examples, settings) for example in step]
    batches = [in_order[at : at + settings.batch_size] for at in range(0, len(in_order), settings.batch_size)]
    return sum(len(batch) * max(len(example.input_ids) for example in batch) for batch in batches)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=24, help="optimiser steps of each training")
    parser.add_argument("--hidden", type=int, default=256, help="width of the model")
    parser.add_argument("--layers", type=int, default=4, help="layers of the model")
    parser.add_argument("--method", choices=["lora", "full"], default="lora", help="what is trained")
    given = parser.parse_args()
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))

    settings = TrainingSettings(
        method=given.method, max_steps=given.steps, learning_rate=1e-3, max_length=LONGEST, precision="fp32"
    )
    pairs, source = texts(8 * given.steps)
    tokenizer = tokenizer_of([text for pair in pairs for text in pair])
    examples = examples_of(tokenizer, pairs)

    def model() -> Any:
        made = new_model(given.hidden, given.layers)
        if given.method == "full":
            return made
        from peft import LoraConfig, get_peft_model

        return get_peft_model(
            made, LoraConfig(task_type="CAUSAL_LM", r=8, lora_alpha=16, target_modules="all-linear", lora_dropout=0)
        )

    padded = trl_defaults(model(), tokenizer, settings, examples)
    packed, chosen = ours(model(), tokenizer, settings, examples)
    of_ours = tokens_per_second(packed, examples, settings)
    of_trl = tokens_per_second(padded, examples, settings)
    print(
        json.dumps(
            {
                "bench": "training",
                "data": source,
                "method": given.method,
                "examples": len(examples),
                "mean_tokens": round(tokens(examples) / len(examples), 1),
                "padding_of_trl": round(1 - tokens(examples) / padded_slots(examples, settings), 3),
                "layout": chosen["layout"],
                "attention": chosen["attention"],
                "trl_padded_tokens_per_second": round(of_trl, 1),
                "useful_tokens_per_second": round(of_ours, 1),
                "cpu_seconds": [round(sum(clock.seconds[WARM_UP:]), 2) for clock in (padded, packed)],
                "wall_seconds": [round(sum(clock.wall_seconds[WARM_UP:]), 2) for clock in (padded, packed)],
                "useful_tokens_ratio": round(of_ours / of_trl, 2),
                "last_loss": round(packed.losses[-1], 5),
                "loss_difference": max(abs(one - two) for one, two in zip(packed.losses, padded.losses, strict=True)),
            }
        )
    )


if __name__ == "__main__":
    main()
