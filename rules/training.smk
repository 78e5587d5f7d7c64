rule finetune:
    input:
        dataset=results("datasets/{task}/{generator}/volume-{volume}.parquet"),
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
    threads: cores_of_training
    resources:
        mem_mb=memory(memory_of_training),
        gpu=gpus_of_training,
        runtime=time_of_training,
        attempt=number_of_attempt,
    params:
        program=program("finetune.py"),
        code=fingerprint("finetune.py"),
        model=model_settings,
        weights=identity_of_model,
        settings=training_settings,
        pace=checkpoint_pace,
        warm_start=option_of_warm_start,
        state=place_in_state("checkpoints"),
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
