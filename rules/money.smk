# Both always run when asked for, which is why they declare no file (a benchmark would be one), and feed no other rule. The
# pilot's calls are few, and whoever makes them waits for what they come to.
FOLDERS = "--config", HOOKS.settings, "--results", CONFIG.results, "--state", CONFIG.state


rule estimate:
    log:
        RESULTS.log("estimate"),
    localrule: True
    conda:
        CONDA
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        command=PARAMS.plain("estimate.py", *FOLDERS),
        report=RESULTS.estimate,
    message:
        "Estimate calls, dollars, GPU hours and disk: {params.report}"
    shell:
        "{params.command} --output {params.report} 2>&1 | tee {log}"


rule pilot:
    input:
        [RESULTS.split(task, split) for task in CONFIG.tasks for split in ("train", "test")],
    log:
        RESULTS.log("pilot"),
    localrule: True
    conda:
        CONDA
    threads: 1
    resources:
        **RESOURCES.slots_of_services(),
        mem_mb=2000,
        runtime=240,
    params:
        command=PARAMS.plain("pilot.py", *FOLDERS),
    message:
        "Ask every generator for 50 pairs and every judge for 20 grades"
    shell:
        "trap : TERM INT; {params.command} 2>&1 | (trap '' TERM INT; exec tee {log})"
