"""The local LLMs: where their weights come from and how a conversation is put to them."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from llamaduo.config.base import Section

Family = Literal["gemma", "mistral", "llama", "chatml"]


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

    path: str = Field(min_length=1)
    """A model's id on the Hugging Face Hub, or a folder."""
    revision: str | None = None
    """Commit, tag or branch on the Hub; a commit pins the weights."""
    kind: Literal["base", "adapter", "merged"] = "base"
    """`base`: fine-tuned by the runs. `adapter`, `merged`: tuned elsewhere, judged and not trained."""
    base: str | None = None
    """For an adapter: the id or folder of the model that it was tuned from."""
    base_revision: str | None = None
    """For an adapter: the revision of that model."""
    family: Family | Literal["auto"] = "auto"
    """The chat template; `auto`: the model's own, or that of the family whose tokens its tokenizer has."""
    chat_template: Path | None = None
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
