"""Compute V and C at each zeta from the judges' grades, with bootstrap intervals clustered by prompt."""

from pathlib import Path

from llamaduo.cli.program import run
from llamaduo.config.decision import MetricsSettings


def main(*, grades: list[Path], metrics: list[str], output: Path, settings: MetricsSettings) -> None:
    """Measure the grades of one set of responses.

    Args:
        grades: parquet tables of grades, one per judge
        metrics: the metrics to measure, for example ["similarity", "precision"]
        output: parquet table of V and C
        settings: how grades become scores, zeta, and the intervals
    """
    from llamaduo.cli.errors import InputError
    from llamaduo.decision.metrics import by_judge, measure
    from llamaduo.storage.schemas.grades import grades_schema
    from llamaduo.storage.schemas.metrics import METRICS
    from llamaduo.storage.tables import read_rows, write_rows

    tables = {str(path): read_rows(path, grades_schema(metrics)) for path in grades}
    for name, rows in tables.items():
        if not rows:
            raise InputError(f"{name}: no rows; there is nothing to measure")
    if not tables:
        raise InputError("--grades: no table given")
    write_rows(output, measure(by_judge(tables), metrics, settings), METRICS)


if __name__ == "__main__":
    run(main, __doc__)
