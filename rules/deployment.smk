rule deploy_model:
    input:
        unpack(artifacts_of_converged_cycle),
        decisions=named(LOOP.decisions_of_run, read=read_decision),
        train=RESULTS.split("{task}", "train"),
        test=RESULTS.split("{task}", "test"),
    output:
        folder=directory(RESULTS.deployment("{task}", "{generator}", "{model}") / "model"),
        verification=RESULTS.deployment("{task}", "{generator}", "{model}") / "verification.json",
    log:
        RESULTS.log("deploy/{task}/{generator}/{model}"),
    benchmark:
        RESULTS.benchmark("deploy/{task}/{generator}/{model}")
    conda:
        CONDA
    threads: 1
    resources:
        mem_mb=memory(REQUESTS.mb_of_merge),
        runtime=RESOURCES.more_each_time(REQUESTS.minutes_of_merge),
    params:
        **(step("deploy_model") | {"command": command_of_deployment}),
        weights=identity_of_model,
    message:
        "Deploy {wildcards.model}: {wildcards.task} by {wildcards.generator}"
    shell:
        "{params.command} --adapter {input.adapter} --decisions {input.decisions} --metrics {input.metrics} "
        "--train {input.train} --test {input.test} --output {output.folder} --verification {output.verification} 2>&1 | tee {log}"
