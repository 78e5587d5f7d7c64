rule deploy_model:
    input:
        unpack(artifacts_of_converged_cycle),
        decisions=decisions_of_run,
        train=results("coverage/{task}/train.parquet"),
        test=results("coverage/{task}/test.parquet"),
    output:
        folder=directory(results("deploy/{task}/{generator}/{model}/model")),
        verification=results("deploy/{task}/{generator}/{model}/verification.json"),
    log:
        log_file("deploy/{task}/{generator}/{model}"),
    benchmark:
        benchmark_file("deploy/{task}/{generator}/{model}")
    conda:
        "../environment.yaml"
    threads: 1
    resources:
        mem_mb=memory(memory_of_merge),
        runtime=more_each_time(time_of_merge),
    params:
        program=program("deploy.py"),
        code=fingerprint("deploy.py"),
        model=model_settings,
        weights=identity_of_model,
        names=names_of_run,
        card=facts_of_card,
    message:
        "Deploy {wildcards.model}: {wildcards.task} by {wildcards.generator}"
    shell:
        "{params.program} --adapter {input.adapter} --model {params.model:q} --names {params.names:q} "
        "--decisions {input.decisions} --metrics {input.metrics} --train {input.train} --test {input.test} "
        "--card {params.card:q} --output {output.folder} --verification {output.verification} 2>&1 | tee {log}"
