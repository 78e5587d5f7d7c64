"""Curation's one entry point: which of the generated rows enter the pool, and why the others do not."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from llamaduo.cli.errors import InputError
from llamaduo.cli.progress import Progress
from llamaduo.config.curation import FILTERS, CurationSettings, FilterName
from llamaduo.curation.decisions import Decisions, packed, unpacked
from llamaduo.curation.decontamination import DecontaminationFilter
from llamaduo.curation.exact import ExactFilter
from llamaduo.curation.index.minhash import MinHashFilter
from llamaduo.curation.index.rouge_tokens import RougeTokens
from llamaduo.curation.index.word_hashes import WordHashes
from llamaduo.curation.novelty import NoveltyFilter
from llamaduo.curation.pairs import Filter, Pair, Rejection, read_pair
from llamaduo.curation.rules import RuleFilter

Row = Mapping[str, Any]

PARSED = "parsed"
FIRST_BATCH_ROWS = 64
BATCH_ROWS = 1024
"""Rows looked at together, at first and at most; in between a quarter of those that they are compared with. Larger
batches share less of what was accepted just before, smaller ones keep fewer threads busy;
the decisions are the same."""


class Curation:
    """Decides on rows in their order; each is compared with the train split, earlier pools and what was accepted.

    Rows have `messages` or the columns `instruction` and `response`; a row without a pair is `unparsable`. A row
    meets the filters in their fixed order, and the first that rejects it gives the reason. So of a cluster of similar
    rows the first acceptable one is kept, and further rows can only add to the accepted ones: the decision on a row
    depends on no later row, on no batch and on no thread.
    """

    def __init__(
        self,
        test: Iterable[Row],
        settings: CurationSettings,
        filters: Iterable[FilterName] | None = None,
        *,
        threads: int = 1,
        batch_rows: int = BATCH_ROWS,
    ) -> None:
        """Raises `InputError` for a row of `test` without a pair."""
        self.decisions = Decisions()
        self._batch_rows = batch_rows
        self._identifiers: list[str] = []
        self._tokens = RougeTokens(settings.stemmer, settings.other_scripts)
        hashes, names = WordHashes(), set(settings.filters if filters is None else filters)
        tests = [pair for batch in _known("test", test, batch_rows) for pair in batch]
        makers: dict[FilterName, Callable[[], Filter]] = {
            "rules": lambda: RuleFilter(settings.rules),
            "exact": lambda: ExactFilter(self._identifiers),
            "minhash": lambda: MinHashFilter(settings.minhash, self._identifiers, hashes, threads),
            "novelty": lambda: NoveltyFilter(settings.rouge_threshold, self._tokens, self._identifiers, threads),
            "decontamination": lambda: DecontaminationFilter(
                tests,
                settings.decontamination,
                RougeTokens(settings.stemmer, settings.other_scripts),
                hashes,
                threads,
            ),
        }
        self._chain: dict[str, Filter] = {name: makers[name]() for name in FILTERS if name in names}

    def add_known(self, what: str, rows: Iterable[Row]) -> None:
        """Take rows that are given, not decided on, and that later ones are compared with.

        Raises `InputError`, naming `what` they are, for a row without a pair.
        """
        for pairs in _known(what, rows, self._batch_rows):
            every = range(len(pairs))
            for step in self._chain.values():
                step.look_at(pairs, every)
            for row in every:
                self._accept(pairs[row], row)

    def decide(self, rows: Sequence[Row]) -> None:
        """Decide on further rows, after those decided on before."""
        decisions = self.decisions
        with Progress("curate", decisions.rows + len(rows), "row", decisions.rows) as progress:
            start = 0
            while start < len(rows):
                size = max(FIRST_BATCH_ROWS, len(self._identifiers) // 4)
                batch = rows[start : start + min(size, self._batch_rows)]
                start += len(batch)
                first = decisions.rows
                self._decide_batch([read_pair(row, f"input:{first + place}") for place, row in enumerate(batch)])
                progress.advance(len(batch), note=f"{len(decisions.kept)} kept")

    def _decide_batch(self, found: Sequence[Pair | None]) -> None:
        first = self.decisions.rows
        pairs = [pair for pair in found if pair is not None]
        open_rows = list(range(len(pairs)))
        for step in self._chain.values():
            sure = set(step.look_at(pairs, open_rows))
            open_rows = [row for row in open_rows if row not in sure]
        row = 0
        for position, pair in enumerate(found, start=first):
            if pair is None:
                self._reject(position, PARSED, Rejection("unparsable"))
                continue
            rejections = ((name, step.check(row)) for name, step in self._chain.items())
            stage, rejection = next(((name, why) for name, why in rejections if why is not None), (None, None))
            if stage is None or rejection is None:
                self._accept(pair, row)
                self.decisions.kept.append(position)
            else:
                self._reject(position, stage, rejection)
            row += 1

    def _accept(self, pair: Pair, row: int) -> None:
        for step in self._chain.values():
            step.add(row)
        self._identifiers.append(pair.identifier)

    def _reject(self, position: int, stage: str, rejection: Rejection) -> None:
        self.decisions.rejected[position] = rejection
        self.decisions.stages[position] = stage

    def funnel(self) -> dict[str, Any]:
        """Row counts: `stages`: in order, the rows left after each; `generated`, `unparsable`, `accepted`; `reasons`:
        rows per reason (with `unparsable`)."""
        left = self.decisions.rows
        at_stage = Counter(self.decisions.stages.values())
        stages: list[dict[str, Any]] = [{"stage": "generated", "rows": left}]
        for name in (PARSED, *self._chain):
            left -= at_stage[name]
            stages.append({"stage": name, "rows": left})
        reasons = Counter(rejection.reason for rejection in self.decisions.rejected.values())
        return {
            "stages": stages,
            "generated": self.decisions.rows,
            "unparsable": reasons["unparsable"],
            "accepted": left,
            "reasons": {reason: count for reason, count in sorted(reasons.items()) if count},
        }

    def state(self) -> dict[str, NDArray[Any]]:
        """All decisions and what they rest on, for a curation that goes on from here."""
        noted = {f"{name}.{key}": array for name, step in self._chain.items() for key, array in step.state().items()}
        decisions = {f"decisions.{key}": array for key, array in self.decisions.to_arrays().items()}
        words = {"identifiers": packed(self._identifiers), "vocabulary": packed(self._tokens.vocabulary)}
        return noted | decisions | words

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from where another curation was, which had the same settings and was given the same rows."""
        self._identifiers += unpacked(state["identifiers"])
        self._tokens.restore(unpacked(state["vocabulary"]))
        self.decisions = Decisions.from_arrays(_part(state, "decisions"))
        for name, step in self._chain.items():
            step.restore(_part(state, name))


