rule synthesize:
    input:
        train=results("coverage/{task}/train.parquet"),
        batches=awaited_pairs,
    output:
        chunk=results("synthesis/{task}/{generator}/chunk-{chunk}.parquet"),
        costs=results("costs/synthesis/{task}/{generator}/chunk-{chunk}.parquet"),
    log:
        log_file("synthesis/{task}/{generator}/chunk-{chunk}"),
    benchmark:
        benchmark_file("synthesis/{task}/{generator}/chunk-{chunk}")
    localrule: SERVICES_ON_LOGIN_NODE
    conda:
        "../environment.yaml"
    threads: 1
    resources:
        **service_slots("generator"),
        mem_mb=memory(TABLES),
        runtime=time_of_chunk,
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
        "Write synthetic pairs: {wildcards.task} by {wildcards.generator}, chunk {wildcards.chunk}"
    shell:
        # A signal to the whole job, or Ctrl-C, must reach the program alone: it awaits the calls in flight.
        "trap : TERM INT; {params.program} --train {input.train} --task {wildcards.task} "
        "--generator {wildcards.generator} --service {params.service:q} --settings {params.settings:q} "
        "--prompts {params.prompts:q} --topic {params.topic:q} --chunk {wildcards.chunk} --seed {params.seed} "
        "--journal {params.journal} --output {output.chunk} {params.budget} --costs {output.costs} "
        "{params.batches} 2>&1 | (trap '' TERM INT; exec tee {log})"


# How many chunks a volume needs follows from the yields, so the workflow is planned anew after each pool.
checkpoint curate:
    input:
        chunks=chunks_of_pool,
        train=results("coverage/{task}/train.parquet"),
        test=results("coverage/{task}/test.parquet"),
    output:
        pool=results("synthesis/{task}/{generator}/chunks-{chunks}/pool.parquet"),
        rejected=results("synthesis/{task}/{generator}/chunks-{chunks}/rejected.parquet"),
        funnel=results("synthesis/{task}/{generator}/chunks-{chunks}/funnel.json"),
        diversity=results("synthesis/{task}/{generator}/chunks-{chunks}/diversity.json"),
    log:
        log_file("synthesis/{task}/{generator}/chunks-{chunks}"),
    benchmark:
        benchmark_file("synthesis/{task}/{generator}/chunks-{chunks}")
    conda:
        "../environment.yaml"
    threads: 2
    resources:
        mem_mb=memory(memory_of_pool),
        runtime=more_each_time(time_of_curation),
    params:
        program=program("curate.py"),
        code=fingerprint("curate.py"),
        settings=settings(CONFIG.curation),
        state=place_in_state("curation/{task}/{generator}"),
    message:
        "Curate {wildcards.chunks} chunks: {wildcards.task} by {wildcards.generator}"
    shell:
        "{params.program} --input {input.chunks} --train {input.train} --test {input.test} "
        "--settings {params.settings:q} --output {output.pool} --rejected {output.rejected} "
        "--funnel {output.funnel} --diversity {output.diversity} "
        "--state {params.state} --threads {threads} 2>&1 | tee {log}"


checkpoint measure_pool:
    input:
        funnel=last_pool_of_volume,
    output:
        measured=results("synthesis/{task}/{generator}/volume-{volume}.json"),
    log:
        log_file("synthesis/{task}/{generator}/volume-{volume}"),
    benchmark:
        benchmark_file("synthesis/{task}/{generator}/volume-{volume}")
    conda:
        "../environment.yaml"
    threads: 1
    resources:
        mem_mb=memory(SMALL),
        runtime=SHORT,
    params:
        program=program("measure_pool.py"),
        code=fingerprint("measure_pool.py"),
        settings=settings(CONFIG.synthesis),
        chunks=chunks_of_funnel,
    message:
        "Measure whether the pool holds volume {wildcards.volume}: {wildcards.task} by {wildcards.generator}"
    shell:
        "{params.program} --funnel {input.funnel} --volume {wildcards.volume} "
        "--chunks {params.chunks} --settings {params.settings:q} --output {output.measured} 2>&1 | tee {log}"


rule build_dataset:
    input:
        train=results("coverage/{task}/train.parquet"),
        pool=pool_of_dataset,
    output:
        dataset=results("datasets/{task}/{generator}/volume-{volume}.parquet"),
    log:
        log_file("datasets/{task}/{generator}/volume-{volume}"),
    benchmark:
        benchmark_file("datasets/{task}/{generator}/volume-{volume}")
    conda:
        "../environment.yaml"
    threads: 1
    resources:
        mem_mb=memory(memory_of_dataset),
        runtime=SHORT,
    params:
        program=program("build_dataset.py"),
        code=fingerprint("build_dataset.py"),
        include_train=str(CONFIG.training.include_train).lower(),
        pool=option_of_pool,
    message:
        "Build the dataset of volume {wildcards.volume}: {wildcards.task} by {wildcards.generator}"
    shell:
        "{params.program} --train {input.train} {params.pool} --volume {wildcards.volume} "
        "--include-train {params.include_train} --output {output.dataset} 2>&1 | tee {log}"
