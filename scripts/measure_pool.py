"""Say whether a pool has reached a volume, with its yield, and what to change when it has not."""

from pathlib import Path

from llamaduo.cli.program import existing_file, run
from llamaduo.config.synthesis import SynthesisSettings
from llamaduo.storage.files import read_json, write_json
from llamaduo.synthesis.measure import measure


def main(funnel: Path, volume: int, chunks: int, settings: SynthesisSettings, output: Path) -> None:
    """Measure the pool after a number of chunks.

    Args:
        funnel: JSON file with the pool's curation funnel
        volume: synthetic samples that are wanted
        chunks: chunks that the pool was made from
        settings: the config's section `synthesis`
        output: JSON file to write the measurement to
    """
    write_json(output, measure(read_json(existing_file(funnel, "a curation funnel")), volume, chunks, settings))


if __name__ == "__main__":
    run(main, __doc__)
