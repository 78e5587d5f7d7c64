"""Params: canonical text of just those settings that a rule uses, and what travels beside them.

Snakemake compares params to find out what is out of date. A param made by a function that takes `resources` is not
compared: that is the way of settings that cannot change a result, such as addresses, limits and the size of batches.
"""

# Settings that change the pace of a step, or whether it is let through, and not its result.
CHECKS_OF_COVERAGE = {"minimum_train", "minimum_test"}
# Where the data is; what it is, is compared by a digest.
PLACE_OF_COVERAGE = {"source"}
PACE_OF_TRAINING = {
    "activation_checkpointing",
    "checkpoint_minutes",
    "continuations",
    "failures",
    "hardware",
    "report_to",
}
PACE_OF_INFERENCE = {"batch_tokens"}
CHECKS_OF_JUDGING = {"maximum_ungraded"}
# What acts through a step's inputs: the rows of the dataset, the adapter of the cycle before.
IN_INPUTS_OF_TRAINING = {"include_train", "warm_start"}


def look_once_at_parameters():
    """Have Snakemake look at the parameters of a function once, and not dozens of times per job."""
    from snakemake import common, rules

    once = functools.cache(common.get_function_params)
    common.get_function_params = rules.get_function_params = once


look_once_at_parameters()


def program(name):
    """The command that runs a program. Not compared: another interpreter or folder changes no result."""

    def command(wildcards, resources):
        return f"{shlex.quote(PYTHON)} {shlex.quote(SCRIPTS)}/{name}"

    return command


def settings(section, exclude=frozenset()):
    """A section of the config as canonical JSON."""
    return canonical(section.model_dump(mode="json", exclude=set(exclude)))


def place_in_state(path):
    """A place in the state folder, with the job's wildcards. Not compared: moving the folder changes no result."""

    def place(wildcards, resources):
        return state(path.format(**wildcards))

    return place


def uncompared(section, keys):
    """Options for those keys of a section that a rule's param leaves out."""
    values = section.model_dump(mode="json", include=set(keys))
    texts = {key: value if isinstance(value, str) else canonical(value) for key, value in values.items()}
    return " ".join(f"--settings.{key} {shlex.quote(texts[key])}" for key in sorted(keys))


def checks_of_coverage(wildcards, resources):
    return uncompared(CONFIG.coverage, CHECKS_OF_COVERAGE | PLACE_OF_COVERAGE)


def checks_of_judging(wildcards, resources):
    return uncompared(CONFIG.judging, CHECKS_OF_JUDGING)


def slot_of(service):
    """The name of the resource that keeps the steps of one service apart."""
    return f"service_{service}".replace("-", "_").replace(".", "_")


def service_slots(wildcard):
    """A resource per service, taken by the jobs whose wildcard names it, and one for all that ask beside Snakemake."""

    def takes(name):
        def slots(wildcards):
            return int(wildcards.get(wildcard) == name)

        return slots

    slots = {slot_of(name): takes(name) for name in CONFIG.services}
    return {**slots, "places_to_ask": 1} if SERVICES_ON_LOGIN_NODE else slots


def slots_of_all_services():
    """The resources that keep every service to one step alone."""
    return {slot_of(name): service.steps_at_once for name, service in CONFIG.services.items()}


for service_slot, steps_at_once in slots_of_all_services().items():
    workflow.global_resources.setdefault(service_slot, Resource(service_slot, steps_at_once))


# Services

# Set with `resources` in a profile where compute nodes cannot reach the internet: steps that call services are then run
# by Snakemake's main process, on the node where it runs.
SERVICES_ON_LOGIN_NODE = bool(workflow.global_resources.get("services_on_login_node").value)


def asked_of(name, role):
    """What of a service's settings can change its answers."""
    service = CONFIG.services[name]
    answers = service.model_dump(mode="json", include={"provider", "model", "structured_output", "attempts"})
    generation = getattr(service.generation, role).model_dump(mode="json")
    return canonical({**answers, "generation": generation, "simulated": service.is_simulated})


def asked_of_generator(wildcards):
    return asked_of(wildcards.generator, "generator")


