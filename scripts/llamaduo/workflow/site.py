"""What the rules have to know of the machines that the workflow runs on; its values come from a profile."""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from llamaduo.cli.errors import InputError

LEFT_JOBS = "LLAMADUO_LEFT_JOBS"
"""The environment variable with which a user says what becomes of jobs that a killed main process has left."""


@dataclass(frozen=True)
class Site:
    """The site's values; by default those of one machine without limits.

    `longest_minutes` and `largest_mb` are the most that one job may ask for. `gpus` are the GPUs of one training by
    model, `large_model_gpus` those of every other large model (0: as the config has it), `cores_per_gpu` the cores
    beside each. `services_on_login_node`: steps that call services run beside the main process. `check_requests`:
    requests are compared with the cluster's partitions. `array_limit` is the most jobs of one submission; 0: there is
    no cluster.
    """

    longest_minutes: float = math.inf
    largest_mb: float = math.inf
    gpus: Mapping[str, int] = field(default_factory=dict)
    large_model_gpus: int = 0
    cores_per_gpu: int = 1
    services_on_login_node: bool = False
    check_requests: bool = False
    array_limit: int = 0

    @property
    def left_jobs(self) -> str:
        """What becomes of running jobs that a killed main process has left: `wait` for their results, or `cancel`.

        Raises `InputError` when the user asks for something else.
        """
        chosen = os.environ.get(LEFT_JOBS, "wait")
        if chosen not in {"wait", "cancel"}:
            raise InputError(f"{LEFT_JOBS}: {chosen!r}: must be wait or cancel")
        return chosen
