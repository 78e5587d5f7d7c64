"""What the rules share: the validated config, and the package's view of it as functions of wildcards."""

import functools
import gc
import importlib.util
import inspect
import os
import re
import shlex
import subprocess
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.resources import Resource
from snakemake.settings.types import DeploymentMethod

from llamaduo.cli.errors import InputError
from llamaduo.cli.logs import ends_of_logs, has_wrong_options
from llamaduo.config.load import validate
from llamaduo.config.root import TUNED_ELSEWHERE, WITHOUT_GENERATOR
from llamaduo.service.prompts import for_metrics
from llamaduo.service.prompts import load as load_prompts
from llamaduo.storage.canonical import canonical, digest_folder
from llamaduo.storage.files import read_json, write_json
from llamaduo.synthesis.chunks import first_chunks
from llamaduo.training.continuation import begun, forget_hopeless, is_hopeless
from llamaduo.workflow.fingerprint import OTHER_ENGINES, fingerprint
from llamaduo.workflow.layout import (
    BATCHES_PATTERN,
    SUBJECT_PATTERN,
    Results,
    State,
    baseline_step,
    batches_place,
    judging_step,
    synthesis_step,
)
from llamaduo.workflow.loop import Loop
from llamaduo.workflow.plan import (
    ABOUT_DOLLARS,
    ABOUT_GPU_HOURS,
    CHARGED,
    Charges,
    PlannedStep,
    again_lines,
    plan_table,
    submissions,
)
from llamaduo.workflow.prefetch import cache_of, is_prefetched
from llamaduo.workflow.preflight import check_folder, engines, services_to_ask
from llamaduo.workflow.provenance import record_start
from llamaduo.workflow.resources import SMALL, TABLES, TEXTS, Requests, service_slot, step_key, waiting_slot
from llamaduo.workflow.settings import Steps, report_settings, reworded
from llamaduo.workflow.sources import Digests, coverage_identity, model_identity
from snakemake_executor_plugin_llamaduo.start import site_of_start

# Planning a grid makes millions of objects that live to the end: looking for garbage among them takes a tenth of it.
gc.set_threshold(100_000, 20, 100)
# With conda environments the interpreter is that of the job's environment.
WITH_CONDA = DeploymentMethod.CONDA in workflow.deployment_settings.deployment_method
PYTHON = "python" if WITH_CONDA else sys.executable
SCRIPTS = f"{workflow.basedir}/scripts"
CONDA, CONDA_VLLM = f"{workflow.basedir}/environment.yaml", f"{workflow.basedir}/rules/envs/vllm.yaml"


def config_key(*place):
    """A key of the config as a message names it: file, line and key."""
    return f"{SOURCES.where(place)}: {'.'.join(place)}"


CONFIG_NAME = ", ".join(map(str, CONFIG_FILES))
try:
    CONFIG = validate(config, SOURCES)
    PROMPTS = load_prompts(Path(CONFIG.prompts))
    for_metrics(PROMPTS.judge, CONFIG.judging.metrics, config_key("judging", "metrics"))
except InputError as error:
    sys.exit(f"error: {error}")

RESULTS, STATE = Results(Path(CONFIG.results)), State(Path(CONFIG.state))
STEPS = Steps(CONFIG, PROMPTS, RESULTS, STATE)
LOOP = Loop(CONFIG, RESULTS)

# What the rules have to know of the machines.
SITE = site_of_start(workflow)
REQUESTS = Requests(CONFIG, SITE)
# Where compute nodes cannot reach the internet, steps that call services are run by Snakemake's main process, on the node
# where it runs.
SERVICES_ON_LOGIN_NODE = SITE.services_on_login_node
# Which steps have run out of memory, and how often: their next attempt asks for more, which no other failure does.
OUT_OF_MEMORY = RESULTS.note("out_of_memory.json")

# A signal to the whole job, or Ctrl-C, must reach the program alone: it awaits the calls in flight, or saves.
TRAP = "trap : TERM INT USR1; "
LOG, TRAPPED_LOG = " 2>&1 | tee {log}", " 2>&1 | (trap '' TERM INT USR1; exec tee {log})"


def any_of(names):
    """A wildcard constraint that admits exactly these names."""
    return "|".join(re.escape(name) for name in names)


@functools.cache
def arguments_of(function):
    return inspect.signature(function).parameters.keys()


