"""What steps ask for: memory in MB, run time in minutes, GPUs, cores.

Requests follow from the sizes and speeds in the config's section `estimate` and the margins in `resources`, and are cut
down to what the site allows. Arguments are wildcards' values: names and numbers as text.
"""

from collections.abc import Mapping
from functools import cached_property

from llamaduo.config.root import Config
from llamaduo.estimate.model_size import billion_parameters
from llamaduo.synthesis.chunks import capacity, chunk_calls
from llamaduo.workflow.requests import (
    curation_minutes,
    grown,
    merge_minutes,
    minutes_on_gpus,
    model_mb,
    response_minutes,
    service_minutes,
    table_mb,
    training_minutes,
)
from llamaduo.workflow.site import Site

# Least memory of the steps that hold tables, in MB: Python, Arrow and pandas take half a gigabyte.
SMALL, TABLES, POOL, TEXTS = 1000, 2000, 8000, 4000
LARGE_MODEL = 6
"""10^9 parameters: in 4 bits a smaller model leaves one A100 half empty; a step of a larger one is worth dividing."""
SUBMITTING_MINUTES = 120
"""Requests and uploads of batches, which the services may have wait."""
WEIGHTS_OF_MERGE = 4
"""Copies of the weights in a merge: before and after, in 32 bits while they are compared."""


class Requests:
    """The requests of a config's steps on a site."""

    def __init__(self, config: Config, site: Site) -> None:
        self._config, self._site = config, site

    # Limits

    def memory(self, megabytes: int, times_out_of_memory: int) -> int:
        """A request for memory after the step has run out of it so many times."""
        return int(min(grown(megabytes, times_out_of_memory, self._config.resources), self._site.largest_mb))

    def minutes(self, minutes: int) -> int:
        """A request for time, cut down to what the site allows."""
        return int(min(minutes, self._site.longest_minutes))

    @property
    def short(self) -> int:
        """Minutes of a step that takes seconds to minutes."""
        return self.minutes(self._config.resources.start_minutes)

    @property
    def submitting(self) -> int:
        """Minutes of a step that submits batches."""
        return self.minutes(SUBMITTING_MINUTES)

    # GPUs and cores

    def gpus_of_training(self, task: str, model: str, volume: str) -> int:
        """GPUs of one training: as the site has it for the model or for large ones, else as the config has it."""
        if model in self._site.gpus:
            return self._site.gpus[model]
        if self._site.large_model_gpus and self._billions[model] >= LARGE_MODEL:
            return self._site.large_model_gpus
        return self._config.training_for(task, model, int(volume)).hardware.processes

    def cores_of_training(self, task: str, model: str, volume: str) -> int:
        """Cores of one training: every process prepares its own batches."""
        return self._site.cores_per_gpu * self.gpus_of_training(task, model, volume)

    # Memory

    def mb_of_model(self, model: str, volume: str = "0") -> int:
        """Memory of a step that loads a model and holds the rows of a volume."""
        return model_mb(self._billions[model], self._config.resources, pairs=int(volume))

    def mb_of_training(self, task: str, model: str, volume: str) -> int:
        """Memory of a training: every process loads the model for itself."""
        return self.mb_of_model(model, volume) * self.gpus_of_training(task, model, volume)

    def mb_of_merge(self, model: str) -> int:
        """Memory of merging an adapter into its base."""
        return model_mb(self._billions[model], self._config.resources, copies=WEIGHTS_OF_MERGE)

    def mb_of_pool(self, chunks: str) -> int:
        """Memory of curating the pairs of so many chunks."""
        return table_mb(capacity(int(chunks), self._config.synthesis), least=POOL)

    def mb_of_dataset(self, volume: str) -> int:
        """Memory of building a dataset."""
        return table_mb(int(volume), least=TEXTS)

    # Run time

    def minutes_of_merge(self, model: str) -> int:
        """Time of merging an adapter into its base."""
        return merge_minutes(self._billions[model], self._config.resources)

    def minutes_of_training(self, task: str, model: str, volume: str) -> int:
        """Time of a training on its GPUs."""
        config = self._config
        training = config.training_for(task, model, int(volume))
        alone = training_minutes(self._billions[model], int(volume), training, config.estimate, config.resources)
        return self.minutes(minutes_on_gpus(alone, self.gpus_of_training(task, model, volume), config.resources))

    def minutes_of_responses(self, task: str, model: str, volume: str = "0") -> int:
        """Time of a local LLM's K responses to every test prompt."""
        config, inference = self._config, self._config.inference_for(task, model, int(volume))
        asked = inference.samples, inference.max_new_tokens
        return self.minutes(response_minutes(self._billions[model], *asked, config.estimate, config.resources))

    def minutes_of_baseline(self, service: str) -> int:
        """Time of a service's own responses."""
        return self._minutes_of_calls(service, self._config.estimate.test_rows * self._config.inference.samples)

    def minutes_of_judging(self, judge: str) -> int:
        """Time of one judge's grades of one subject."""
        config = self._config
        grades = config.estimate.test_rows * config.inference.samples * config.judging.grades
        return self._minutes_of_calls(judge, grades)

    def minutes_of_chunk(self, generator: str, chunk: str) -> int:
        """Time of one chunk of a generator's calls."""
        return self._minutes_of_calls(generator, len(chunk_calls(int(chunk), self._config.synthesis)))

    def minutes_of_curation(self, chunks: str) -> int:
        """Time of curating the pairs of so many chunks."""
        return self.minutes(curation_minutes(capacity(int(chunks), self._config.synthesis), self._config.resources))

    def _minutes_of_calls(self, service: str, calls: int) -> int:
        settings = self._config.services[service].of_one_step()
        return self.minutes(service_minutes(calls, settings, self._config.resources))

    @cached_property
    def _billions(self) -> dict[str, float]:
        """The sizes of the models, in 10^9 parameters."""
        return {
            name: billion_parameters(name, model, self._config.estimate) for name, model in self._config.models.items()
        }


def step_key(rule: str, wildcards: Mapping[str, str]) -> str:
    """A step's name in the file of those that have run out of memory."""
    return " ".join([rule, *(f"{name}={value}" for name, value in sorted(wildcards.items()))])


def service_slot(service: str) -> str:
    """The name of the resource that keeps the steps of one service apart."""
    return f"service_{service}".replace("-", "_").replace(".", "_")


def waiting_slot(service: str) -> str:
    """The name of the resource that keeps those few that wait for a service's batches."""
    return f"waiting_{service_slot(service)}"
