"""The coverage dataset and the tasks that are cut from it."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from llamaduo.config.base import PathText, Section

ALL_CATEGORIES = "*"


class Columns(Section):
    """Names of the source's columns, where they are not the usual ones. A column that is named must exist."""

    prompt: str | None = None
    """Column of the prompt, for the layout `columns`; null: `prompt`."""
    response: str | None = None
    """Column of the response, for the layout `columns`; null: `response`."""
    system: str | None = None
    """Column of the system turn, for the layout `columns`; null: `system` if there is such a column, else none."""
    prompt_id: str | None = None
    """Column of the prompt's id; null: `prompt_id` if there is such a column, else ids are made from the text."""
    category: str | None = None
    """Column of the category; null: `category` if there is such a column, else the source has no categories."""


class CoverageSettings(Section):
    """Where the coverage dataset is, how it is laid out, and how it is split."""

    UNCOMPARED = dict.fromkeys(("minimum_train", "minimum_test"), "whether the splits are let through")

    source: PathText = Field(min_length=1)
    """A folder with train and test files, one file (.parquet, .jsonl, .json or .csv), or a Hub dataset `owner/name`."""
    revision: str | None = None
    """Commit, tag or branch of a Hub dataset; without it the data may change under the same config."""
    subset: str | None = None
    """Name of the Hub dataset's configuration, for a dataset that has several."""
    layout: Literal["auto", "no_robots", "openai_chat", "columns"] = "auto"
    """`no_robots`: prompt, prompt_id, messages, category; `openai_chat`: messages; `columns`: prompt, response."""
    columns: Columns = Columns()
    """Names of columns, where they are not the usual ones."""
    train_split: PathText = Field(default="train", min_length=1)
    """Name of the train split: of the Hub dataset's split, or of the folder's file without its ending."""
    test_split: PathText | None = Field(default=None, min_length=1)
    """Name of the test split; null: `test` where there is one, else the train split is divided by `test_ratio`."""
    test_ratio: float = Field(default=0.1, gt=0, lt=1)
    """Share of each category's rows that becomes the test split, when none is given."""
    seed: int = Field(default=42, ge=0)
    """Seed of that division."""
    shared_prompts: Literal["drop_from_train", "error"] = "drop_from_train"
    """What happens to a prompt that given splits both hold: it leaves the train split, or it is an error."""
    minimum_train: int = Field(default=2, ge=1)
    """A task with fewer rows than this in its train split is an error."""
    minimum_test: int = Field(default=1, ge=1)
    """A task with fewer rows than this in its test split is an error."""


class TaskSettings(Section):
    """One task: the rows of one or more categories, and how far the loop may go with them."""

    categories: list[str] = Field(default=[ALL_CATEGORIES])
    """Categories of the coverage dataset that make up the task; `["*"]` or an empty list: every row."""
    topic: str | None = Field(default=None, min_length=1)
    """What the task is about, as the generator is told; null: the names of the categories, or of the task."""
    generators: list[str] = Field(min_length=1)
    """Services that write this task's synthetic samples, each in a run of its own."""
    service: str | None = None
    """The service LLM that runs the feature now and must be matched; null: the first of the generators."""
    volumes: list[Annotated[int, Field(ge=0)]] = Field(min_length=1)
    """How many synthetic samples each cycle trains on, ascending; 0 trains on the coverage dataset alone."""
    forbidden_services: list[str] = Field(default=[])
    """Services that must not see this task's data: not as generators, not as judges, not for a baseline."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if ALL_CATEGORIES in self.categories and len(self.categories) > 1:
            raise ValueError('categories: "*" stands for every row and must be the only entry')
        for name, values in (("categories", self.categories), ("generators", self.generators)):
            if len(set(values)) < len(values):
                raise ValueError(f"{name}: one is named twice: {', '.join(values)}")
        if any(later <= earlier for earlier, later in zip(self.volumes, self.volumes[1:], strict=False)):
            raise ValueError(f"volumes: must be ascending, each one once: {self.volumes}")
        return self

    @property
    def reference(self) -> str:
        """The service LLM that must be matched."""
        return self.service or self.generators[0]
