"""The input functions that follow the loop, and the lists of artifacts that the targets ask for."""


def chunks_of_pool(wildcards):
    """The chunks that a pool is curated from."""
    chunk = results("synthesis/{task}/{generator}/chunk-{chunk}.parquet")
    return expand(chunk, chunk=range(int(wildcards.chunks)), allow_missing=True)


def last_pool_of_volume(wildcards):
    """Follow the measured yield: the funnel of the pool that holds a volume, or that is at the bound.

    Asks for one pool after another, each as large as the yields measured so far say is needed.
    """
    volume, history = int(wildcards.volume), []
    chunks = first_chunks(volume, CONFIG.synthesis)
    while chunks is not None:
        funnel = checkpoints.curate.get(task=wildcards.task, generator=wildcards.generator, chunks=chunks).output.funnel
        history.append((chunks, read_json(Path(funnel))["accepted"]))
        chunks = next_chunks(volume, history, CONFIG.synthesis)
    return funnel


def pool_of_dataset(wildcards):
    """The pool that a dataset takes its first `volume` rows from."""
    if wildcards.generator == WITHOUT_GENERATOR:
        return []
    measured = checkpoints.measure_pool.get(
        task=wildcards.task, generator=wildcards.generator, volume=wildcards.volume
    ).output[0]
    return results(f"synthesis/{{task}}/{{generator}}/chunks-{read_json(Path(measured))['chunks']}/pool.parquet")


def evidence_of_decision(wildcards):
    """The metrics of a cycle, or the reason why its volume could not be reached.

    Before the pool is measured the plan is that it will do, so that a dry-run shows the whole cycle. Once it is,
    Snakemake asks again, as the measurement is a checkpoint and among the inputs.
    """
    metrics = f"{cycle_of(int(wildcards.volume))}/metrics.parquet"
    if wildcards.generator == WITHOUT_GENERATOR:
        return {"metrics": metrics}
    pool = results("synthesis/{task}/{generator}/volume-{volume}.json").format(**wildcards)
    reached = not Path(pool).is_file() or read_json(Path(pool))["reached"]
    return {"pool": pool, "metrics": metrics} if reached else {"pool": pool}


def grades_of_subject(wildcards):
    """The grades of a cycle's or a baseline's responses by every judge that its task allows."""
    task = wildcards.subject.split("/")[1]
    return expand(results("{subject}/grades/{judge}.parquet"), judge=CONFIG.judges_of(task), allow_missing=True)


def metrics_of_reference(wildcards):
    """The metrics of the service LLM that must be matched, where a threshold is a share of its own."""
    if not CONFIG.decision.needs_service:
        return []
    return results(f"baselines/{{task}}/{CONFIG.tasks[wildcards.task].reference}/metrics.parquet")


def decisions_of_run(wildcards):
    """Walk one run's decisions, each the condition for the next, up to the first that ends it."""
    paths = []
    for volume in CONFIG.tasks[wildcards.task].volumes:
        generator = wildcards.generator if volume else WITHOUT_GENERATOR
        decision = checkpoints.decide.get(
            task=wildcards.task, generator=generator, model=wildcards.model, volume=volume
        ).output[0]
        paths.append(decision)
        if read_json(Path(decision))["verdict"] != "expand":
            break
    return paths


def deployment_of_run(wildcards):
    """The verification of the deployed model, when the run has converged."""
    last = read_json(Path(decisions_of_run(wildcards)[-1]))
    return results("deploy/{task}/{generator}/{model}/verification.json") if last["verdict"] == "converged" else []


def artifacts_of_converged_cycle(wildcards):
    """The adapter of the cycle in which a run converged, and the metrics it converged with."""
    cycle = Path(decisions_of_run(wildcards)[-1]).parent
    return {"adapter": f"{cycle}/adapter", "metrics": f"{cycle}/metrics.parquet"}


def previous_adapter(wildcards):
    """The adapter of the cycle before, where training starts from it."""
    cycle = cycle_number(wildcards)
    trained = CONFIG.training_for(wildcards.task, wildcards.model, int(wildcards.volume))
    before = CONFIG.tasks[wildcards.task].volumes[cycle - 1]
    return f"{cycle_of(before)}/adapter" if trained.warm_start and cycle else []


# Targets


def runs():
    """All runs: (task, generator, model)."""
    return [
        (task, generator, model)
        for task, settings in CONFIG.tasks.items()
        for generator in settings.generators
        for model in CONFIG.trained_models()
    ]


def verdicts():
    """The closing artifacts of all runs, and of the models that were tuned elsewhere."""
    closed = [results(f"runs/{task}/{generator}/{model}/verdict.json") for task, generator, model in runs()]
    return closed + expand(
        results("baselines/{task}/{model}/decision.json"), task=CONFIG.tasks, model=CONFIG.models_tuned_elsewhere()
    )


def baselines():
    """The metrics of the services' own responses and of the untuned models'."""
    untuned = CONFIG.trained_models() if CONFIG.baselines.untuned else []
    return [
        results(f"baselines/{task}/{name}/metrics.parquet")
        for task in CONFIG.tasks
        for name in [*CONFIG.baseline_services(task), *untuned]
    ]


def decisions_of_sweep():
    """The decisions of every volume of every run."""
    return list(
        dict.fromkeys(
            f"{cycle_of(volume)}/decision.json".format(task=task, generator=generator, model=model)
            for task, generator, model in runs()
            for volume in CONFIG.tasks[task].volumes
        )
    )
