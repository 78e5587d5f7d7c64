rule respond:
    input:
        prompts=RESULTS.split("{task}", "test"),
        adapter=CYCLE / "adapter",
    output:
        responses=CYCLE / "responses.parquet",
    log:
        RESULTS.log("respond/{task}/{generator}/{model}/volume-{volume}"),
    benchmark:
        RESULTS.benchmark("respond/{task}/{generator}/{model}/volume-{volume}")
    conda:
        environment_of_engine
    threads: 1
    resources:
        mem_mb=memory(REQUESTS.mb_of_model),
        gpu=1,
        runtime=named(REQUESTS.minutes_of_responses),
    params:
        **(step("respond") | {"code": named(PARAMS.code_of_responses)}),
        weights=identity_of_model,
        adapter=option("adapter"),
    message:
        "Respond with {wildcards.model}: {wildcards.task} by {wildcards.generator}, volume {wildcards.volume}"
    shell:
        "{params.command} --prompts {input.prompts} --model-name {wildcards.model} {params.adapter} "
        "--output {output.responses} 2>&1 | tee {log}"


use rule respond as respond_untuned with:
    input:
        prompts=RESULTS.split("{task}", "test"),
    output:
        responses=RESULTS.baseline("{task}", "{model}") / "responses.parquet",
    log:
        RESULTS.log("respond/{task}/{model}"),
    benchmark:
        RESULTS.benchmark("respond/{task}/{model}")
    message:
        "Respond with {wildcards.model} as it is: {wildcards.task}"


rule respond_service:
    input:
        prompts=RESULTS.split("{task}", "test"),
        batches=named(AWAITED.responses),
    output:
        responses=RESULTS.baseline("{task}", "{service}") / "responses.parquet",
        costs=RESULTS.cost_table(baseline_step("{task}", "{service}")),
    log:
        RESULTS.log("respond/{task}/{service}"),
    benchmark:
        RESULTS.benchmark("respond/{task}/{service}")
    localrule: SERVICES_ON_LOGIN_NODE
    conda:
        CONDA
    threads: 1
    resources:
        **RESOURCES.service_slots("service"),
        mem_mb=memory(TABLES),
        runtime=named(REQUESTS.minutes_of_baseline),
    params:
        **step("respond_service"),
        asking=asking(baseline_step),
    message:
        "Ask {wildcards.service} for its own responses: {wildcards.task}"
    shell:
        "trap : TERM INT; {params.command} --prompts {input.prompts} --service-name {wildcards.service} "
        "{params.asking} 2>&1 | (trap '' TERM INT; exec tee {log})"