def given(function, wildcards, **more):
    """What a function of the package gives for those wildcards that it names, as it names them."""
    return function(**{name: wildcards[name] for name in arguments_of(function) if name in wildcards.keys()}, **more)


def named(function, **more):
    """A function of a job's wildcards, from one of the package that takes them by name."""
    return lambda wildcards: given(function, wildcards, **more)


# Params


def command(program, settings=None):
    """The command that runs a program on its settings."""
    words = [PYTHON, f"{SCRIPTS}/{program}", *(["--from-config", str(settings)] if settings else [])]
    return shlex.join(words)


def step(kind):
    """The params of a kind of step: its command, the fingerprint of its code, and what of its settings is compared.

    The command is not compared: another interpreter, folder or file of settings changes no result.
    """
    program, about = STEPS.kinds[kind].program, STEPS.kinds[kind].about

    def names(wildcards):
        return tuple(wildcards.get(name, "0") for name in about)

    return {
        "command": lambda wildcards, resources: command(program, STEPS.file(kind, names(wildcards))),
        "code": fingerprint(program),
        "settings": lambda wildcards: STEPS.compared(kind, names(wildcards)),
    }


def asking(name_of):
    """The name of a step among those that ask services; a job that submits batches says that it does only that."""

    def options(wildcards, output, resources):
        submits = " --asking.submit true" if output[0].endswith(".submitted.json") else ""
        return f"--asking.step {given(name_of, wildcards)}{submits}"

    return options


def option(name):
    """The option for an input that a step may have. The input is compared, the option is not."""
    flag = f"--{name.replace('_', '-')}"
    return lambda wildcards, input, resources: f"{flag} {input.get(name)}" if input.get(name) else ""


# Resources


def times_out_of_memory(rule, names):
    return read_json(OUT_OF_MEMORY).get(step_key(rule, names), 0) if OUT_OF_MEMORY.is_file() else 0


def memory(of):
    """A request for memory: so many MB, or a function of the package; more after the step has run out of it."""

    def megabytes(wildcards, rulename):
        times = times_out_of_memory(rulename, dict(wildcards.items()))
        return REQUESTS.memory(given(of, wildcards) if callable(of) else of, times)

    return megabytes


def more_each_time(of):
    """Minutes of a step that begins anew each time: so many, or a function of the package, times the attempt."""

    def minutes(wildcards, attempt):
        return REQUESTS.minutes((given(of, wildcards) if callable(of) else of) * attempt)

    return minutes


def service_slots(wildcard):
    """A resource per service, taken by the jobs whose wildcard names it, and one for all that ask beside Snakemake."""

    def takes(name):
        return lambda wildcards: int(wildcards.get(wildcard) == name)

    slots = {service_slot(name): takes(name) for name in CONFIG.services}
    return {**slots, "places_to_ask": 1} if SERVICES_ON_LOGIN_NODE else slots


# The resources that keep every service to the steps that may ask it at once.
SLOTS_OF_ALL_SERVICES = {service_slot(name): service.steps_at_once for name, service in CONFIG.services.items()}
for slot, steps_at_once in SLOTS_OF_ALL_SERVICES.items():
    workflow.global_resources.setdefault(slot, Resource(slot, steps_at_once))


# The loop: what finished checkpoints say


def read_decision(path, **names):
    checkpoints.decide.get(**names)
    return read_json(path)


def read_funnel(path, **names):
    checkpoints.curate.get(**names)
    return read_json(path)


def read_measured(path, **names):
    checkpoints.measure_pool.get(**names)
    return read_json(path)


def read_if_there(path, **names):
    """Snakemake asks again once it is there: the measurement is a checkpoint, and among the inputs."""
    return read_json(path) if path.is_file() else None


# What the user provides. It is compared where a plan is made; a job only computes with it.


@functools.cache
def digests():
    return Digests(STATE.digests)


def identity_of_coverage(wildcards):
    """What the coverage dataset holds."""
    return coverage_identity(CONFIG.coverage, digests()) if workflow.is_main_process else ""


@functools.cache
def identity_of(name):
    return canonical(model_identity(CONFIG.models[name], digests())) if workflow.is_main_process else ""


def identity_of_model(wildcards):
    """What decides a model's weights, tokenizer and chat format, by digests of its files."""
    return identity_of(wildcards.model)
