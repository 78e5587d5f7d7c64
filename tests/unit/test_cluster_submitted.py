"""The notes of what was submitted, which the next start rests on."""

import os
from pathlib import Path

from llamaduo.cluster.submitted import (
    TIMESTAMP,
    Submitted,
    digest_of_times,
    is_made,
    note,
    note_start,
    read,
    read_starts,
    times_of,
)


def submitted(id: str, digest: str = "a") -> Submitted:
    return Submitted(id, "judge", "grades", "", digest, 5.0, 1, 1, 1, 0, before={"grades": 1.5})


def changed_at(file: Path, time: float) -> Path:
    file.touch()
    os.utime(file, (time, time))
    return file


def test_notes_survive_a_line_that_was_cut_off(tmp_path: Path) -> None:
    file = tmp_path / "settings/submitted.jsonl"
    note_start(file, "run-1", tmp_path)
    for job in (submitted("12"), submitted("12", "b"), submitted("13")):
        note(file, job)
    with file.open("a") as lines:
        lines.write('{"id": "14", "ru')
    note(file, submitted("15"))

    assert {id: job.digest for id, job in read(file).items()} == {"12": "b", "13": "a", "15": "a"}
    assert read(file)["15"] == submitted("15")


def test_the_jobs_of_a_copied_folder_belong_to_the_original(tmp_path: Path) -> None:
    file = tmp_path / "submitted.jsonl"
    note_start(file, "run-1", tmp_path / "original")
    note_start(file, "run-2", tmp_path / "copy")

    assert read_starts(file, tmp_path / "original") == {"run-1"}
    assert read_starts(tmp_path / "none", tmp_path) == set()


def test_a_result_is_there_when_it_is_another_than_before(tmp_path: Path) -> None:
    """Told by the file system's own times: the clock of the machine that submits may go wrong by minutes."""
    kept, made = changed_at(tmp_path / "kept", 100), changed_at(tmp_path / "made", 100)
    before = times_of([kept, made])
    changed_at(made, 90)

    assert is_made([made], before)
    assert is_made([made], {})
    assert not is_made([kept], before), "the output of an earlier job"
    assert not is_made([kept, made], before)
    assert not is_made([made, tmp_path / "missing"], before)


def test_inputs_are_unchanged_while_their_times_are(tmp_path: Path) -> None:
    inputs = [changed_at(tmp_path / "dataset", 100), tmp_path / "model"]
    inputs[1].mkdir()
    stamp = changed_at(inputs[1] / TIMESTAMP, 100)
    then = digest_of_times(inputs)

    changed_at(inputs[1] / "added", 300)
    assert digest_of_times(inputs) == then, "a folder has the time that Snakemake gave it"
    changed_at(stamp, 200)
    assert digest_of_times(inputs) != then
    inputs[0].unlink()
    assert digest_of_times(inputs) != then
