# Runs where Snakemake runs, which has network when the nodes have none. Always runs when asked for, as a rule does that
# writes nothing Snakemake knows of: the cache may have been emptied. A benchmark would be such a thing.
rule prefetch:
    log:
        log_file("prefetch"),
    conda:
        "../environment.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=600,
    params:
        program=program("prefetch.py"),
        config=results("settings/config.json"),
        record=PREFETCHED,
    message:
        "Fetch what the config needs from the Hugging Face Hub"
    shell:
        "HF_HUB_OFFLINE=0 {params.program} --config {params.config} --record {params.record} 2>&1 | tee {log}"
