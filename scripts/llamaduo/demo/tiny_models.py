"""Tiny base models of the families' real architectures, built on the spot: for the demo and for tests.

They have the families' special tokens and no chat template, as their base models do. They are trained for some
hundred steps on conversations in their family's chat format, so that fine-tuning starts from a model that knows the
form, as a real base model does, and nothing of the task.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from llamaduo.models.messages import Message

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

Family = Literal["gemma", "mistral", "llama"]

VOCABULARY = 2048
LONGEST = 2048
"""Positions of the models."""

SPECIAL_TOKENS: dict[Family, tuple[str, ...]] = {
    "gemma": ("<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>"),
    "mistral": ("<unk>", "<s>", "</s>", "[INST]", "[/INST]"),
    "llama": ("<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
}
NAMED_TOKENS: dict[Family, dict[str, str]] = {
    "gemma": {"bos_token": "<bos>", "eos_token": "<eos>", "pad_token": "<pad>", "unk_token": "<unk>"},
    "mistral": {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"},
    "llama": {"bos_token": "<|begin_of_text|>", "eos_token": "<|end_of_text|>"},
}
# Words of the chat formats, so that a turn's head costs a token per word.
CHAT_WORDS = ("user\n", "assistant\n", "model\n", "system\n", "user\n\n", "assistant\n\n", "system\n\n")
_OFTEN = 500


@dataclass(frozen=True)
class TinyModel:
    """What a tiny base is built from: `steps` of `batch_size` conversations each, at one peak `learning_rate`.

    `initializer_range` is the spread of the weights at the start, three times the usual one: at this width, words
    whose vectors start out smaller are told apart the slower by fine-tuning.
    """

    family: Family
    hidden: int = 128
    layers: int = 2
    steps: int = 300
    batch_size: int = 16
    learning_rate: float = 3e-3
    initializer_range: float = 0.06
    seed: int = 1


def build(
    settings: TinyModel, texts: Sequence[str], conversations: Iterator[Sequence[Message]], folder: Path, label: str
) -> None:
    """Write model and tokenizer into `folder`, an existing folder. The tokenizer is trained on `texts`."""
    import torch
    from transformers.utils import logging

    logging.disable_progress_bar()
    torch.manual_seed(settings.seed)
    tokenizer = train_tokenizer(settings.family, texts)
    tokenizer.save_pretrained(folder)
    model = new_model(settings, tokenizer)
    model.config.save_pretrained(folder)
    pretrain(model, settings, conversations, folder, label)
    model.save_pretrained(folder)


def train_tokenizer(family: Family, texts: Sequence[str]) -> "PreTrainedTokenizerFast":
    """A byte-level BPE of 2048 tokens with the family's special tokens; it puts BOS first, as the families' own do."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    backend: Any = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(SPECIAL_TOKENS[family]),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator([*texts, *CHAT_WORDS * _OFTEN], trainer)
    named = NAMED_TOKENS[family]
    bos = named["bos_token"]
    backend.post_processor = processors.TemplateProcessing(
        single=f"{bos} $A", special_tokens=[(bos, backend.token_to_id(bos))]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        model_max_length=LONGEST,
        extra_special_tokens=[token for token in SPECIAL_TOKENS[family] if token not in named.values()],
        **named,
    )


def new_model(settings: TinyModel, tokenizer: "PreTrainedTokenizerFast") -> "PreTrainedModel":
    """An untrained model of the family's architecture, with heads of 32 dimensions."""
    from transformers import (
        GemmaConfig,
        GemmaForCausalLM,
        LlamaConfig,
        LlamaForCausalLM,
        MistralConfig,
        MistralForCausalLM,
    )

    heads = settings.hidden // 32
    shape: dict[str, Any] = {
        "vocab_size": len(tokenizer),
        "hidden_size": settings.hidden,
        "intermediate_size": 2 * settings.hidden,
        "num_hidden_layers": settings.layers,
        "num_attention_heads": heads,
        "head_dim": 32,
        "max_position_embeddings": LONGEST,
        "tie_word_embeddings": True,
        "initializer_range": settings.initializer_range,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    if settings.family == "gemma":
        return GemmaForCausalLM(GemmaConfig(num_key_value_heads=1, **shape))
    if settings.family == "mistral":
        return MistralForCausalLM(MistralConfig(num_key_value_heads=heads // 2, sliding_window=None, **shape))
    return LlamaForCausalLM(LlamaConfig(num_key_value_heads=heads // 2, **shape))


def pretrain(
    model: Any, settings: TinyModel, conversations: Iterator[Sequence[Message]], folder: Path, label: str
) -> None:
    """Train all weights on whole conversations in the family's chat format. `folder` holds the tokenizer."""
    import torch

    from llamaduo.models.chat import example_ids, load_tokenizer
    from llamaduo.config.models import ModelSettings
    from llamaduo.cli.progress import Progress

    tokenizer = load_tokenizer(ModelSettings(path=str(folder), family=settings.family))
    optimizer = torch.optim.AdamW(model.parameters(), lr=settings.learning_rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, settings.learning_rate, total_steps=settings.steps)
    model.train()
    with Progress(label, settings.steps, "step") as progress:
        for _ in range(settings.steps):
            rows = []
            for _ in range(settings.batch_size):
                prompt, completion = example_ids(tokenizer, next(conversations))
                rows.append((prompt + completion)[:LONGEST])
            longest = max(map(len, rows))
            ids = torch.tensor([row + [0] * (longest - len(row)) for row in rows])
            real = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])
            loss = model(input_ids=ids, attention_mask=real, labels=ids.masked_fill(real == 0, -100)).loss
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            progress.advance(note=f"loss {loss.item():.2f}")
    model.eval()
