"""Local LLMs of the real architectures, so small that a test builds, trains and runs one in seconds; random weights."""

from pathlib import Path

from llamaduo.models.chat import FAMILIES

WORDS = (
    "The invoice lists a product that we never ordered. team: billing | priority: high\n"
    "My screen flickers as soon as it is plugged in. team: hardware | priority: low\n"
    "The parcel was left at a neighbour. team: shipping | priority: normal\n"
    "Question 0 1 2 3 4 5 6 7 8 9? Answer: yes, no. Hello world. You are brief.\n"
)
SPECIAL = {
    "gemma": {"bos_token": "<bos>", "eos_token": "<eos>", "pad_token": "<pad>", "unk_token": "<unk>"},
    "mistral": {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"},
    "llama": {"bos_token": "<|begin_of_text|>", "eos_token": "<|end_of_text|>"},
    "chatml": {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"},
    "phi": {"bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>"},
}


def build_tiny_tokenizer(family: str, folder: Path, vocabulary: int = 384) -> None:
    """A byte-level BPE tokenizer with the special tokens of a family, which puts BOS first where the family does."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    special = SPECIAL[family]
    tokens = list(dict.fromkeys([*special.values(), *FAMILIES[family].tokens]))
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=tokens,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(WORDS.splitlines(), trainer)
    bos = special.get("bos_token")
    if bos and bos != special["eos_token"]:  # Phi names one, and puts none before a text
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{bos} $A", pair=f"{bos} $A {bos} $B", special_tokens=[(bos, tokenizer.token_to_id(bos))]
        )
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special).save_pretrained(str(folder))


def build_tiny_model(architecture: str, folder: Path, seed: int = 0, hidden: int = 32) -> Path:
    """A model's folder: tokenizer without a chat template, config, and random weights as safetensors.

    Named by its family, or `gemma3` for the third of Gemma's architectures.
    """
    import torch
    from transformers import (
        AutoTokenizer,
        Gemma3ForCausalLM,
        Gemma3TextConfig,
        GemmaConfig,
        GemmaForCausalLM,
        LlamaConfig,
        LlamaForCausalLM,
        MistralConfig,
        MistralForCausalLM,
        Phi3Config,
        Phi3ForCausalLM,
        Qwen3Config,
        Qwen3ForCausalLM,
    )

    kinds = {
        "gemma": (GemmaConfig, GemmaForCausalLM),
        "gemma3": (Gemma3TextConfig, Gemma3ForCausalLM),
        "mistral": (MistralConfig, MistralForCausalLM),
        "llama": (LlamaConfig, LlamaForCausalLM),
        "chatml": (Qwen3Config, Qwen3ForCausalLM),
        "phi": (Phi3Config, Phi3ForCausalLM),
    }
    build_tiny_tokenizer(architecture.removesuffix("3"), folder)
    tokenizer = AutoTokenizer.from_pretrained(str(folder))
    config_class, model_class = kinds[architecture]
    config = config_class(
        vocab_size=len(tokenizer),
        hidden_size=hidden,
        intermediate_size=2 * hidden,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=hidden // 2,
        max_position_embeddings=512,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    torch.manual_seed(seed)
    model_class(config).save_pretrained(str(folder))
    return folder
