"""A coverage dataset from the Hugging Face Hub."""

from llamaduo.cli.errors import InputError
from llamaduo.config.coverage import CoverageSettings
from llamaduo.coverage.rows import SourceRow
from llamaduo.models.hub import PREFETCH, Repository, settled


def read_hub(settings: CoverageSettings) -> dict[str, list[SourceRow]]:
    """The splits of the Hub dataset `settings.source` at `settings.revision`; data only, its code is never run.

    Raises `InputError` when the Hub cannot be reached, or has no such dataset, revision or configuration.
    """
    from datasets import DatasetDict, load_dataset
    from datasets.exceptions import DatasetNotFoundError, DatasetsError

    name = settings.source
    revision = "" if settings.revision is None else f" at revision {settings.revision!r}"
    prefetched = settled(Repository(name, settings.revision, "dataset"))
    try:
        if prefetched is not None:
            loaded = load_dataset(str(prefetched), settings.subset)
        else:
            loaded = load_dataset(name, settings.subset, revision=settings.revision)
    except DatasetNotFoundError as error:
        raise InputError(
            f"{name}: neither a file or folder nor a dataset of the Hugging Face Hub{revision}; "
            f"if it is private or gated, set HF_TOKEN ({_first_line(error)})"
        ) from error
    except (ValueError, DatasetsError) as error:
        raise InputError(
            f"{name}: cannot be loaded from the Hugging Face Hub{revision}: {_first_line(error)}"
        ) from error
    except Exception as error:  # the Hub's client lets the errors of several network libraries through
        raise InputError(
            f"{name}: no such file or folder, and the Hugging Face Hub cannot be reached to look for a dataset "
            f"of that name: {_first_line(error)} (on nodes without network: {PREFETCH})"
        ) from error
    if not isinstance(loaded, DatasetDict):
        raise InputError(f"{name}: the Hub dataset has no splits")
    return {
        split: [SourceRow(f"{name} ({split}): row {number}", row) for number, row in enumerate(rows, start=1)]
        for split, rows in loaded.items()
        if split in (settings.train_split, settings.test_split or "test")
    }


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".split("\n", 1)[0]
