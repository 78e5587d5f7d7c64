"""Which steps wait for batches, and what keeps the waiting jobs few."""

from snakemake.io import IOFile

# Snakemake runs five steps at a time beside its main process, whatever their threads, where the others go to a cluster.
# Those that may take a day get three of these places, so that the steps of seconds never wait for them.
LONG_PLACES = 3
WAITING_PLACES = 1 if SERVICES_ON_LOGIN_NODE else LONG_PLACES


def waiting_slots():
    """A resource per service, taken by the jobs that wait for its batches, and one for all that wait.

    It does not matter which of them wait: whichever does looks after all batches of the service.
    """

    def takes(name):
        def slots(wildcards):
            return int(wildcards.service == name)

        return slots

    return {"places_to_wait": 1, **{waiting_slot(name): takes(name) for name in CONFIG.services}}


IN_BATCHES = [name for name, service in CONFIG.services.items() if service.mode == "batch"]
for service_name in CONFIG.services:
    places = max(1, WAITING_PLACES // max(1, len(IN_BATCHES)))
    workflow.global_resources.setdefault(waiting_slot(service_name), Resource(waiting_slot(service_name), places))
workflow.global_resources.setdefault("places_to_wait", Resource("places_to_wait", WAITING_PLACES))
workflow.global_resources.setdefault("places_to_ask", Resource("places_to_ask", LONG_PLACES - 1))


def awaited(service, step, table):
    """The file that tells that a step's batches have been awaited; none for a step that asks online.

    A change of the mode must not make Snakemake see other inputs than a table was made from, and make it again. So
    where there is a table, what counts is how it was made; the mode counts for what is to be made.
    """
    path = RESULTS.batches(step, service, "answered")
    answered, is_there = str(path), path.is_file()
    if not workflow.is_main_process:
        return [answered] if is_there else []
    if service not in IN_BATCHES and not is_there:
        return []
    made_from = workflow.persistence.input(IOFile(str(table))) if table.is_file() else None
    if made_from is not None:
        return [answered] if answered in made_from else []
    return [answered] if service in IN_BATCHES else []


def awaited_grades(wildcards):
    table = RESULTS.grades(wildcards.subject, wildcards.judge)
    return awaited(wildcards.judge, f"judging/{wildcards.subject}", table)


def awaited_responses(wildcards):
    table = RESULTS.baseline(wildcards.task, wildcards.service) / "responses.parquet"
    return awaited(wildcards.service, f"baselines/{wildcards.task}", table)


def awaited_pairs(wildcards):
    table = RESULTS.chunk(wildcards.task, wildcards.generator, wildcards.chunk)
    return awaited(wildcards.generator, f"synthesis/{wildcards.task}/chunk-{wildcards.chunk}", table)
