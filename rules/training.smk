# How often one start of the workflow takes a training up again: after a time limit or a kill, and after failures that
# may pass. The program counts the two apart. A job's own process must not: it would train on past the job's end.
TRAINING_RETRIES = (CONFIG.training.continuations + CONFIG.training.failures) * workflow.is_main_process


def gpus_of_training(wildcards):
    return cycle_settings(wildcards, CONFIG.training_for).hardware.processes


def number_of_attempt(wildcards, attempt):
    return attempt


def is_hopeless_training(wildcards):
    """Whether another attempt at a training would only tell again why it cannot be done."""
    adapter = results("runs/{task}/{generator}/{model}/volume-{volume}/adapter").format(**wildcards)
    return is_hopeless(Path(state("checkpoints")), Path(adapter))


def retries_of_job(job):
    """Snakemake knows a number of retries per rule only; a training that would fail again gets none."""
    is_hopeless_job = job.rule.name == "finetune" and is_hopeless_training(job.wildcards_dict)
    return 0 if is_hopeless_job else job.rule.restart_times


Job.restart_times = property(retries_of_job)


rule finetune:
    input:
        dataset=results("datasets/{task}/{generator}/volume-{volume}.parquet"),
        base=files_of_model,
        warm_start=previous_adapter,
    output:
        adapter=directory(results("runs/{task}/{generator}/{model}/volume-{volume}/adapter")),
        training=results("runs/{task}/{generator}/{model}/volume-{volume}/training.parquet"),
    log:
        log_file("finetune/{task}/{generator}/{model}/volume-{volume}"),
    benchmark:
        benchmark_file("finetune/{task}/{generator}/{model}/volume-{volume}")
    retries: TRAINING_RETRIES
    conda:
        "../environment.yaml"
    threads: 1
    resources:
        mem_mb=32000,
        gpu=gpus_of_training,
        runtime=1440,
        attempt=number_of_attempt,
    params:
        program=program("finetune.py"),
        code=fingerprint("finetune.py"),
        model=model_settings,
        settings=training_settings,
        pace=checkpoint_pace,
        warm_start=option_of_warm_start,
        state=state("checkpoints"),
    message:
        "Fine-tune {wildcards.model} on {wildcards.task} by {wildcards.generator}, volume {wildcards.volume}"
    shell:
        # A signal to the whole job must reach the program alone, and leave it time for a checkpoint.
        "trap : TERM USR1; [ {resources.attempt} -gt 1 ] || : > {log}; "
        "{params.program} --dataset {input.dataset} --model {params.model:q} "
        "--settings {params.settings:q} {params.pace} {params.warm_start} --state {params.state} "
        "--adapter {output.adapter} --training {output.training} "
        "--time-limit {resources.runtime} --attempt {resources.attempt} "
        "2>&1 | (trap '' TERM USR1; exec tee -a {log})"
