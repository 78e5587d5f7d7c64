"""Move a feature from a service LLM to a small local LLM (LlamaDuo, arXiv 2408.13467).

The package knows nothing of Snakemake. Each program in `scripts/` is a thin command line over it.
"""
