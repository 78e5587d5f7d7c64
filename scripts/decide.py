"""Decide after a cycle: has the run converged, does it go on with a larger volume, or is it exhausted."""

from pathlib import Path

from llamaduo.cli.program import run
from llamaduo.config.decision import DecisionSettings


def main(
    *,
    task: str,
    generator: str,
    model: str,
    output: Path,
    settings: DecisionSettings,
    metrics: Path | None = None,
    service_metrics: Path | None = None,
    pool_shortfall: Path | None = None,
    volume: int | None = None,
    cycle: int = 0,
    last: bool = False,
) -> None:
    """Compare a run's metrics with their thresholds, or close a run whose pool ran out.

    A model that was tuned elsewhere is decided on in the same way: it has no volume, and its one cycle is the last.

    Args:
        task: the run's task
        generator: the run's generator
        model: the run's model
        output: JSON file with the verdict and the numbers that it rests on
        settings: the thresholds, and what is compared with them
        metrics: parquet table of the run's V and C
        service_metrics: the same of the service LLM's own responses; needed where a threshold is a share of them
        pool_shortfall: JSON file of measure_pool.py, instead of metrics, when the pool does not reach the volume
        volume: how many synthetic samples the cycle trained on
        cycle: the cycle's number, from 0
        last: whether no larger volume is left
    """
    from llamaduo.cli.errors import InputError
    from llamaduo.cli.program import existing_file
    from llamaduo.decision.decide import Cycle, decide, decide_shortfall
    from llamaduo.storage.files import read_json, write_json
    from llamaduo.storage.schemas.metrics import METRICS
    from llamaduo.storage.tables import read_rows

    about = Cycle(task, generator, model, volume, cycle, last)
    if pool_shortfall is not None and metrics is None:
        pool = read_json(existing_file(pool_shortfall, "what measure_pool.py found"))
        decision = decide_shortfall(about, pool, settings)
    elif metrics is not None and pool_shortfall is None:
        service = None if service_metrics is None else read_rows(service_metrics, METRICS)
        decision = decide(about, read_rows(metrics, METRICS), service, settings)
    else:
        raise InputError("exactly one of --metrics and --pool-shortfall is needed")
    write_json(output, decision)


if __name__ == "__main__":
    run(main, __doc__)
