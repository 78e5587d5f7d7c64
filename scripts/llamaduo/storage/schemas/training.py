"""The course of a fine-tuning."""

from llamaduo.storage.schemas.columns import COUNT, REAL, columns

TRAINING = columns(
    {"step": COUNT, "epoch": REAL},
    {"loss": REAL, "eval_loss": REAL, "learning_rate": REAL, "tokens": COUNT},
)
