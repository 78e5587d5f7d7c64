# Steps of services in `mode: batch`: one job submits, one waits and holds neither a core nor a compute node, and the step
# itself finds the answers. In `mode: online` none of these jobs is planned.


rule submit_grades:
    input:
        responses=results("{subject}/responses.parquet"),
    output:
        submitted=results("batches/judging/{subject}/{judge}.submitted.json"),
    log:
        log_file("batches/judging/{subject}/{judge}.submitted"),
    benchmark:
        benchmark_file("batches/judging/{subject}/{judge}.submitted")
    localrule: SERVICES_ON_LOGIN_NODE
    conda:
        "../environment.yaml"
    threads: 1
    resources:
        **service_slots("judge"),
        mem_mb=memory(TEXTS),
        runtime=TIME_OF_SUBMITTING,
    params:
        program=program("judge.py"),
        code=fingerprint("judge.py"),
        asked=asked_of_judge,
        settings=settings(CONFIG.judging, exclude=CHECKS_OF_JUDGING),
        prompts=settings(JUDGE_PROMPTS),
        service=service_of_judge,
        journal=place_in_state("journal/judging/{subject}/{judge}.jsonl"),
        budget=budget_of_workflow,
        batches=batches_of("judging/{subject}/{judge}"),
    message:
        "Submit batches of grades by {wildcards.judge}: {wildcards.subject}"
    shell:
        # A signal to the whole job, or Ctrl-C, must reach the program alone: it awaits the calls in flight.
        "trap : TERM INT; {params.program} --responses {input.responses} --judge {wildcards.judge} "
        "--service {params.service:q} --settings {params.settings:q} --prompts {params.prompts:q} "
        "--journal {params.journal} --output {output.submitted} {params.budget} {params.batches} "
        "--submitted {output.submitted} 2>&1 | (trap '' TERM INT; exec tee {log})"


rule submit_responses:
    input:
        prompts=results("coverage/{task}/test.parquet"),
    output:
        submitted=results("batches/baselines/{task}/{service}.submitted.json"),
    log:
        log_file("batches/baselines/{task}/{service}.submitted"),
    benchmark:
        benchmark_file("batches/baselines/{task}/{service}.submitted")
    localrule: SERVICES_ON_LOGIN_NODE
    conda:
        "../environment.yaml"
    threads: 1
    resources:
        **service_slots("service"),
        mem_mb=memory(TEXTS),
        runtime=TIME_OF_SUBMITTING,
    params:
        program=program("respond_service.py"),
        code=fingerprint("respond_service.py"),
        asked=asked_of_baseline,
        samples=CONFIG.inference.samples,
        service=service_of_baseline,
        journal=place_in_state("journal/baselines/{task}/{service}.jsonl"),
        budget=budget_of_workflow,
        batches=batches_of("baselines/{task}/{service}"),
    message:
        "Submit batches of responses of {wildcards.service}: {wildcards.task}"
    shell:
        # A signal to the whole job, or Ctrl-C, must reach the program alone: it awaits the calls in flight.
        "trap : TERM INT; {params.program} --prompts {input.prompts} --service-name {wildcards.service} "
        "--service {params.service:q} --samples {params.samples} --journal {params.journal} "
        "--output {output.submitted} {params.budget} {params.batches} "
        "--submitted {output.submitted} 2>&1 | (trap '' TERM INT; exec tee {log})"


rule submit_synthesis:
    input:
        train=results("coverage/{task}/train.parquet"),
    output:
        submitted=results("batches/synthesis/{task}/chunk-{chunk}/{generator}.submitted.json"),
    log:
        log_file("batches/synthesis/{task}/chunk-{chunk}/{generator}.submitted"),
    benchmark:
        benchmark_file("batches/synthesis/{task}/chunk-{chunk}/{generator}.submitted")
    localrule: SERVICES_ON_LOGIN_NODE
    conda:
        "../environment.yaml"
    threads: 1
    resources:
        **service_slots("generator"),
        mem_mb=memory(TEXTS),
        runtime=TIME_OF_SUBMITTING,
    params:
        program=program("synthesize.py"),
        code=fingerprint("synthesize.py"),
        asked=asked_of_generator,
        settings=settings(CONFIG.synthesis, exclude={"minimum_yield"}),
        prompts=settings(PROMPTS.generator),
        topic=topic_of_task,
        seed=CONFIG.seed,
        service=service_of_generator,
        journal=place_in_state("journal/synthesis/{task}/{generator}/chunk-{chunk}.jsonl"),
        budget=budget_of_workflow,
        batches=batches_of("synthesis/{task}/chunk-{chunk}/{generator}"),
    message:
        "Submit batches of synthetic pairs: {wildcards.task} by {wildcards.generator}, chunk {wildcards.chunk}"
    shell:
        # A signal to the whole job, or Ctrl-C, must reach the program alone: it awaits the calls in flight.
        "trap : TERM INT; {params.program} --train {input.train} --task {wildcards.task} "
        "--generator {wildcards.generator} --service {params.service:q} --settings {params.settings:q} "
        "--prompts {params.prompts:q} --topic {params.topic:q} --chunk {wildcards.chunk} --seed {params.seed} "
        "--journal {params.journal} --output {output.submitted} {params.budget} {params.batches} "
        "--submitted {output.submitted} 2>&1 | (trap '' TERM INT; exec tee {log})"


# May be ended at any time: whoever comes next finds the batches again.
rule await_batches:
    input:
        submitted=results("batches/{step}/{service}.submitted.json"),
    output:
        answered=results("batches/{step}/{service}.answered.json"),
    log:
        log_file("batches/{step}/{service}.answered"),
    benchmark:
        benchmark_file("batches/{step}/{service}.answered")
    localrule: True
    conda:
        "../environment.yaml"
    threads: 0
    resources:
        **waiting_slots(),
        mem_mb=500,
        runtime=2880,
    params:
        program=program("await_batches.py"),
        code=fingerprint("await_batches.py"),
        service=service_of_baseline,
        budget=budget_of_workflow,
        batches=batches_of("{step}/{service}"),
    message:
        "Wait for the batches of {wildcards.service}: {wildcards.step}"
    shell:
        "{params.program} --service-name {wildcards.service} --service {params.service:q} "
        "{params.budget} {params.batches} --submitted {input.submitted} --answered {output.answered} 2>&1 | tee {log}"
