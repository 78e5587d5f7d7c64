"""Build what the demo needs: tiny base models and a coverage dataset; what is there already is kept."""

from pathlib import Path

from llamaduo.cli.program import run

DEMO = Path("demo")


def main(*, folder: Path = DEMO, coverage: Path | None = None) -> None:
    """Build the demo's tiny models, side by side with one thread each, and its coverage dataset.

    Args:
        folder: where everything is put
        coverage: a coverage dataset of your own, a folder with train and test files or one file: instead of the
            demo's, write coverage.yaml, a config with small settings for it, and build a tiny model to go with it
    """
    import os

    os.environ.setdefault("OMP_NUM_THREADS", "1")
    if coverage is None:
        from llamaduo.demo.build import build_all

        build_all(folder)
    else:
        from llamaduo.demo.own_coverage import prepare

        prepare(coverage, folder)


if __name__ == "__main__":
    run(main, __doc__)
