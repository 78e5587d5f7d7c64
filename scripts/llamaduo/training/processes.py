"""One training as several processes of one node, each on a GPU of its own, started by `accelerate launch`."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from llamaduo.cli.errors import InputError
from llamaduo.config.models import ModelSettings
from llamaduo.config.training import TrainingSettings
from llamaduo.training.continuation import read
from llamaduo.training.deadline import STOPPING_SIGNALS, Unfinished, start_of_job

SHARD_ABOVE = 0.6
"""Share of a GPU's memory that the weights may take; more leaves too little for activations and gradients."""
BYTES_PER_WEIGHT = {"qlora": 0.56, "lora": 2.0, "full": 16.0}
"""4 bits and their scales; bf16; fp32 with its gradient and the two moments of AdamW."""
BYTES_PER_SAVED_WEIGHT = 2.0
FSDP_OPTIONS = (
    "--use_fsdp",
    "--fsdp_version=1",
    "--fsdp_sharding_strategy=FULL_SHARD",
    "--fsdp_auto_wrap_policy=TRANSFORMER_BASED_WRAP",
    "--fsdp_backward_prefetch=BACKWARD_PRE",
    "--fsdp_state_dict_type=FULL_STATE_DICT",
    "--fsdp_use_orig_params=false",
    "--fsdp_sync_module_states=true",
    "--fsdp_cpu_ram_efficient_loading=true",
)
"""FSDP as it works with 4-bit weights: flat parameters, first loaded by one process."""


class WorkerFailed(Exception):  # noqa: N818
    """One of the processes that train together failed, and has told why."""


def is_worker() -> bool:
    """Whether this process is one of those that `accelerate launch` started."""
    return "LOCAL_RANK" in os.environ


def is_main() -> bool:
    """Whether this process is the one that writes and prints."""
    return os.environ.get("RANK", "0") == "0"


def use_one_gpu() -> None:
    """Hide all GPUs but the first from a training of one process, before PyTorch looks for them."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    os.environ["CUDA_VISIBLE_DEVICES"] = "0" if visible is None else visible.split(",")[0]


def launch(program: Path, arguments: Sequence[str], processes: int, sharded: bool, record: Path) -> None:
    """Run a program as so many processes and wait for them; the stopping signals are passed on to each.

    Raises `Unfinished`, `InputError` or `WorkerFailed` as the workers' record of attempts says.
    """
    options = [f"--num_processes={processes}", "--num_machines=1", "--mixed_precision=no", "--dynamo_backend=no"]
    # Given here, so that a file of defaults in the user's cache does not say otherwise.
    options += ["--gpu_ids=all", "--main_process_port=0", *(FSDP_OPTIONS if sharded else ["--multi_gpu"])]
    # All workers stop at the same step, so they reckon from the same start.
    began = ["--job-began", str(start_of_job())]
    command = [sys.executable, "-m", "accelerate.commands.launch", *options, str(program), *arguments, *began]
    # SIGUSR1 would end the launcher, which knows nothing of it, and with it the workers.
    with subprocess.Popen(command, preexec_fn=_ignore_usr1) as launcher:  # noqa: S603, PLW1509 - our own program
        for number in STOPPING_SIGNALS:
            signal.signal(number, lambda *_: _tell_workers(launcher.pid, program))
        status = launcher.wait()
    attempts = read(record)
    if status and attempts is not None and attempts.hopeless:
        raise InputError(attempts.message)
    if attempts is not None and attempts.outcome == "unfinished":
        raise Unfinished(attempts.message)
    if status:
        raise WorkerFailed(f"a process of this training ended with status {status}; its message is above")


def _ignore_usr1() -> None:
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)


def _tell_workers(launcher: int, program: Path) -> None:
    with suppress(psutil.NoSuchProcess):
        for process in psutil.Process(launcher).children(recursive=True):
            with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                if str(program) in process.cmdline():
                    process.send_signal(signal.SIGUSR1)


def is_sharded(model: ModelSettings, settings: TrainingSettings) -> bool:
    """Whether the processes share the weights out instead of each having all of them."""
    hardware = settings.hardware
    if hardware.sharding != "auto" or hardware.processes == 1:
        return hardware.sharding == "fsdp" and hardware.processes > 1
    import torch

    from llamaduo.models.weights import base_folder

    if not torch.cuda.is_available():
        return False
    saved = sum(file.stat().st_size for file in base_folder(model).glob("*.safetensors"))
    needed = saved / BYTES_PER_SAVED_WEIGHT * BYTES_PER_WEIGHT[settings.method]
    return needed > SHARD_ABOVE * torch.cuda.get_device_properties(0).total_memory


def check_processes(settings: TrainingSettings) -> None:
    """Raise `InputError` when there are fewer examples per step, or fewer GPUs, than processes."""
    processes, per_step = settings.hardware.processes, settings.batch_size * settings.gradient_accumulation
    if processes > per_step:
        raise InputError(
            f"training.hardware.processes is {processes}, and an optimiser step is of {per_step} examples "
            "(batch_size x gradient_accumulation): no more processes than examples"
        )
    if processes == 1:
        return
    import torch

    if settings.hardware.sharding == "fsdp" and not torch.cuda.is_available():
        raise InputError("training.hardware.sharding: fsdp needs GPUs, and this job has none; set it to auto")
    if torch.cuda.is_available() and torch.cuda.device_count() < processes:
        raise InputError(
            f"training.hardware.processes is {processes}, and this job has {torch.cuda.device_count()} GPUs"
        )
