"""The plot of the curation funnel: of every pool, the share that was accepted and what each stage removed."""

from collections.abc import Sequence

from matplotlib import rc_context
from matplotlib.figure import Figure

from llamaduo.report.pools import Pool, stages_of
from llamaduo.report.svg import INK, PAPER, SERIES, STYLE, to_svg

HATCHES = ("", "////", "....", "\\\\\\\\", "xxxx", "----", "++++", "oooo")


def draw(pools: Sequence[Pool], simulated: Sequence[str], name: str) -> str:
    """A bar of 100 % per pool as inline SVG. `simulated`: the simulated generators among them."""
    stages = stages_of(list(pools))
    with rc_context(STYLE | {"hatch.linewidth": 0.8}):
        canvas = Figure(figsize=(10.35, 0.42 * len(pools) + 1.25), layout="constrained")
        axes = canvas.subplots()
        places = list(range(len(pools)))
        left = [0.0] * len(pools)
        parts = [("accepted", [pool.accepted for pool in pools])]
        parts += [(stage, [pool.removed.get(stage, 0) for pool in pools]) for stage in stages]
        for number, (part, rows) in enumerate(parts):
            shares = [
                100 * count / pool.generated if pool.generated else 0 for count, pool in zip(rows, pools, strict=True)
            ]
            axes.barh(
                places,
                shares,
                left=left,
                height=0.68,
                color=SERIES[number % len(SERIES)],
                hatch=HATCHES[number % len(HATCHES)],
                edgecolor=PAPER,
                linewidth=0.8,
                label=part,
            )
            left = [start + share for start, share in zip(left, shares, strict=True)]
        axes.set_yticks(places, [f"{pool.task}, {pool.generator}" for pool in pools])
        axes.invert_yaxis()
        axes.set_xlim(0, 100)
        axes.set_xlabel("share of the generated rows (%)")
        axes.grid(axis="x")
        for place, pool in zip(places, pools, strict=True):
            axes.annotate(
                f"{pool.accepted:,} of {pool.generated:,}",
                (100, place),
                xytext=(6, 0),
                textcoords="offset points",
                va="center",
                color=INK,
            )
        mark = f"   SIMULATED: {', '.join(simulated)}" if simulated else None
        canvas.legend(loc="outside upper left", ncols=len(parts), title=mark, alignment="left")
        return to_svg(canvas, name, describe(pools, simulated))


def describe(pools: Sequence[Pool], simulated: Sequence[str]) -> str:
    """The plot in words."""
    parts = [f"Bars of the curation funnel of {len(pools)} pools."]
    parts += [
        f"{pool.task} by {pool.generator}: {pool.accepted_share:.0f} % of {pool.generated:,} rows accepted."
        for pool in pools
    ]
    if simulated:
        parts.append(f"Simulated services: {', '.join(simulated)}.")
    return " ".join(parts)
