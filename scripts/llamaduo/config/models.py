"""The local LLMs: where their weights come from and how a conversation is put to them."""

from typing import Literal, Self

from pydantic import Field, model_validator

from llamaduo.config.base import PathOfFile, PathText, Section

Family = Literal["gemma", "mistral", "llama", "chatml", "phi"]


class GenerationOverrides(Section):
    """Sampling settings of one model, in place of those of `inference`."""

    temperature: float | None = Field(default=None, ge=0, le=5)
    """Sampling temperature; 0 takes the likeliest token."""
    top_p: float | None = Field(default=None, gt=0, le=1)
    """Share of the probability that is sampled from."""
    top_k: int | None = Field(default=None, ge=0)
    """How many of the likeliest tokens are sampled from; 0: all."""
    max_new_tokens: int | None = Field(default=None, ge=1)
    """Longest response, in tokens."""


class ModelSettings(Section):
    """A local LLM: a base model to be fine-tuned, or one that was tuned elsewhere and is judged only."""

    path: PathText = Field(min_length=1)
    """A model's id on the Hugging Face Hub, or a folder. Weights are read from safetensors only. Gated models need
    HF_TOKEN in the environment; nodes without network need `snakemake prefetch` before."""
    revision: str | None = None
    """Commit, tag or branch on the Hub. A commit pins the weights, and is not asked for again once it is in the cache;
    `snakemake prefetch` says which one it is."""
    kind: Literal["base", "adapter", "merged"] = "base"
    """`base`: fine-tuned by the runs. `adapter`, `merged`: tuned elsewhere, judged and not trained."""
    base: PathText | None = None
    """For an adapter: the id or folder of the model that it was tuned from."""
    base_revision: str | None = None
    """For an adapter: the revision of that model."""
    family: Family | Literal["auto", "own"] = "auto"
    """The chat template. `gemma` (also Gemma 2 and 3), `mistral`, `llama` (3 and later), `chatml` (Qwen), `phi` (Phi 3
    and 4-mini): made of tokens that the base models have already. `own`: the tokenizer's, as instruct variants have
    one. `auto`: the tokenizer's where it has one, else that of the family whose tokens it has."""
    chat_template: PathOfFile | None = None
    """A file with a chat template (Jinja) to be used instead."""
    generation: GenerationOverrides = GenerationOverrides()
    """Sampling settings of this model, in place of those of `inference`."""

    @model_validator(mode="after")
    def _base_belongs_to_an_adapter(self) -> Self:
        if self.kind == "adapter" and self.base is None:
            raise ValueError("an adapter needs `base`: the id or folder of the model that it was tuned from")
        if self.kind != "adapter" and (self.base is not None or self.base_revision is not None):
            raise ValueError(f"`base` and `base_revision` belong to models of the kind 'adapter', not {self.kind!r}")
        if self.chat_template is not None and self.family != "auto":
            raise ValueError("give either `family` or `chat_template`, not both")
        return self
