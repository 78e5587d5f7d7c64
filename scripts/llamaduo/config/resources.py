"""What steps ask a cluster for, beyond what their work is estimated to take: margins, start, memory."""

from pydantic import Field

from llamaduo.config.base import Section


class ResourceSettings(Section):
    """What a step's request for memory and run time adds to the work that `estimate` assumes. It changes no result.

    A request that is too small ends a job, which then goes on where it was, or begins anew with more time where it has
    nothing to go on from; one that is too large waits longer in the queue. What a partition allows at most is in the
    profile, as `longest_minutes` and `largest_mb`.
    """

    margin: float = Field(default=2, ge=1)
    """By what estimates of time are multiplied: for longer rows, a slower GPU or node, a service that slows down."""
    start_minutes: int = Field(default=30, ge=1)
    """Time that every step gets on top: slow shared file systems, imports, loading and saving of weights."""
    service_seconds: float = Field(default=10, gt=0)
    """Time that one call of a service takes, where its requests per minute do not bound the pace more."""
    base_mb: int = Field(default=8000, ge=100)
    """Main memory that a step with a model takes beside the weights, in MB: PyTorch, CUDA, the tokenized dataset."""
    weights_copies: float = Field(default=1.5, ge=1)
    """How often the weights in 16 bits are in main memory while they are loaded: once, and the shard that is read."""
    memory_growth: float = Field(default=1.5, ge=1)
    """By what the memory is multiplied each time a step has run out of it; not after other failures."""
