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
    conda:
        "../environment.yaml"
    threads: 1
    resources:
        mem_mb=memory(memory_of_model),
        gpu=1,
        runtime=time_of_training,
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
        "{params.program} --dataset {input.dataset} --model {params.model:q} "
        "--settings {params.settings:q} {params.pace} {params.warm_start} --state {params.state} "
        "--adapter {output.adapter} --training {output.training} 2>&1 | tee {log}"
