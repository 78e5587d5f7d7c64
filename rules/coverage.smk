rule read_coverage:
    output:
        train=results("coverage/{task}/train.parquet"),
        test=results("coverage/{task}/test.parquet"),
    log:
        log_file("coverage/{task}"),
    benchmark:
        benchmark_file("coverage/{task}")
    conda:
        "../environment.yaml"
    threads: 1
    resources:
        mem_mb=memory(TEXTS),
        runtime=more_each_time(SHORT),
    params:
        program=program("coverage.py"),
        code=fingerprint("coverage.py"),
        source=identity_of_coverage,
        settings=settings(CONFIG.coverage, exclude=CHECKS_OF_COVERAGE | PLACE_OF_COVERAGE),
        checks=checks_of_coverage,
        categories=categories_of_task,
    message:
        "Read the coverage dataset of the task {wildcards.task}"
    shell:
        "{params.program} --settings {params.settings:q} {params.checks} --categories {params.categories:q} "
        "--train {output.train} --test {output.test} 2>&1 | tee {log}"
