"""Responses with the grades of one judge."""

from collections.abc import Sequence

import pyarrow as pa

from llamaduo.storage.schemas.columns import REAL, TEXT, columns, extended
from llamaduo.storage.schemas.responses import RESPONSES


def grades_schema(metrics: Sequence[str]) -> pa.Schema:
    """Responses with, per metric, the mean over the grades, the M single grades and the reasons given.

    A grade that could not be had is null, and so is a mean over none.
    """
    grades: dict[str, pa.DataType] = {"dates": TEXT}
    for metric in metrics:
        grades[f"{metric}_scores"] = REAL
        grades[f"{metric}_grades"] = pa.list_(REAL)
        grades[f"{metric}_reasons"] = pa.list_(TEXT)
    return extended(RESPONSES, columns({"eval_prompts": TEXT, "evaluators": TEXT}, grades))
