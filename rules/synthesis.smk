rule synthesize:
    input:
        train=RESULTS.split("{task}", "train"),
        batches=named(AWAITED.pairs),
    output:
        chunk=RESULTS.chunk("{task}", "{generator}", "{chunk}"),
        costs=RESULTS.cost_table(synthesis_step("{task}", "{generator}", "{chunk}")),
    log:
        RESULTS.log("synthesis/{task}/{generator}/chunk-{chunk}"),
    benchmark:
        RESULTS.benchmark("synthesis/{task}/{generator}/chunk-{chunk}")
    localrule: SERVICES_ON_LOGIN_NODE
    conda:
        CONDA
    threads: 1
    resources:
        **RESOURCES.service_slots("generator"),
        mem_mb=memory(TABLES),
        runtime=named(REQUESTS.minutes_of_chunk),
    params:
        **step("synthesize"),
        asking=asking(synthesis_step),
    message:
        "Write synthetic pairs: {wildcards.task} by {wildcards.generator}, chunk {wildcards.chunk}"
    shell:
        "trap : TERM INT; {params.command} --train {input.train} --task {wildcards.task} --generator {wildcards.generator} "
        "--chunk {wildcards.chunk} {params.asking} 2>&1 | (trap '' TERM INT; exec tee {log})"


# How many chunks a volume needs follows from the yields, so the workflow is planned anew after each pool.
checkpoint curate:
    input:
        chunks=named(LOOP.chunks_of_pool),
        train=RESULTS.split("{task}", "train"),
        test=RESULTS.split("{task}", "test"),
    output:
        pool=RESULTS.pool("{task}", "{generator}", "{chunks}") / "pool.parquet",
        rejected=RESULTS.pool("{task}", "{generator}", "{chunks}") / "rejected.parquet",
        funnel=RESULTS.funnel("{task}", "{generator}", "{chunks}"),
        diversity=RESULTS.pool("{task}", "{generator}", "{chunks}") / "diversity.json",
    log:
        RESULTS.log("synthesis/{task}/{generator}/chunks-{chunks}"),
    benchmark:
        RESULTS.benchmark("synthesis/{task}/{generator}/chunks-{chunks}")
    conda:
        CONDA
    threads: 2
    resources:
        mem_mb=memory(REQUESTS.mb_of_pool),
        runtime=RESOURCES.more_each_time(REQUESTS.minutes_of_curation),
    params:
        **step("curate"),
        # The shell makes the names of all chunks of it: one command line for any number of them.
        chunks=lambda wildcards, input, resources: chunk_range(input.chunks),
        folder=lambda wildcards, output, resources: Path(output.pool).parent,
    message:
        "Curate {wildcards.chunks} chunks: {wildcards.task} by {wildcards.generator}"
    shell:
        "{params.command} --input {params.chunks} --train {input.train} --test {input.test} --folder {params.folder} "
        "--threads {threads} 2>&1 | tee {log}"


checkpoint measure_pool:
    input:
        funnel=named(LOOP.last_pool, read=read_funnel),
    output:
        measured=RESULTS.measured_pool("{task}", "{generator}", "{volume}"),
    log:
        RESULTS.log("synthesis/{task}/{generator}/volume-{volume}"),
    benchmark:
        RESULTS.benchmark("synthesis/{task}/{generator}/volume-{volume}")
    conda:
        CONDA
    threads: 1
    resources:
        mem_mb=memory(SMALL),
        runtime=REQUESTS.short,
    params:
        **step("measure_pool"),
        chunks=lambda wildcards, input: Path(input.funnel).parent.name.removeprefix("chunks-"),
    message:
        "Measure whether the pool holds volume {wildcards.volume}: {wildcards.task} by {wildcards.generator}"
    shell:
        "{params.command} --funnel {input.funnel} --volume {wildcards.volume} --chunks {params.chunks} "
        "--output {output.measured} 2>&1 | tee {log}"


rule build_dataset:
    input:
        train=RESULTS.split("{task}", "train"),
        pool=named(LOOP.pool_of_dataset, read=read_measured),
    output:
        dataset=RESULTS.dataset("{task}", "{generator}", "{volume}"),
    log:
        RESULTS.log("datasets/{task}/{generator}/volume-{volume}"),
    benchmark:
        RESULTS.benchmark("datasets/{task}/{generator}/volume-{volume}")
    conda:
        CONDA
    threads: 1
    resources:
        mem_mb=memory(REQUESTS.mb_of_dataset),
        runtime=REQUESTS.short,
    params:
        **step("build_dataset"),
        pool=option("pool"),
    message:
        "Build the dataset of volume {wildcards.volume}: {wildcards.task} by {wildcards.generator}"
    shell:
        "{params.command} --train {input.train} {params.pool} --volume {wildcards.volume} "
        "--output {output.dataset} 2>&1 | tee {log}"
