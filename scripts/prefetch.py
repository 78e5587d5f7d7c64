"""Download the models and the coverage dataset that a config names from the Hugging Face Hub into its cache."""

from pathlib import Path

from llamaduo.cli.program import run


def main(config: Path, record: Path) -> None:
    """Download the models and the coverage dataset that a config names from the Hugging Face Hub into its cache.

    Only safetensors, settings and tokenizers of models, only data files of a dataset. Gated ones need HF_TOKEN. What
    is here already is not downloaded again.

    Args:
        config: the config, in YAML or JSON
        record: where to write which commits are here (JSON)
    """
    from llamaduo.config.load import load
    from llamaduo.workflow.prefetch import prefetch

    lines = prefetch(load(config), record)
    print("\n".join(lines) or "Nothing to fetch: the config names folders on this machine only.")


if __name__ == "__main__":
    run(main, __doc__)
