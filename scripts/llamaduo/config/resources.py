"""What steps ask a cluster for: memory and time by the size of the model and the volume."""

from pydantic import Field

from llamaduo.config.base import Section


class ResourceSettings(Section):
    """What a step's request for memory and run time is made of. No number here can change a result.

    A request that is too small ends a job, which then goes on where it was; one that is too large waits longer in the
    queue. The speeds are for one A100 with 80 GB. What a partition allows at most is in the profile, under `resources`.
    """

    billion_parameters: dict[str, float] = Field(default={})
    """Size of a model, by its name. Default: its weights', where they are in a folder; what its path says ("7b"); 8."""
    train_rows: int = Field(default=500, ge=0)
    """About how many pairs the train splits have, beside the synthetic ones: they are counted only once the coverage
    dataset is read."""
    test_prompts: int = Field(default=100, ge=1)
    """About how many prompts the test splits have."""
    training_teraflops: float = Field(default=60, gt=0)
    """Speed that training reaches, in 10^12 operations per second: a fifth of an A100's 312 in bf16, since QLoRA turns
    4-bit weights back for every batch, and batches of 4 are small."""
    operations_per_parameter: float = Field(default=8, gt=0)
    """Operations per parameter and token of training: 2 forward, 2 forward again where activations are computed anew,
    2 to 4 backward (the weights of the base are not updated)."""
    tokens_per_example: int = Field(default=400, ge=1)
    """Mean length of a training example, in tokens: prompts and responses of No Robots have about 300."""
    inference_minutes_per_billion: float = Field(default=20, gt=0)
    """Time for the responses to `test_prompts` prompts at K = 4 and 1024 tokens, per 10^9 parameters: about 100 tokens
    per second and row for 2B, a quarter of that for 8B, in batches."""
    service_seconds: float = Field(default=10, gt=0)
    """Time that one call of a service takes, where its requests per minute do not bound the pace more."""
    start_minutes: int = Field(default=30, ge=1)
    """Time that every step gets on top: slow shared file systems, imports, loading and saving of weights."""
    margin: float = Field(default=1.5, ge=1)
    """By what estimates of time are multiplied."""
    base_mb: int = Field(default=8000, ge=100)
    """Main memory that a step with a model takes beside the weights, in MB: PyTorch, CUDA, the tokenized dataset."""
    weights_copies: float = Field(default=1.5, ge=1)
    """How often the weights in 16 bits are in main memory while they are loaded: once, and the shard that is read."""
    memory_growth: float = Field(default=1.5, ge=1)
    """By what the memory is multiplied each time a step has run out of it; not after other failures."""
