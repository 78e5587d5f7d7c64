rule judge:
    input:
        responses=results("{subject}/responses.parquet"),
        batches=awaited_grades,
    output:
        grades=results("{subject}/grades/{judge}.parquet"),
        costs=results("costs/judging/{subject}/{judge}.parquet"),
    log:
        log_file("judge/{subject}/{judge}"),
    benchmark:
        benchmark_file("judge/{subject}/{judge}")
    localrule: SERVICES_ON_LOGIN_NODE
    conda:
        "../environment.yaml"
    threads: 1
    resources:
        **service_slots("judge"),
        mem_mb=memory(TABLES),
        runtime=time_of_judging,
    params:
        program=program("judge.py"),
        code=fingerprint("judge.py"),
        asked=asked_of_judge,
        settings=settings(CONFIG.judging, exclude=CHECKS_OF_JUDGING),
        checks=checks_of_judging,
        prompts=settings(JUDGE_PROMPTS),
        service=service_of_judge,
        journal=place_in_state("journal/judging/{subject}/{judge}.jsonl"),
        budget=budget_of_workflow,
        about=subject_of_costs,
        batches=batches_of("judging/{subject}/{judge}"),
    message:
        "Grade by {wildcards.judge}: {wildcards.subject}"
    shell:
        # A signal to the whole job, or Ctrl-C, must reach the program alone: it awaits the calls in flight.
        "trap : TERM INT; {params.program} --responses {input.responses} --judge {wildcards.judge} "
        "--service {params.service:q} --settings {params.settings:q} {params.checks} --prompts {params.prompts:q} "
        "--journal {params.journal} --output {output.grades} "
        "{params.budget} --costs {output.costs} --about {params.about:q} {params.batches} "
        "2>&1 | (trap '' TERM INT; exec tee {log})"


rule compute_metrics:
    input:
        grades=grades_of_subject,
    output:
        metrics=results("{subject}/metrics.parquet"),
    log:
        log_file("metrics/{subject}"),
    benchmark:
        benchmark_file("metrics/{subject}")
    conda:
        "../environment.yaml"
    threads: 1
    resources:
        mem_mb=memory(TABLES),
        runtime=SHORT,
    params:
        program=program("metrics.py"),
        code=fingerprint("metrics.py"),
        settings=settings(CONFIG.metrics),
        metrics=canonical(CONFIG.judging.metrics),
    message:
        "Compute V and C with their intervals: {wildcards.subject}"
    shell:
        "{params.program} --grades {input.grades} --settings {params.settings:q} "
        "--metrics {params.metrics:q} --output {output.metrics} 2>&1 | tee {log}"
