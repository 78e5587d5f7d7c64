rule respond:
    input:
        prompts=results("coverage/{task}/test.parquet"),
        adapter=results("runs/{task}/{generator}/{model}/volume-{volume}/adapter"),
    output:
        responses=results("runs/{task}/{generator}/{model}/volume-{volume}/responses.parquet"),
    log:
        log_file("respond/{task}/{generator}/{model}/volume-{volume}"),
    benchmark:
        benchmark_file("respond/{task}/{generator}/{model}/volume-{volume}")
    conda:
        environment_of_engine
    threads: 1
    resources:
        mem_mb=memory(memory_of_model),
        gpu=1,
        runtime=time_of_responses,
    params:
        program=program("respond.py"),
        code=code_of_responses,
        model=responding_model,
        weights=identity_of_model,
        sampling=sampling_of_model,
        settings=inference_settings,
        batches=batch_size,
        state=place_in_state("responses"),
    message:
        "Respond with {wildcards.model}: {wildcards.task} by {wildcards.generator}, volume {wildcards.volume}"
    shell:
        "{params.program} --prompts {input.prompts} --model {params.model:q} "
        "--model-name {wildcards.model} --adapter {input.adapter} --settings {params.settings:q} {params.batches} "
        "--state {params.state} --output {output.responses} 2>&1 | tee {log}"


rule respond_untuned:
    input:
        prompts=results("coverage/{task}/test.parquet"),
    output:
        responses=results("baselines/{task}/{model}/responses.parquet"),
    log:
        log_file("respond/{task}/{model}"),
    benchmark:
        benchmark_file("respond/{task}/{model}")
    conda:
        environment_of_engine
    threads: 1
    resources:
        mem_mb=memory(memory_of_model),
        gpu=1,
        runtime=time_of_responses,
    params:
        program=program("respond.py"),
        code=code_of_responses,
        model=responding_model,
        weights=identity_of_model,
        sampling=sampling_of_model,
        settings=inference_settings,
        batches=batch_size,
        state=place_in_state("responses"),
    message:
        "Respond with {wildcards.model} as it is: {wildcards.task}"
    shell:
        "{params.program} --prompts {input.prompts} --model {params.model:q} "
        "--model-name {wildcards.model} --settings {params.settings:q} {params.batches} "
        "--state {params.state} --output {output.responses} 2>&1 | tee {log}"


rule respond_service:
    input:
        prompts=results("coverage/{task}/test.parquet"),
        batches=awaited_responses,
    output:
        responses=results("baselines/{task}/{service}/responses.parquet"),
        costs=results("costs/baselines/{task}/{service}.parquet"),
    log:
        log_file("respond/{task}/{service}"),
    benchmark:
        benchmark_file("respond/{task}/{service}")
    localrule: SERVICES_ON_LOGIN_NODE
    conda:
        "../environment.yaml"
    threads: 1
    resources:
        **service_slots("service"),
        mem_mb=memory(TABLES),
        runtime=time_of_own_responses,
    params:
        program=program("respond_service.py"),
        code=fingerprint("respond_service.py"),
        asked=asked_of_baseline,
        samples=CONFIG.inference.samples,
        service=service_of_baseline,
        journal=place_in_state("journal/baselines/{task}/{service}.jsonl"),
        budget=budget_of_workflow,
        about=task_of_costs,
        batches=batches_of("baselines/{task}/{service}"),
    message:
        "Ask {wildcards.service} for its own responses: {wildcards.task}"
    shell:
        # A signal to the whole job, or Ctrl-C, must reach the program alone: it awaits the calls in flight.
        "trap : TERM INT; {params.program} --prompts {input.prompts} --service-name {wildcards.service} "
        "--service {params.service:q} --samples {params.samples} --journal {params.journal} "
        "--output {output.responses} {params.budget} --costs {output.costs} --about {params.about:q} "
        "{params.batches} 2>&1 | (trap '' TERM INT; exec tee {log})"
