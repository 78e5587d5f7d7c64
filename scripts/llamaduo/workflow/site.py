"""What a site allows and has: of the cluster's profile, or of one machine."""

import math
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Site:
    """The values of a site that requests follow from. The defaults are those of one machine."""

    longest_minutes: float = math.inf
    """Longest run time of a job, in minutes."""
    largest_mb: float = math.inf
    """Most memory of a job on one node, in MB."""
    gpus: dict[str, int] = field(default_factory=dict)
    """GPUs of one training, by model."""
    large_model_gpus: int = 0
    """GPUs of one training of any other large model; 0: as the config says."""
    cores_per_gpu: int = 1
    """Cores beside each GPU of a training: its processes prepare their own batches."""
