"""V and C of the grades, with bootstrap intervals (arXiv 2408.13467, equations 3 to 5).

A response's score S is the mean (or median) of its M grades by one judge for one metric. V is the mean of S over all
responses (equations 3 and 5), C at zeta the percentage of responses with S >= zeta (equation 4). Both are 0 to 100.
Grades that could not be had are left out of S; responses without any grade are left out of V and C, and counted.
"""

from collections.abc import Mapping, Sequence
from math import fsum
from statistics import fmean, median

import numpy as np
from numpy.typing import NDArray

from llamaduo.cli.errors import InputError
from llamaduo.config.decision import MetricsSettings
from llamaduo.storage.tables import Row

WHOLE_RANGE = (0.0, 100.0)
NUMBERS_AT_ONCE = 5_000_000
"""How many drawn numbers are held in memory at a time, about 40 MB."""


def measure(grades: Sequence[Row], metrics: Sequence[str], settings: MetricsSettings) -> list[Row]:
    """V and C at each zeta, for each judge and metric.

    Args:
        grades: rows of one or several judges' tables of grades, in any order.
        metrics: the metrics to measure.
        settings: zeta, how grades become scores, and the intervals.

    Returns:
        Rows of `METRICS`: judges in the order in which they come, metrics and zeta in the order given.
        `responses` and `prompts` count those with a score, `ungraded` the responses without one.

    Raises:
        InputError: a judge gave no grade of a metric to any response.
    """
    rows = []
    for judge in dict.fromkeys(row["evaluators"] for row in grades):
        own = [row for row in grades if row["evaluators"] == judge]
        for metric in metrics:
            scores = [score(row[f"{metric}_grades"], settings) for row in own]
            scored = [(row["prompt_id"], value) for row, value in zip(own, scores, strict=True) if value is not None]
            if not scored:
                raise InputError(f"{judge} gave no grade of {metric} to any of {len(own)} responses")
            about: Row = {
                "judge": judge,
                "metric": metric,
                "responses": len(scored),
                "prompts": len({prompt for prompt, _ in scored}),
                "ungraded": len(own) - len(scored),
            }
            for statistic, zeta in [("mean", None), *(("coverage", zeta) for zeta in settings.zeta)]:
                values = scored if zeta is None else [(prompt, 100.0 * (value >= zeta)) for prompt, value in scored]
                lower, upper = interval(values, settings)
                value = fmean(number for _, number in values)
                rows.append(
                    {**about, "statistic": statistic, "zeta": zeta, "value": value, "lower": lower, "upper": upper}
                )
    return rows


def score(grades: Sequence[float | None], settings: MetricsSettings) -> float | None:
    """The score S of one response, 0 to 100, from its M grades; None when it has none."""
    given = [grade for grade in grades if grade is not None]
    if not given:
        return None
    return fmean(given) if settings.over_grades == "mean" else float(median(given))


def interval(values: Sequence[tuple[str, float]], settings: MetricsSettings) -> tuple[float, float]:
    """The percentile bootstrap interval of the mean of values, each of them with its prompt.

    The K responses to one prompt are alike, so prompts are drawn with replacement, each with all its values (Davison
    and Hinkley, Bootstrap Methods and their Application, section 3.8). The interval does not depend on the values'
    order. One prompt says nothing about others: its interval is the whole range, 0 to 100.
    """
    from scipy.stats import bootstrap

    clusters: dict[str, list[float]] = {}
    for prompt, value in values:
        clusters.setdefault(prompt, []).append(value)
    if len(clusters) == 1:
        return WHOLE_RANGE
    # In one order, and summed exactly, so that equal sets of values give equal bits.
    totals = np.array([fsum(clusters[prompt]) for prompt in sorted(clusters)])
    counts = np.array([len(clusters[prompt]) for prompt in sorted(clusters)], dtype=float)
    found = bootstrap(
        (totals, counts),
        _mean_of_all,
        paired=True,
        vectorized=True,
        method="percentile",
        n_resamples=settings.bootstrap_samples,
        batch=max(1, NUMBERS_AT_ONCE // len(clusters)),
        confidence_level=settings.confidence / 100,
        rng=np.random.default_rng(settings.seed),
    ).confidence_interval
    lowest, highest = WHOLE_RANGE
    return max(lowest, float(found.low)), min(highest, float(found.high))


def by_judge(tables: Mapping[str, Sequence[Row]]) -> list[Row]:
    """The rows of several tables of grades as one. Raises `InputError` when two hold grades of the same judge."""
    holder: dict[str, str] = {}
    for name, rows in tables.items():
        for judge in {row["evaluators"] for row in rows}:
            if judge in holder:
                raise InputError(f"{name}: grades by {judge}, which {holder[judge]} holds too; one table per judge")
            holder[judge] = name
    return [row for rows in tables.values() for row in rows]


def _mean_of_all(totals: NDArray[np.float64], counts: NDArray[np.float64], axis: int = -1) -> NDArray[np.float64]:
    return np.asarray(totals.sum(axis=axis) / counts.sum(axis=axis))
