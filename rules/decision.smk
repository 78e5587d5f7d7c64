# One per cycle of a run. Only input functions read it: as an input of the next training it would start that again after
# every new judging, although the verdict is the same.
checkpoint decide:
    input:
        unpack(named(LOOP.evidence, read=read_if_there)),
        service=named(LOOP.metrics_of_reference),
    output:
        decision=CYCLE / "decision.json",
    log:
        RESULTS.log("decide/{task}/{generator}/{model}/volume-{volume}"),
    benchmark:
        RESULTS.benchmark("decide/{task}/{generator}/{model}/volume-{volume}")
    conda:
        CONDA
    threads: 1
    resources:
        mem_mb=memory(SMALL),
        runtime=REQUESTS.short,
    params:
        **step("decide"),
        evidence=options_of_evidence,
        cycle=options_of_cycle,
    message:
        "Decide: {wildcards.task} by {wildcards.generator} with {wildcards.model}, volume {wildcards.volume}"
    shell:
        "{params.command} {params.evidence} --task {wildcards.task} --generator {wildcards.generator} "
        "--model {wildcards.model} --volume {wildcards.volume} {params.cycle} --output {output.decision} 2>&1 | tee {log}"


rule assess:
    input:
        metrics=RESULTS.baseline("{task}", "{model}") / "metrics.parquet",
        service=named(LOOP.metrics_of_reference),
    output:
        decision=RESULTS.baseline("{task}", "{model}") / "decision.json",
    log:
        RESULTS.log("decide/{task}/{model}"),
    benchmark:
        RESULTS.benchmark("decide/{task}/{model}")
    conda:
        CONDA
    threads: 1
    resources:
        mem_mb=memory(SMALL),
        runtime=REQUESTS.short,
    params:
        **step("decide"),
        evidence=options_of_evidence,
        generator=TUNED_ELSEWHERE,
    message:
        "Decide on {wildcards.model}, tuned elsewhere: {wildcards.task}"
    shell:
        "{params.command} {params.evidence} --task {wildcards.task} --generator {params.generator} "
        "--model {wildcards.model} --last true --output {output.decision} 2>&1 | tee {log}"


# Closes one run. Its input functions follow that run only, so that runs proceed side by side.
rule close_run:
    input:
        decisions=named(LOOP.decisions_of_run, read=read_decision),
        deployment=named(LOOP.deployment_of_run, read=read_decision),
    output:
        verdict=RESULTS.verdict("{task}", "{generator}", "{model}"),
    log:
        RESULTS.log("close/{task}/{generator}/{model}"),
    benchmark:
        RESULTS.benchmark("close/{task}/{generator}/{model}")
    conda:
        CONDA
    threads: 1
    resources:
        mem_mb=memory(SMALL),
        runtime=REQUESTS.short,
    params:
        command=PARAMS.plain("close_run.py"),
        code=fingerprint("close_run.py"),
    message:
        "Close the run: {wildcards.task} by {wildcards.generator} with {wildcards.model}"
    shell:
        "{params.command} --decisions {input.decisions} --generator {wildcards.generator} "
        "--output {output.verdict} 2>&1 | tee {log}"
