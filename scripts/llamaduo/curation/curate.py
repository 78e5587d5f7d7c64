"""Curation's one entry point: which of the generated rows enter the pool, and why the others do not."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llamaduo.config.curation import FILTERS, CurationSettings, FilterName
from llamaduo.curation.decontamination import DecontaminationFilter
from llamaduo.curation.exact import ExactFilter
from llamaduo.curation.minhash import MinHashFilter
from llamaduo.curation.novelty import NoveltyFilter, RougeTokens
from llamaduo.curation.pairs import Filter, Pair, Rejection, read_pair
from llamaduo.curation.rules import RuleFilter
from llamaduo.errors import InputError
from llamaduo.progress import Progress

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Curated:
    """What became of the rows, in their order."""

    kept: list[int]
    """Positions of the accepted rows, ascending."""
    rejected: dict[int, Rejection]
    """The rejection of every other row by its position, ascending."""
    funnel: dict[str, Any]
    """`stages`: in order, the rows left after each; `generated`, `unparsable`, `accepted`; `reasons`: rows per reason
    (with `unparsable`)."""


def curate(
    rows: Sequence[Row],
    train: Iterable[Row],
    test: Iterable[Row],
    settings: CurationSettings,
    filters: Iterable[FilterName] | None = None,
    *,
    pool: Iterable[Row] = (),
) -> Curated:
    """Decide on `rows` one after the other; each is compared with `train`, `pool` and the rows accepted before it.

    Rows have `messages` or the columns `instruction` and `response`; a row without a pair is `unparsable`. A row
    meets the filters (`settings.filters`, unless given) in their fixed order, and the first that rejects it gives the
    reason. So of a cluster of similar rows the first acceptable one is kept, and further rows can only add to the
    accepted ones: the decision on a row depends on no later row. Raises `InputError` for a row of `train`, `test` or
    `pool` without a pair.
    """
    chain = _filters(set(settings.filters if filters is None else filters), _known("test", test), settings)
    for given in (*_known("train", train), *_known("pool", pool)):
        for step in chain.values():
            step.add(given)
    kept: list[int] = []
    rejected: dict[int, Rejection] = {}
    stages: Counter[str] = Counter()
    with Progress("curate", len(rows), "row") as progress:
        for position, row in enumerate(rows):
            rejection, stage = _decide(read_pair(row, f"input:{position}"), chain)
            if rejection is None:
                kept.append(position)
            else:
                rejected[position] = rejection
                stages[stage] += 1
            progress.advance(note=f"{len(kept)} kept")
    return Curated(kept, rejected, _funnel(len(rows), rejected, stages, ["parsed", *chain]))


def _filters(names: set[FilterName], test: list[Pair], settings: CurationSettings) -> dict[str, Filter]:
    """The filters named, in their fixed order."""
    tokens = RougeTokens(settings.stemmer, settings.other_scripts)
    makers: dict[FilterName, Callable[[], Filter]] = {
        "rules": lambda: RuleFilter(settings.rules),
        "exact": ExactFilter,
        "minhash": lambda: MinHashFilter(settings.minhash),
        "novelty": lambda: NoveltyFilter(settings.rouge_threshold, tokens),
        "decontamination": lambda: DecontaminationFilter(test, settings.decontamination, tokens),
    }
    return {name: makers[name]() for name in FILTERS if name in names}


def _known(what: str, rows: Iterable[Row]) -> list[Pair]:
    """The pairs of rows that are given, not decided on."""
    pairs = []
    for position, row in enumerate(rows):
        pair = read_pair(row, f"{what}:{position}")
        if pair is None:
            raise InputError(f"{what}: row {position} has no text of a user and an assistant; mend or remove it")
        pairs.append(pair)
    return pairs


def _decide(pair: Pair | None, chain: Mapping[str, Filter]) -> tuple[Rejection | None, str]:
    """The rejection and the stage that made it; an accepted pair is added to what later ones are compared with."""
    if pair is None:
        return Rejection("unparsable"), "parsed"
    for name, step in chain.items():
        rejection = step.check(pair)
        if rejection is not None:
            return rejection, name
    for step in chain.values():
        step.add(pair)
    return None, "accepted"


def _funnel(
    generated: int, rejected: Mapping[int, Rejection], at_stage: Mapping[str, int], names: Sequence[str]
) -> dict[str, Any]:
    left = generated
    stages: list[dict[str, Any]] = [{"stage": "generated", "rows": left}]
    for name in names:
        left -= at_stage[name]
        stages.append({"stage": name, "rows": left})
    reasons = Counter(rejection.reason for rejection in rejected.values())
    return {
        "stages": stages,
        "generated": generated,
        "unparsable": reasons["unparsable"],
        "accepted": left,
        "reasons": {reason: count for reason, count in sorted(reasons.items()) if count},
    }
