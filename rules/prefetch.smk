# Runs where Snakemake runs, which has network when the nodes have none. Always runs when asked for, as a rule does that
# writes nothing Snakemake knows of: the cache may have been emptied. A benchmark would be such a thing.
rule prefetch:
    log:
        RESULTS.log("prefetch"),
    conda:
        CONDA
    threads: 1
    resources:
        mem_mb=2000,
        runtime=600,
    params:
        command=PARAMS.plain("prefetch.py", "--config", HOOKS.settings),
        record=STATE.prefetched,
    message:
        "Fetch what the config needs from the Hugging Face Hub"
    shell:
        "HF_HUB_OFFLINE=0 {params.command} --record {params.record} 2>&1 | tee {log}"
