rule read_coverage:
    output:
        train=RESULTS.split("{task}", "train"),
        test=RESULTS.split("{task}", "test"),
    log:
        RESULTS.log("coverage/{task}"),
    benchmark:
        RESULTS.benchmark("coverage/{task}")
    conda:
        CONDA
    threads: 1
    resources:
        mem_mb=memory(TEXTS),
        runtime=RESOURCES.more_each_time(REQUESTS.short),
    params:
        **step("read_coverage"),
        source=identity_of_coverage,
    message:
        "Read the coverage dataset of the task {wildcards.task}"
    shell:
        "{params.command} --train {output.train} --test {output.test} 2>&1 | tee {log}"
