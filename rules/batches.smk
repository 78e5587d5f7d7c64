# Steps of services in `mode: batch`: one job submits, one waits and holds neither a core nor a compute node, and the step
# itself finds the answers. In `mode: online` none of these jobs is planned.


use rule judge as submit_grades with:
    input:
        responses=RESULTS.subject("{subject}") / "responses.parquet",
    output:
        submitted=RESULTS.batches("judging/{subject}", "{judge}", "submitted"),
    log:
        RESULTS.log("batches/judging/{subject}/{judge}.submitted"),
    benchmark:
        RESULTS.benchmark("batches/judging/{subject}/{judge}.submitted")
    resources:
        **RESOURCES.service_slots("judge"),
        mem_mb=memory(TEXTS),
        runtime=REQUESTS.submitting,
    message:
        "Submit batches of grades by {wildcards.judge}: {wildcards.subject}"


use rule respond_service as submit_responses with:
    input:
        prompts=RESULTS.split("{task}", "test"),
    output:
        submitted=RESULTS.batches("baselines/{task}", "{service}", "submitted"),
    log:
        RESULTS.log("batches/baselines/{task}/{service}.submitted"),
    benchmark:
        RESULTS.benchmark("batches/baselines/{task}/{service}.submitted")
    resources:
        **RESOURCES.service_slots("service"),
        mem_mb=memory(TEXTS),
        runtime=REQUESTS.submitting,
    message:
        "Submit batches of responses of {wildcards.service}: {wildcards.task}"


use rule synthesize as submit_synthesis with:
    input:
        train=RESULTS.split("{task}", "train"),
    output:
        submitted=RESULTS.batches("synthesis/{task}/chunk-{chunk}", "{generator}", "submitted"),
    log:
        RESULTS.log("batches/synthesis/{task}/chunk-{chunk}/{generator}.submitted"),
    benchmark:
        RESULTS.benchmark("batches/synthesis/{task}/chunk-{chunk}/{generator}.submitted")
    resources:
        **RESOURCES.service_slots("generator"),
        mem_mb=memory(TEXTS),
        runtime=REQUESTS.submitting,
    message:
        "Submit batches of synthetic pairs: {wildcards.task} by {wildcards.generator}, chunk {wildcards.chunk}"


# May be ended at any time: whoever comes next finds the batches again.
rule await_batches:
    input:
        submitted=RESULTS.batches("{step}", "{service}", "submitted"),
    output:
        answered=RESULTS.batches("{step}", "{service}", "answered"),
    log:
        RESULTS.log("batches/{step}/{service}.answered"),
    benchmark:
        RESULTS.benchmark("batches/{step}/{service}.answered")
    localrule: True
    conda:
        CONDA
    threads: 0
    resources:
        **RESOURCES.waiting_slots(),
        mem_mb=500,
        runtime=2880,
    params:
        **step("await_batches"),
    message:
        "Wait for the batches of {wildcards.service}: {wildcards.step}"
    shell:
        "{params.command} --service-name {wildcards.service} --step {wildcards.step}/{wildcards.service} "
        "--submitted {input.submitted} --answered {output.answered} 2>&1 | tee {log}"