def asked_of_judge(wildcards):
    return asked_of(wildcards.judge, "judge")


def asked_of_baseline(wildcards):
    return asked_of(wildcards.service, "baseline")


def service_of_step(name):
    """A service's settings as one step may use them beside others."""
    return CONFIG.services[name].of_one_step()


def service_of_generator(wildcards, resources):
    return settings(service_of_step(wildcards.generator))


def service_of_judge(wildcards, resources):
    return settings(service_of_step(wildcards.judge))


def service_of_baseline(wildcards, resources):
    return settings(service_of_step(wildcards.service))


# Money: what a step may spend and what its costs are about, which change no answer.


def budget_of_workflow(wildcards, resources):
    """The option with which a step keeps the budget; empty where there is none."""
    if CONFIG.budget_usd is None:
        return ""
    priced = [service for service in CONFIG.services.values() if service.price is not None]
    prices = {f"{service.provider}/{service.model}": service.price.model_dump(mode="json") for service in priced}
    budget = {"dollars": CONFIG.budget_usd, "folder": state("ledger"), "journals": state("journal"), "prices": prices}
    return f"--budget {shlex.quote(canonical(budget))}"


def task_of_costs(wildcards, resources):
    return canonical({"task": wildcards.task})


def subject_of_costs(wildcards, resources):
    """What the costs of a graded subject are about: a run's cycle or a baseline."""
    kind, task, *names = wildcards.subject.split("/")
    if kind == "baselines":
        return canonical({"task": task, "model": names[0]})
    generator, model, volume = names
    return canonical(
        {"task": task, "generator": generator, "model": model, "volume": int(volume.removeprefix("volume-"))}
    )


# Tasks and volumes


def categories_of_task(wildcards):
    return canonical(CONFIG.tasks[wildcards.task].categories)


def topic_of_task(wildcards):
    return CONFIG.topic_of(wildcards.task)


def cycle_number(wildcards):
    """The cycle's number: the place of its volume among the task's."""
    volumes = CONFIG.tasks[wildcards.task].volumes
    if int(wildcards.volume) not in volumes:
        raise WorkflowError(f"{CONFIG_NAME}: tasks.{wildcards.task}.volumes has no {wildcards.volume}: {volumes}")
    return volumes.index(int(wildcards.volume))


def is_last_cycle(wildcards):
    last = cycle_number(wildcards) == len(CONFIG.tasks[wildcards.task].volumes) - 1
    return str(last).lower()


def chunks_of_funnel(wildcards, input):
    """How many chunks the measured pool was curated from, as its folder's name says."""
    return Path(input.funnel).parent.name.removeprefix("chunks-")


def option_of_pool(wildcards, input):
    return f"--pool {input.pool}" if input.pool else ""


def options_of_evidence(wildcards, input):
    """What a decision rests on: metrics, or the reason why the volume could not be reached."""
    if not input.get("metrics"):
        return f"--pool-shortfall {input.pool}"
    service = f"--service-metrics {input.service}" if input.service else ""
    return f"--metrics {input.metrics} {service}"


# Models


def model_settings(wildcards, resources):
    """A model's settings without those of its sampling. Not compared: `identity_of_model` is, wherever it lies."""
    return settings(CONFIG.models[wildcards.model], exclude={"generation"})


def responding_model(wildcards, resources):
    """A model's settings with those of its sampling. Not compared, as those above; `sampling_of_model` is."""
    return settings(CONFIG.models[wildcards.model])


def sampling_of_model(wildcards):
    return settings(CONFIG.models[wildcards.model].generation)


# What the user provides


@functools.cache
def digests():
    return Digests(Path(state("digests.json")))


def identity_of_coverage(wildcards):
    """What the coverage dataset holds. Compared where a plan is made; a job only computes with it."""
    return coverage_identity(CONFIG.coverage, digests()) if workflow.is_main_process else ""


@functools.cache
def identity_of(name):
    return canonical(model_identity(CONFIG.models[name], digests())) if workflow.is_main_process else ""


def identity_of_model(wildcards):
    """What decides a model's weights, tokenizer and chat format, by digests of its files."""
    return identity_of(wildcards.model)


