command_of_report = PARAMS.plain(
    "report.py", "--results", CONFIG.results, "--state", CONFIG.state, "--config", HOOKS.settings
)


# Always runs when asked for, which is why it declares no file (a benchmark would be one), and renders whatever exists: one
# failed run must not take the report with it.
rule report:
    log:
        RESULTS.log("report/report"),
    conda:
        CONDA
    threads: 1
    resources:
        mem_mb=memory(TABLES),
        runtime=REQUESTS.short,
    params:
        command=command_of_report,
        report=RESULTS.report(),
    message:
        "Render what exists: {params.report}"
    shell:
        "{params.command} --output {params.report} 2>&1 | tee {log}"


# Always runs when asked for as well. It asks nothing of the main process that may be running, nor is in its way.
rule status:
    log:
        RESULTS.log("status"),
    localrule: True
    conda:
        CONDA
    threads: 1
    resources:
        mem_mb=memory(TABLES),
        runtime=REQUESTS.short,
    params:
        command=PARAMS.plain("status.py", "--config", RESULTS.note("status.json")),
    message:
        "Show the grid of runs as it stands"
    shell:
        "{params.command} 2>&1 | tee {log}"


rule write_report:
    input:
        verdicts=LOOP.verdicts(),
        baselines=LOOP.baselines(),
    output:
        report=RESULTS.report(),
    log:
        RESULTS.log("report/index"),
    benchmark:
        RESULTS.benchmark("report/index")
    conda:
        CONDA
    threads: 1
    resources:
        mem_mb=memory(TABLES),
        runtime=REQUESTS.short,
    params:
        command=command_of_report,
        code=fingerprint("report.py"),
        page=digest_folder(Path(SCRIPTS) / "llamaduo" / "report", "page.*"),
        settings=lambda wildcards: report_settings(CONFIG),
    message:
        "Write the report: {output.report}"
    shell:
        "{params.command} --output {output.report} 2>&1 | tee {log}"


use rule write_report as write_sweep_report with:
    input:
        verdicts=LOOP.verdicts(),
        baselines=LOOP.baselines(),
        decisions=LOOP.decisions_of_sweep(),
    output:
        report=RESULTS.report("sweep"),
    log:
        RESULTS.log("report/sweep"),
    benchmark:
        RESULTS.benchmark("report/sweep")
