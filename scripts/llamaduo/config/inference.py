"""Batch inference: how a local LLM answers the test prompts."""

from typing import Literal

from pydantic import Field

from llamaduo.config.base import Section


class InferenceSettings(Section):
    """K sampled responses per test prompt. The defaults are the original system's, and the paper's K."""

    UNCOMPARED = {"batch_tokens": "memory and speed: each response is drawn by itself"}

    samples: int = Field(default=4, ge=1)
    """K: responses per test prompt. Raising it computes the new ones only."""

    temperature: float = Field(default=0.8, ge=0, le=5)
    """Divides the logits before a token is drawn; 0 always takes the most likely token (all K are then equal)."""

    top_p: float = Field(default=1.0, gt=0, le=1)
    """Draw among the fewest most likely tokens whose probabilities add up to this share; 1 leaves it out."""

    top_k: int = Field(default=0, ge=0)
    """Draw among this many most likely tokens; 0 leaves it out. Applied before `top_p`."""

    max_new_tokens: int = Field(default=1024, ge=1)
    """Tokens after which a response is cut off; it is kept, with the finish reason "length"."""

    batch_tokens: int = Field(default=65536, ge=1)
    """Tokens one batch may grow to: its rows times (longest prompt + max_new_tokens). What bounds the memory of the
    attention cache: about 30 GB for Gemma 7B, 8.6 GB for LLaMA3 8B. Halved, and said so, when memory runs out. It
    changes the speed, not the responses. The engine `vllm` plans its memory itself."""

    seed: int = Field(default=42, ge=0)
    """What all draws of tokens start from."""

    engine: Literal["transformers", "vllm"] = "transformers"
    """What computes the responses. `transformers` needs nothing more and runs on CPUs too. `vllm` is made for GPUs and
    has an environment of its own (rules/envs/vllm.yaml, used with `--sdm conda`). The two draw different samples from
    the same distribution: choose one for all runs that are compared."""
