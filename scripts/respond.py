"""Let a local LLM answer every test prompt K times, in batches."""

from pathlib import Path

from llamaduo.cli.program import run
from llamaduo.config.inference import InferenceSettings
from llamaduo.config.models import ModelSettings


def main(
    prompts: Path,
    model: ModelSettings,
    model_name: str,
    settings: InferenceSettings,
    state: Path,
    output: Path,
    adapter: Path | None = None,
) -> None:
    """Let a local LLM answer every test prompt K times, in batches.

    Args:
        prompts: the test split of a coverage dataset (parquet).
        model: the model, a JSON object: path, revision, kind, family ...
        model_name: the model's name in the output.
        settings: how it answers, a JSON object: samples (K), temperature, max_new_tokens ...
        state: folder that keeps finished responses, so that the same command continues after a kill and a larger K
            computes the new responses only.
        output: the responses, parquet.
        adapter: the folder that finetune.py wrote; without it the model answers as it is.
    """
    from llamaduo.inference.respond import respond, summary
    from llamaduo.storage import tables
    from llamaduo.storage.schemas.coverage import COVERAGE
    from llamaduo.storage.schemas.responses import RESPONSES

    rows = respond(tables.read_rows(prompts, COVERAGE), model, model_name, adapter, settings, state)
    tables.write_rows(output, rows, RESPONSES)
    print(f"{model_name}: {summary(rows)}")


if __name__ == "__main__":
    run(main, __doc__)
