"""V and C of one set of responses, per judge and metric."""

from llamaduo.storage.schemas.columns import COUNT, REAL, TEXT, columns

METRICS = columns(
    {
        "judge": TEXT,
        "metric": TEXT,
        "statistic": TEXT,
        "value": REAL,
        "lower": REAL,
        "upper": REAL,
        "prompts": COUNT,
        "responses": COUNT,
        "ungraded": COUNT,
    },
    {"zeta": REAL},
)
