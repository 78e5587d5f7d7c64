# Both always run when asked for, which is why they declare no file (a benchmark would be one), and feed no other rule. The
# pilot's calls are few, and whoever makes them waits for what they come to.
rule estimate:
    log:
        log_file("estimate"),
    localrule: True
    conda:
        "../environment.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        program=program("estimate.py"),
        config=results("settings/config.json"),
        results=CONFIG.results,
        state=CONFIG.state,
        report=results("estimate.json"),
    message:
        "Estimate calls, dollars, GPU hours and disk: {params.report}"
    shell:
        "{params.program} --config {params.config} --results {params.results} --state {params.state} "
        "--output {params.report} 2>&1 | tee {log}"


rule pilot:
    input:
        expand(results("coverage/{task}/{split}.parquet"), task=CONFIG.tasks, split=["train", "test"]),
    log:
        log_file("pilot"),
    localrule: True
    conda:
        "../environment.yaml"
    threads: 1
    resources:
        **slots_of_all_services(),
        mem_mb=2000,
        runtime=240,
    params:
        program=program("pilot.py"),
        config=results("settings/config.json"),
        results=folder_of_splits,
        state=CONFIG.state,
        budget=budget_of_workflow,
    message:
        "Ask every generator for 50 pairs and every judge for 20 grades"
    shell:
        # A signal to the whole job, or Ctrl-C, must reach the program alone: it awaits the calls in flight.
        "trap : TERM INT; {params.program} --config {params.config} --results {params.results} --state {params.state} "
        "{params.budget} 2>&1 | (trap '' TERM INT; exec tee {log})"
