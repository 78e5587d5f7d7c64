# One per cycle of a run. Only input functions read it: as an input of the next training it would start that again after
# every new judging, although the verdict is the same.
checkpoint decide:
    input:
        unpack(evidence_of_decision),
        service=metrics_of_reference,
    output:
        decision=results("runs/{task}/{generator}/{model}/volume-{volume}/decision.json"),
    log:
        log_file("decide/{task}/{generator}/{model}/volume-{volume}"),
    benchmark:
        benchmark_file("decide/{task}/{generator}/{model}/volume-{volume}")
    conda:
        "../environment.yaml"
    threads: 1
    resources:
        mem_mb=memory(SMALL),
        runtime=SHORT,
    params:
        program=program("decide.py"),
        code=fingerprint("decide.py"),
        settings=settings(CONFIG.decision),
        evidence=options_of_evidence,
        cycle=cycle_number,
        last=is_last_cycle,
    message:
        "Decide: {wildcards.task} by {wildcards.generator} with {wildcards.model}, volume {wildcards.volume}"
    shell:
        "{params.program} {params.evidence} --settings {params.settings:q} --task {wildcards.task} "
        "--generator {wildcards.generator} --model {wildcards.model} --volume {wildcards.volume} "
        "--cycle {params.cycle} --last {params.last} --output {output.decision} 2>&1 | tee {log}"


rule assess:
    input:
        metrics=results("baselines/{task}/{model}/metrics.parquet"),
        service=metrics_of_reference,
    output:
        decision=results("baselines/{task}/{model}/decision.json"),
    log:
        log_file("decide/{task}/{model}"),
    benchmark:
        benchmark_file("decide/{task}/{model}")
    conda:
        "../environment.yaml"
    threads: 1
    resources:
        mem_mb=memory(SMALL),
        runtime=SHORT,
    params:
        program=program("decide.py"),
        code=fingerprint("decide.py"),
        settings=settings(CONFIG.decision),
        evidence=options_of_evidence,
        generator=TUNED_ELSEWHERE,
    message:
        "Decide on {wildcards.model}, tuned elsewhere: {wildcards.task}"
    shell:
        "{params.program} {params.evidence} --settings {params.settings:q} --task {wildcards.task} "
        "--generator {params.generator} --model {wildcards.model} --last true "
        "--output {output.decision} 2>&1 | tee {log}"


# Closes one run. Its input functions follow that run only, so that runs proceed side by side.
rule close_run:
    input:
        decisions=decisions_of_run,
        deployment=deployment_of_run,
    output:
        verdict=results("runs/{task}/{generator}/{model}/verdict.json"),
    log:
        log_file("close/{task}/{generator}/{model}"),
    benchmark:
        benchmark_file("close/{task}/{generator}/{model}")
    conda:
        "../environment.yaml"
    threads: 1
    resources:
        mem_mb=memory(SMALL),
        runtime=SHORT,
    params:
        program=program("close_run.py"),
        code=fingerprint("close_run.py"),
        generator="{generator}",
    message:
        "Close the run: {wildcards.task} by {wildcards.generator} with {wildcards.model}"
    shell:
        "{params.program} --decisions {input.decisions} --generator {params.generator} "
        "--output {output.verdict} 2>&1 | tee {log}"
