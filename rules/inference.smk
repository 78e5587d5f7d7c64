rule respond:
    input:
        prompts=results("coverage/{task}/test.parquet"),
        base=files_of_model,
        adapter=results("runs/{task}/{generator}/{model}/volume-{volume}/adapter"),
    output:
        responses=results("runs/{task}/{generator}/{model}/volume-{volume}/responses.parquet"),
    log:
        log_file("respond/{task}/{generator}/{model}/volume-{volume}"),
    benchmark:
        benchmark_file("respond/{task}/{generator}/{model}/volume-{volume}")
    conda:
        "../environment.yaml"
    threads: 1
    resources:
        mem_mb=memory(memory_of_model),
        gpu=1,
        runtime=time_of_responses,
    params:
        program=program("respond.py"),
        code=fingerprint("respond.py"),
        model=responding_model,
        settings=inference_settings,
        batches=batch_size,
        state=state("responses"),
    message:
        "Respond with {wildcards.model}: {wildcards.task} by {wildcards.generator}, volume {wildcards.volume}"
    shell:
        "{params.program} --prompts {input.prompts} --model {params.model:q} "
        "--model-name {wildcards.model} --adapter {input.adapter} --settings {params.settings:q} {params.batches} "
        "--state {params.state} --output {output.responses} 2>&1 | tee {log}"


rule respond_untuned:
    input:
        prompts=results("coverage/{task}/test.parquet"),
        base=files_of_model,
    output:
        responses=results("baselines/{task}/{model}/responses.parquet"),
    log:
        log_file("respond/{task}/{model}"),
    benchmark:
        benchmark_file("respond/{task}/{model}")
    conda:
        "../environment.yaml"
    threads: 1
    resources:
        mem_mb=memory(memory_of_model),
        gpu=1,
        runtime=time_of_responses,
    params:
        program=program("respond.py"),
        code=fingerprint("respond.py"),
        model=responding_model,
        settings=inference_settings,
        batches=batch_size,
        state=state("responses"),
    message:
        "Respond with {wildcards.model} as it is: {wildcards.task}"
    shell:
        "{params.program} --prompts {input.prompts} --model {params.model:q} "
        "--model-name {wildcards.model} --settings {params.settings:q} {params.batches} "
        "--state {params.state} --output {output.responses} 2>&1 | tee {log}"


rule respond_service:
    input:
        prompts=results("coverage/{task}/test.parquet"),
    output:
        responses=results("baselines/{task}/{service}/responses.parquet"),
    log:
        log_file("respond/{task}/{service}"),
    benchmark:
        benchmark_file("respond/{task}/{service}")
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
        journal=state("journal/baselines/{task}/{service}.jsonl"),
    message:
        "Ask {wildcards.service} for its own responses: {wildcards.task}"
    shell:
        "{params.program} --prompts {input.prompts} --service-name {wildcards.service} "
        "--service {params.service:q} --samples {params.samples} --journal {params.journal} "
        "--output {output.responses} 2>&1 | tee {log}"