def code_of_responses(wildcards):
    """The code of the responses without that of the engine that is not used."""
    engine = cycle_settings(wildcards, CONFIG.inference_for).engine
    return fingerprint("respond.py", without=OTHER_ENGINES[engine])


def cycle_settings(wildcards, of):
    """The settings of one cycle; a model as it is counts as volume 0."""
    return of(wildcards.task, wildcards.model, int(wildcards.get("volume", 0)))


def training_settings(wildcards):
    training = cycle_settings(wildcards, CONFIG.training_for)
    return settings(training, exclude=PACE_OF_TRAINING | IN_INPUTS_OF_TRAINING)


def checkpoint_pace(wildcards, resources):
    """What changes a training's pace; it has as many processes as GPUs, of which a profile may give another number."""
    training = cycle_settings(wildcards, CONFIG.training_for)
    hardware = training.hardware.model_copy(update={"processes": resources.gpu})
    return uncompared(training.model_copy(update={"hardware": hardware}), PACE_OF_TRAINING)


def inference_settings(wildcards):
    return settings(cycle_settings(wildcards, CONFIG.inference_for), exclude=PACE_OF_INFERENCE)


def batch_size(wildcards, resources):
    return uncompared(cycle_settings(wildcards, CONFIG.inference_for), PACE_OF_INFERENCE)


def environment_of_engine(wildcards):
    """The conda environment of the inference engine: vLLM needs another PyTorch than the rest."""
    engine = cycle_settings(wildcards, CONFIG.inference_for).engine
    return f"{workflow.basedir}/rules/envs/vllm.yaml" if engine == "vllm" else f"{workflow.basedir}/environment.yaml"


def option_of_warm_start(wildcards, input):
    return f"--warm-start {input.warm_start}" if input.warm_start else ""


# Deployment and report


def names_of_run(wildcards):
    return canonical({"task": wildcards.task, "generator": wildcards.generator, "model": wildcards.model})


def facts_of_card(wildcards, input):
    """What a model card says beside the artifacts. Not compared: what it rests on is in the inputs.

    A job of its own looks at its params before it has looked at the decisions that its inputs rest on, and then again.
    """
    if "adapter" not in input.keys():
        return ""
    judges = CONFIG.judges_of(wildcards.task)
    services = {name: CONFIG.services[name] for name in dict.fromkeys([wildcards.generator, *judges])}
    described = {name: f"{service.provider} {service.model}" for name, service in services.items()}
    volume = int(Path(input.adapter).parent.name.removeprefix("volume-"))
    inference = CONFIG.inference_for(wildcards.task, wildcards.model, volume).model_dump(
        mode="json", exclude=PACE_OF_INFERENCE
    )
    sampling = CONFIG.models[wildcards.model].generation.model_dump(mode="json", exclude_none=True)
    return canonical(
        {
            "coverage": CONFIG.coverage.source,
            "generator": described[wildcards.generator],
            "judges": {judge: described[judge] for judge in judges},
            "simulated": [name for name, service in services.items() if service.is_simulated],
            "settings": {
                "inference": {**inference, **sampling},
                "judging": CONFIG.judging.model_dump(mode="json", exclude=CHECKS_OF_JUDGING),
                **CONFIG.model_dump(mode="json", include={"metrics", "decision"}),
            },
        }
    )


def settings_file(wildcards, resources):
    return results("settings/config.json")


def folder_of_report(wildcards, output):
    """The results folder that a report is about."""
    return str(Path(output.report).parent.parent)


def folder_of_splits(wildcards, input):
    """The results folder that the tasks' splits lie in."""
    return str(Path(input[0]).parents[2])


def settings_of_report():
    """The settings that the report shows."""
    shown = {"tasks", "models", "judges", "judging", "metrics", "decision", "baselines"}
    services = {
        name: {"provider": service.provider, "model": service.model, "simulated": service.is_simulated}
        for name, service in CONFIG.services.items()
    }
    return canonical(
        {**CONFIG.model_dump(mode="json", include=shown), "services": services, "samples": CONFIG.inference.samples}
    )
