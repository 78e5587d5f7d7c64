"""What the steps ask for: memory in MB, run time in minutes. They follow from the sizes and speeds in the config's
section `estimate`, and the margins in `resources`; what a site allows, and where the steps go, is in its profile.
"""

# Which steps have run out of memory, and how often: their next attempt asks for more, which no other failure does.
OUT_OF_MEMORY = Path(results("settings/out_of_memory.json"))
# Least memory of the steps that hold tables, in MB: Python, Arrow and pandas take half a gigabyte.
SMALL, TABLES, POOL, TEXTS = 1000, 2000, 8000, 4000
# A step without estimate takes seconds to minutes.
SHORT = CONFIG.resources.start_minutes


# What the site's partitions allow.
LONGEST_MINUTES = SITE.longest_minutes
LARGEST_MB = SITE.largest_mb
# Requests and uploads of batches, which the services may have wait.
TIME_OF_SUBMITTING = int(min(120, LONGEST_MINUTES))
# The site's GPUs of one training, by model; those of every other large model; and the cores beside each GPU.
GPUS_BY_MODEL = SITE.gpus
GPUS_OF_LARGE_MODEL = SITE.large_model_gpus
CORES_PER_GPU = SITE.cores_per_gpu
# 10^9 parameters: in 4 bits a smaller model leaves one A100 half empty, and a step of a larger one is worth dividing.
LARGE_MODEL = 6


def step_key(rule, wildcards):
    """A step's name in the file of those that have run out of memory."""
    return " ".join([rule, *(f"{name}={value}" for name, value in sorted(wildcards.items()))])


def times_out_of_memory(rule, wildcards):
    return read_json(OUT_OF_MEMORY).get(step_key(rule, wildcards), 0) if OUT_OF_MEMORY.is_file() else 0


def memory(of):
    """A request for memory: so many MB, or a function of the wildcards; more after the step has run out of it."""

    def megabytes(wildcards, rulename):
        least = of(wildcards) if callable(of) else of
        return int(min(grown(least, times_out_of_memory(rulename, wildcards), CONFIG.resources), LARGEST_MB))

    return megabytes


def within_limit(estimate):
    """A function of the wildcards that gives an estimate of minutes, cut down to what the site allows."""

    @functools.wraps(estimate)
    def minutes(wildcards):
        return int(min(estimate(wildcards), LONGEST_MINUTES))

    return minutes


def more_each_time(estimate):
    """Minutes of a step that begins anew each time: so many, or a function of the wildcards, times the attempt."""

    def minutes(wildcards, attempt):
        return int(min((estimate(wildcards) if callable(estimate) else estimate) * attempt, LONGEST_MINUTES))

    return minutes


def gpus_of_training(wildcards):
    """GPUs of one training: as the site has it for the model or for large ones, else as the config has it."""
    if wildcards.model in GPUS_BY_MODEL:
        return GPUS_BY_MODEL[wildcards.model]
    if GPUS_OF_LARGE_MODEL and billions(wildcards) >= LARGE_MODEL:
        return GPUS_OF_LARGE_MODEL
    return cycle_settings(wildcards, CONFIG.training_for).hardware.processes


def cores_of_training(wildcards):
    """Every process of a training prepares its own batches."""
    return CORES_PER_GPU * gpus_of_training(wildcards)


def on_all_gpus(estimate):
    """A function of the wildcards that gives minutes on the GPUs of a training, from one that gives them on one GPU."""

    @functools.wraps(estimate)
    def minutes(wildcards):
        return minutes_on_gpus(estimate(wildcards), gpus_of_training(wildcards), CONFIG.resources)

    return minutes


def billions(wildcards):
    """The size of the model that a step is about, in 10^9 parameters."""
    return sizes_of_models()[wildcards.model]


@functools.cache
def sizes_of_models():
    return {name: billion_parameters(name, model, CONFIG.estimate) for name, model in CONFIG.models.items()}


def pairs_of_chunks(wildcards):
    """The pairs that a pool's chunks ask for."""
    return capacity(int(wildcards.chunks), CONFIG.synthesis)


# Memory


def memory_of_model(wildcards):
    """Of a step that loads a model and holds the rows of a volume."""
    return model_mb(billions(wildcards), CONFIG.resources, pairs=int(wildcards.get("volume", 0)))


def memory_of_training(wildcards):
    """Every process of a training loads the model for itself."""
    return memory_of_model(wildcards) * gpus_of_training(wildcards)


def memory_of_merge(wildcards):
    """Of merging: the weights before and after, in 32 bits while they are compared."""
    return model_mb(billions(wildcards), CONFIG.resources, copies=4)


def memory_of_pool(wildcards):
    return table_mb(pairs_of_chunks(wildcards), least=POOL)


def memory_of_dataset(wildcards):
    return table_mb(int(wildcards.volume), least=TEXTS)


# Run time


def time_of_merge(wildcards):
    return merge_minutes(billions(wildcards), CONFIG.resources)


@within_limit
@on_all_gpus
def time_of_training(wildcards):
    training = CONFIG.training_for(wildcards.task, wildcards.model, int(wildcards.volume))
    return training_minutes(billions(wildcards), int(wildcards.volume), training, CONFIG.estimate, CONFIG.resources)


@within_limit
def time_of_responses(wildcards):
    inference = cycle_settings(wildcards, CONFIG.inference_for)
    asked = inference.samples, inference.max_new_tokens
    return response_minutes(billions(wildcards), *asked, CONFIG.estimate, CONFIG.resources)


@within_limit
def time_of_own_responses(wildcards):
    calls = CONFIG.estimate.test_rows * CONFIG.inference.samples
    return service_minutes(calls, service_of_step(wildcards.service), CONFIG.resources)


@within_limit
def time_of_judging(wildcards):
    calls = CONFIG.estimate.test_rows * CONFIG.inference.samples * CONFIG.judging.grades
    return service_minutes(calls, service_of_step(wildcards.judge), CONFIG.resources)


@within_limit
def time_of_chunk(wildcards):
    calls = len(chunk_calls(int(wildcards.chunk), CONFIG.synthesis))
    return service_minutes(calls, service_of_step(wildcards.generator), CONFIG.resources)


@within_limit
def time_of_curation(wildcards):
    return curation_minutes(pairs_of_chunks(wildcards), CONFIG.resources)
