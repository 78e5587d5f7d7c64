"""What the rules share: the validated config, and the packages' view of it as functions of wildcards."""

import functools
import gc
import re
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.resources import Resource
from snakemake.settings.types import DeploymentMethod

from llamaduo.cli.errors import InputError
from llamaduo.config.load import validate
from llamaduo.config.root import TUNED_ELSEWHERE, WITHOUT_GENERATOR
from llamaduo.config.sources import read_all
from llamaduo.service.prompts import for_metrics
from llamaduo.service.prompts import load as load_prompts
from llamaduo.storage.canonical import canonical, digest_folder
from llamaduo.storage.files import read_json
from llamaduo.training.continuation import forget_hopeless
from llamaduo.workflow.fingerprint import fingerprint
from llamaduo.workflow.layout import BATCHES_PATTERN, SUBJECT_PATTERN, Results, State
from llamaduo.workflow.layout import baseline_step, judging_step, synthesis_step
from llamaduo.workflow.loop import Loop
from llamaduo.workflow.params import Params, asking, chunk_range
from llamaduo.workflow.plan import Charges
from llamaduo.workflow.preflight import check_folder
from llamaduo.workflow.resources import SMALL, TABLES, TEXTS, Requests
from llamaduo.workflow.rule_resources import RuleResources
from llamaduo.workflow.settings import Steps, report_settings
from llamaduo.workflow.sources import Digests, coverage_identity, model_identity
from llamaduo.workflow.wildcards import given, named, option
from snakemake_executor_plugin_llamaduo.awaited import Awaited
from snakemake_executor_plugin_llamaduo.start import site_of_start

# Planning a grid makes millions of objects that live to the end: looking for garbage among them takes a tenth of it.
gc.set_threshold(100_000, 20, 100)
# With conda environments the interpreter is that of the job's environment.
WITH_CONDA = DeploymentMethod.CONDA in workflow.deployment_settings.deployment_method
SCRIPTS = f"{workflow.basedir}/scripts"
CONDA, CONDA_VLLM = f"{workflow.basedir}/environment.yaml", f"{workflow.basedir}/rules/envs/vllm.yaml"


def config_key(*place):
    """A key of the config as a message names it: file, line and key."""
    return f"{SOURCES.where(place)}: {'.'.join(place)}"


CONFIG_FILES = workflow.overwrite_configfiles or ["config/config.yaml"]
CONFIG_NAME = ", ".join(map(str, CONFIG_FILES))
try:
    SOURCES = read_all(CONFIG_FILES, workflow.config_settings.config)
    CONFIG = validate(config, SOURCES)
    PROMPTS = load_prompts(Path(CONFIG.prompts))
    for_metrics(PROMPTS.judge, CONFIG.judging.metrics, config_key("judging", "metrics"))
    SITE = site_of_start(workflow)
except InputError as error:
    sys.exit(f"error: {error}")

RESULTS, STATE = Results(Path(CONFIG.results)), State(Path(CONFIG.state))
LOOP, REQUESTS = Loop(CONFIG, RESULTS), Requests(CONFIG, SITE)
# Where compute nodes cannot reach the internet, steps that call services are run by Snakemake's main process, on the node
# where it runs.
SERVICES_ON_LOGIN_NODE = SITE.services_on_login_node
PARAMS = Params(Steps(CONFIG, PROMPTS, RESULTS, STATE), "python" if WITH_CONDA else sys.executable, SCRIPTS)
RESOURCES = RuleResources(CONFIG, REQUESTS, RESULTS, SERVICES_ON_LOGIN_NODE)
AWAITED = Awaited(workflow, CONFIG, RESULTS)

# What most rules use, by short names.
step, memory = PARAMS.step, RESOURCES.memory

for slot, places in RESOURCES.limits().items():
    workflow.global_resources.setdefault(slot, Resource(slot, places))


def any_of(names):
    """A wildcard constraint that admits exactly these names."""
    return "|".join(re.escape(name) for name in names)


# What finished checkpoints say


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


digests = functools.cache(lambda: Digests(STATE.digests))


def identity_of_coverage(wildcards):
    """What the coverage dataset holds."""
    return coverage_identity(CONFIG.coverage, digests()) if workflow.is_main_process else ""


@functools.cache
def identity_of(name):
    return canonical(model_identity(CONFIG.models[name], digests())) if workflow.is_main_process else ""


def identity_of_model(wildcards):
    """What decides a model's weights, tokenizer and chat format, by digests of its files."""
    return identity_of(wildcards.model)


# What single rules need


def options_of_evidence(wildcards, input, resources):
    """What a decision rests on: metrics, or the reason why the volume could not be reached. The inputs are compared."""
    if not input.get("metrics"):
        return f"--pool-shortfall {input.pool}"
    return f"--metrics {input.metrics}" + (f" --service-metrics {input.service}" if input.service else "")


def options_of_cycle(wildcards):
    """The cycle's number among the task's, and whether it is the last."""
    names = wildcards.task, wildcards.volume
    try:
        return f"--cycle {LOOP.cycle_number(*names)} --last {str(LOOP.is_last_cycle(*names)).lower()}"
    except InputError as error:
        raise WorkflowError(f"{CONFIG_NAME}: {error}") from None


def artifacts_of_converged_cycle(wildcards):
    """The adapter of the cycle in which a run converged, and the metrics it converged with."""
    cycle = given(LOOP.converged_cycle, wildcards, read=read_decision)
    return {"adapter": cycle / "adapter", "metrics": cycle / "metrics.parquet"}


def command_of_deployment(wildcards, input, resources):
    """A card tells the settings of the cycle that converged.

    A job of its own looks at its params before it has looked at the decisions that its inputs rest on, and then again.
    """
    if "adapter" not in input.keys():
        return ""
    volume = Path(input.adapter).parent.name.removeprefix("volume-")
    names = wildcards.task, wildcards.generator, wildcards.model, volume
    return PARAMS.with_settings("deploy_model", names)


def environment_of_engine(wildcards):
    """The conda environment of the inference engine: vLLM needs another PyTorch than the rest."""
    return CONDA_VLLM if given(PARAMS.steps.engine, wildcards) == "vllm" else CONDA
