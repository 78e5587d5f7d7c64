"""What the rules share: the validated config, paths, params, and the input functions that follow the loop."""

import functools
import gc
import importlib.util
import os
import re
import shlex
import subprocess
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.resources import Resource
from snakemake.settings.types import DeploymentMethod

from llamaduo.storage.canonical import canonical, digest_folder
from llamaduo.cluster.requests import (
    curation_minutes,
    grown,
    merge_minutes,
    minutes_on_gpus,
    model_mb,
    response_minutes,
    service_minutes,
    table_mb,
    training_minutes,
)
from llamaduo.config.load import validate
from llamaduo.config.root import TUNED_ELSEWHERE, WITHOUT_GENERATOR
from llamaduo.coverage.source import DEFAULT_TEST_SPLIT, split_files
from llamaduo.cli.errors import WRONG_OPTIONS, InputError
from llamaduo.estimate.model_size import billion_parameters
from llamaduo.storage.files import read_json, write_json
from llamaduo.workflow.fingerprint import fingerprint
from llamaduo.cli.logs import ends_of_logs, last_lines
from llamaduo.workflow.prefetch import cache_of, is_prefetched
from llamaduo.workflow.preflight import services_used
from llamaduo.service.prompts import for_metrics
from llamaduo.service.prompts import load as load_prompts
from llamaduo.workflow.provenance import record_start
from llamaduo.synthesis.chunks import capacity, chunk_calls, first_chunks, next_chunks
from snakemake_executor_plugin_llamaduo.start import site_of_start
from llamaduo.training.continuation import begun, forget_hopeless, is_hopeless

# Planning a grid makes millions of objects that live to the end: looking for garbage among them takes a tenth of it.
gc.set_threshold(100_000, 20, 100)
# With conda environments the interpreter is that of the job's environment.
WITH_CONDA = DeploymentMethod.CONDA in workflow.deployment_settings.deployment_method
PYTHON = "python" if WITH_CONDA else sys.executable

CONFIG_NAME = ", ".join(str(path) for path in workflow.overwrite_configfiles) or "config/config.yaml"
try:
    CONFIG = validate(config, CONFIG_NAME)
    PROMPTS = load_prompts(Path(CONFIG.prompts))
    JUDGE_PROMPTS = for_metrics(PROMPTS.judge, CONFIG.judging.metrics, f"{CONFIG_NAME}: judging.metrics")
except InputError as error:
    sys.exit(f"error: {error}")

# What the rules have to know of the machines.
SITE = site_of_start(workflow)

# What is graded: the responses of a run's cycle, or those of a baseline.
SUBJECT = r"runs/[^/]+/[^/]+/[^/]+/volume-\d+|baselines/[^/]+/[^/]+"

# Paths


def results(path):
    """A path under the results folder."""
    return f"{CONFIG.results}/{path}"


def state(path):
    """A path under the folder of what was paid for or takes hours; declared as no rule's output."""
    return f"{CONFIG.state}/{path}"


def log_file(path):
    """A log's path; what a job prints goes there and to the terminal."""
    return f"{CONFIG.results}/logs/{path}.log"


def benchmark_file(path):
    """The path of a job's time and memory."""
    return f"{CONFIG.results}/benchmarks/{path}.tsv"


def cycle_of(volume):
    """The folder of a run's cycle, which volume 0 shares among the generators."""
    generator = "{generator}" if volume else WITHOUT_GENERATOR
    return results(f"runs/{{task}}/{generator}/{{model}}/volume-{volume}")


def any_of(names):
    """A wildcard constraint that admits exactly these names."""
    return "|".join(re.escape(name) for name in names)