def _part(state: Mapping[str, NDArray[Any]], name: str) -> dict[str, NDArray[Any]]:
    return {key.removeprefix(f"{name}."): array for key, array in state.items() if key.startswith(f"{name}.")}


@dataclass(frozen=True)
class Curated:
    """What became of the rows, in their order."""

    kept: list[int]
    """Positions of the accepted rows, ascending."""
    rejected: dict[int, Rejection]
    """The rejection of every other row by its position, ascending."""
    funnel: dict[str, Any]
    """As `Curation.funnel` gives it."""


def curate(
    rows: Sequence[Row],
    train: Iterable[Row],
    test: Iterable[Row],
    settings: CurationSettings,
    filters: Iterable[FilterName] | None = None,
    *,
    pool: Iterable[Row] = (),
    threads: int = 1,
    batch_rows: int = BATCH_ROWS,
) -> Curated:
    """Decide on `rows` as `Curation` does, compared with `train`, `pool` and the rows accepted before."""
    curation = Curation(test, settings, filters, threads=threads, batch_rows=batch_rows)
    curation.add_known("train", train)
    curation.add_known("pool", pool)
    curation.decide(rows)
    return Curated(curation.decisions.kept, curation.decisions.rejected, curation.funnel())


def _known(what: str, rows: Iterable[Row], batch_rows: int) -> Iterable[list[Pair]]:
    """The pairs of rows that are given, in batches."""
    pairs: list[Pair] = []
    for position, row in enumerate(rows):
        pair = read_pair(row, f"{what}:{position}")
        if pair is None:
            raise InputError(f"{what}: row {position} has no text of a user and an assistant; mend or remove it")
        pairs.append(pair)
        if len(pairs) == batch_rows:
            yield pairs
            pairs = []
    if pairs:
        yield pairs
