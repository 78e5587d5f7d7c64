rule judge:
    input:
        responses=RESULTS.subject("{subject}") / "responses.parquet",
        batches=named(AWAITED.grades),
    output:
        grades=RESULTS.grades("{subject}", "{judge}"),
        costs=RESULTS.cost_table(judging_step("{subject}", "{judge}")),
    log:
        RESULTS.log("judge/{subject}/{judge}"),
    benchmark:
        RESULTS.benchmark("judge/{subject}/{judge}")
    localrule: SERVICES_ON_LOGIN_NODE
    conda:
        CONDA
    threads: 1
    resources:
        **RESOURCES.service_slots("judge"),
        mem_mb=memory(TABLES),
        runtime=named(REQUESTS.minutes_of_judging),
    params:
        **step("judge"),
        asking=asking(judging_step),
    message:
        "Grade by {wildcards.judge}: {wildcards.subject}"
    shell:
        "trap : TERM INT; {params.command} --responses {input.responses} --judge {wildcards.judge} "
        "{params.asking} 2>&1 | (trap '' TERM INT; exec tee {log})"


rule compute_metrics:
    input:
        grades=named(LOOP.grades_of_subject),
    output:
        metrics=RESULTS.subject("{subject}") / "metrics.parquet",
    log:
        RESULTS.log("metrics/{subject}"),
    benchmark:
        RESULTS.benchmark("metrics/{subject}")
    conda:
        CONDA
    threads: 1
    resources:
        mem_mb=memory(TABLES),
        runtime=REQUESTS.short,
    params:
        **step("compute_metrics"),
    message:
        "Compute V and C with their intervals: {wildcards.subject}"
    shell:
        "{params.command} --grades {input.grades} --output {output.metrics} 2>&1 | tee {log}"
