# Always runs when asked for, which is why it declares no file (a benchmark would be one), and renders whatever exists: one
# failed run must not take the report with it.
rule report:
    log:
        log_file("report/report"),
    conda:
        "../environment.yaml"
    threads: 1
    resources:
        mem_mb=memory(TABLES),
        runtime=SHORT,
    params:
        program=program("report.py"),
        results=CONFIG.results,
        state=CONFIG.state,
        config=results("settings/config.json"),
        report=results("report/index.html"),
    message:
        "Render what exists: {params.report}"
    shell:
        "{params.program} --results {params.results} --state {params.state} --config {params.config} "
        "--output {params.report} 2>&1 | tee {log}"


# Always runs when asked for as well. It asks nothing of the main process that may be running, nor is in its way.
rule status:
    log:
        log_file("status"),
    localrule: True
    conda:
        "../environment.yaml"
    threads: 1
    resources:
        mem_mb=memory(TABLES),
        runtime=SHORT,
    params:
        program=program("status.py"),
        config=results("settings/status.json"),
    message:
        "Show the grid of runs as it stands"
    shell:
        "{params.program} --config {params.config} 2>&1 | tee {log}"


rule write_report:
    input:
        verdicts=verdicts(),
        baselines=baselines(),
    output:
        report=results("report/index.html"),
    log:
        log_file("report/index"),
    benchmark:
        benchmark_file("report/index")
    conda:
        "../environment.yaml"
    threads: 1
    resources:
        mem_mb=memory(TABLES),
        runtime=SHORT,
    params:
        program=program("report.py"),
        code=fingerprint("report.py"),
        page=digest_folder(Path(SCRIPTS) / "llamaduo" / "report", "page.*"),
        config=settings_of_report(),
        results=folder_of_report,
        state=place_in_state(""),
        file=settings_file,
    message:
        "Write the report: {output.report}"
    shell:
        "{params.program} --results {params.results} --state {params.state} --config {params.file} "
        "--output {output.report} 2>&1 | tee {log}"


use rule write_report as write_sweep_report with:
    input:
        verdicts=verdicts(),
        baselines=baselines(),
        decisions=decisions_of_sweep(),
    output:
        report=results("report/sweep.html"),
    log:
        log_file("report/sweep"),
    benchmark:
        benchmark_file("report/sweep")
