"""The section `estimate`: sizes and speeds that are assumed where nothing has been measured. It changes no result."""

from typing import Self

from pydantic import Field, model_validator

from llamaduo.config.base import Section


class EstimateSettings(Section):
    """Sizes and speeds that are assumed where the data, a pilot or a finished step does not tell better.

    `snakemake estimate` and the run times that steps ask a cluster for follow from them; a request's margin is in
    `resources`. Requests are made before the data is read: raise rows and tokens here where yours are far above. The
    speeds are for one A100 with 80 GB. No number here can change a result.
    """

    lowest_yield: float = Field(default=0.43, gt=0, le=1)
    """Share of the pairs asked for that curation accepts, for the upper bound: the lowest that the paper reports."""
    highest_yield: float = Field(default=0.85, gt=0, le=1)
    """The same for the lower bound: the highest that the paper reports."""
    train_rows: int = Field(default=330, ge=1)
    """Rows of a task's train split, where the coverage dataset is not on this machine (the paper's: 245 to 395)."""
    test_rows: int = Field(default=20, ge=1)
    """Rows of its test split (the paper's: 15 to 25)."""
    prompt_tokens: int = Field(default=350, ge=1)
    """Tokens of a prompt (the paper's tasks come with a text to work on)."""
    response_tokens: int = Field(default=150, ge=1)
    """Tokens of a response; also what a service LLM and a local LLM are taken to answer."""
    grade_tokens: int = Field(default=50, ge=1)
    """Tokens of a judge's answer per metric: a score, and a reason of one or two sentences."""
    training_teraflops: float = Field(default=75, gt=0)
    """What fine-tuning gets out of one GPU, in 10^12 operations per second: a quarter of an A100's 312 in bf16, since
    QLoRA unpacks its 4-bit weights for every batch, and batches of 4 are small."""
    decoding_rate: float = Field(default=3000, gt=0)
    """Tokens per second that one GPU writes, times the model's size in 10^9 parameters: about 400 for 7 of them, in
    batches of tens; decoding reads all weights for each token of a batch."""
    load_minutes: float = Field(default=3, ge=0)
    """Minutes of a GPU job before its first token: starting, reading and placing the weights."""
    billion_parameters: dict[str, float] = Field(default={})
    """A model's size in 10^9 parameters, by its name under `models`. Default: as its weights are, where they are in a
    folder; what its path says ("7b"); 8."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.lowest_yield > self.highest_yield:
            raise ValueError(f"lowest_yield {self.lowest_yield:g} is above highest_yield {self.highest_yield:g}")
        return self
