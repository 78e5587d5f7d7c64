"""What curation made of one row, in words: its decision, the row it matched, and its nearest kept neighbour."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llamaduo.cli.errors import InputError
from llamaduo.curation.index.lcs import lcs_length, positions, rouge_l
from llamaduo.curation.index.rouge_tokens import RougeTokens
from llamaduo.curation.pair_files import Row, read_pair_files
from llamaduo.curation.pairs import Pair, read_pair

LONGEST_SHOWN = 600
"""Characters of a text that are shown."""


@dataclass(frozen=True)
class Place:
    """A row of one of the files: `kept:3` is the fourth row of the kept ones."""

    file: str
    position: int
    row: Mapping[str, Any]
    pair: Pair | None

    @property
    def name(self) -> str:
        """The file and the position in it."""
        return f"{self.file}:{self.position}"


@dataclass(frozen=True)
class Neighbour:
    """The row nearest to another by ROUGE-L F (0 to 1)."""

    place: Place
    score: float


class Files:
    """The rows of a curation by file: kept, rejected, train, input."""

    def __init__(self, rows: Mapping[str, Iterable[Row]]) -> None:
        self.places = {
            file: [
                Place(file, position, row, read_pair(row, f"{file}:{position}")) for position, row in enumerate(each)
            ]
            for file, each in rows.items()
        }

    @staticmethod
    def read(kept: Path, rejected: Path | None, train: Path | None, inputs: Sequence[Path] | None) -> "Files":
        """Read the files given. Raises `InputError` as `read_pair_files` does."""
        rows: dict[str, Iterable[Row]] = {"kept": read_pair_files([kept]).rows[:]}
        if rejected is not None:
            rows["rejected"] = read_pair_files([rejected]).all_rows()
        if train is not None:
            rows["train"] = read_pair_files([train]).rows[:]
        if inputs:
            rows["input"] = read_pair_files(inputs).rows[:]
        return Files(rows)

    def find(self, name: str) -> Place:
        """The row of an identifier, or of a place such as `kept:0`."""
        for place in (place for places in self.places.values() for place in places):
            if name == place.name or (place.pair is not None and place.pair.identifier == name):
                return place
            if place.pair is None and name in map(str, place.row.values()):
                return place
        read = ", ".join(f"{file} ({len(places)} rows)" for file, places in self.places.items())
        raise InputError(f"row: {name!r} is no identifier and no place in {read}; a place is written kept:0")

    def matched(self, identifier: str) -> Place | None:
        """The row that a rejection refers to, where it is in one of these files."""
        candidates = (place for places in self.places.values() for place in places)
        return next((each for each in candidates if each.pair and each.pair.identifier == identifier), None)

    def decided(self, place: Place) -> Place:
        """The kept or rejected row that a row of the input became: the first with the same texts."""
        if place.file != "input" or place.pair is None:
            return place
        candidates = (each for file in ("kept", "rejected") for each in self.places.get(file, ()))
        same = (each for each in candidates if each.pair and _text_of(each.pair) == _text_of(place.pair))
        return next(same, place)


def nearest(text: str, places: Sequence[Place], tokens: RougeTokens) -> Neighbour | None:
    """The place whose instruction has the highest ROUGE-L F with `text`, the earliest among equals; None if all are 0.

    Exact: every place is compared whose length and shared tokens leave it a chance.
    """
    with_pairs = [(place, place.pair) for place in places if place.pair is not None]
    numbered = tokens([text, *(pair.instruction for _, pair in with_pairs)])
    own = numbered[0].tolist()
    where, counts = positions(own), Counter(own)
    best: Neighbour | None = None
    for number, (place, _) in enumerate(with_pairs, start=1):
        other = numbered[number].tolist()
        least = 0.0 if best is None else best.score
        if not own or not other or rouge_l(min(len(own), len(other)), len(own), len(other)) <= least:
            continue
        overlap = (counts & Counter(other)).total()
        if rouge_l(overlap, len(own), len(other)) <= least:
            continue
        score = rouge_l(lcs_length(where, len(own), other), len(own), len(other))
        if score > least:
            best = Neighbour(place, score)
    return best


def explain(files: Files, name: str | None, instruction: str | None, stemmer: bool, other_scripts: float) -> str:
    """The lines that tell about a row (by its `name`) or about an `instruction` of no row."""
    place = None if name is None else files.decided(files.find(name))
    lines = ["row:      none, a text given"] if place is None else _of_row(place)
    if place is not None and place.row.get("matched_id") is not None and place.file == "rejected":
        matched = files.matched(str(place.row["matched_id"]))
        lines += ["", f"matched:  {place.row['matched_id']}"]
        lines += ["          (in none of the files given)"] if matched is None else _texts(matched)
    pair = None if place is None else place.pair
    text = instruction if pair is None else pair.instruction
    if text is None:
        return "\n".join(lines)
    compared = [each for file in ("kept", "train") for each in files.places.get(file, ()) if each is not place]
    found = nearest(text, compared, RougeTokens(stemmer, other_scripts))
    if found is None:
        return "\n".join([*lines, "", "nearest:  none: no kept row has a token in common with it"])
    identifier = found.place.pair.identifier if found.place.pair else ""
    lines += ["", f"nearest:  {identifier} ({found.place.name}), ROUGE-L F {found.score:.6f} of the instructions"]
    return "\n".join([*lines, *_texts(found.place)])


def _text_of(pair: Pair) -> tuple[str, str]:
    return pair.instruction, pair.response


def _of_row(place: Place) -> list[str]:
    identifier = place.name if place.pair is None else place.pair.identifier
    lines = [f"row:      {identifier} ({place.name})"]
    if place.file == "rejected":
        score = place.row.get("score")
        lines.append(
            f"decision: rejected: {place.row.get('reason')}" + (f", score {score:.6f}" if score is not None else "")
        )
    else:
        lines.append("decision: kept" if place.file == "kept" else f"decision: none known, a row of {place.file}")
    return lines + _texts(place)


def _texts(place: Place) -> list[str]:
    if place.pair is None:
        return ["          (no pair in it)"]
    return [f"  instruction: {_shown(place.pair.instruction)}", f"  response:    {_shown(place.pair.response)}"]


def _shown(text: str) -> str:
    cut = text if len(text) <= LONGEST_SHOWN else text[:LONGEST_SHOWN] + " ..."
    # Texts are untrusted: what would steer a terminal is shown as an escape.
    return "".join(
        letter if letter.isprintable() else f"\\x{ord(letter):02x}" if letter != "\n" else "\n               "
        for letter in cut
    )
