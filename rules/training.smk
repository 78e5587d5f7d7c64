CYCLE = RESULTS.cycle("{task}", "{generator}", "{model}", "{volume}")


rule finetune:
    input:
        dataset=RESULTS.dataset("{task}", "{generator}", "{volume}"),
        warm_start=named(LOOP.previous_adapter),
    output:
        adapter=directory(CYCLE / "adapter"),
        training=CYCLE / "training.parquet",
    log:
        RESULTS.log("finetune/{task}/{generator}/{model}/volume-{volume}"),
    benchmark:
        RESULTS.benchmark("finetune/{task}/{generator}/{model}/volume-{volume}")
    retries: TRAINING_RETRIES
    conda:
        CONDA
    threads: named(REQUESTS.cores_of_training)
    resources:
        mem_mb=memory(REQUESTS.mb_of_training),
        gpu=named(REQUESTS.gpus_of_training),
        runtime=named(REQUESTS.minutes_of_training),
        attempt=lambda wildcards, attempt: attempt,
    params:
        **step("finetune"),
        weights=identity_of_model,
        warm_start=option("warm_start"),
        tee=lambda wildcards, resources: "-a" if resources.attempt > 1 else "",
    message:
        "Fine-tune {wildcards.model} on {wildcards.task} by {wildcards.generator}, volume {wildcards.volume}"
    shell:
        # It has as many processes as GPUs, of which a profile may give another number than the config.
        # A signal to the whole job must reach the program alone, and leave it time for a checkpoint.
        "trap : TERM USR1; {params.command} --dataset {input.dataset} {params.warm_start} "
        "--settings.hardware.processes {resources.gpu} --adapter {output.adapter} --training {output.training} "
        "--time-limit {resources.runtime} --attempt {resources.attempt} "
        "2>&1 | (trap '' TERM USR1; exec tee {params.tee} {log})"
