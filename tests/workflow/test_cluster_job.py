"""A step as a job on a cluster runs it: by a Snakemake of its own, which knows nothing of the main process."""

from workspace import Workspace

FOR_ONE_STEP = "--mode remote --executor local --cores 1 --nolock --force-use-threads --allowed-rules deploy_model"


def test_a_job_finds_the_cycle_that_converged(finished: Workspace) -> None:
    finished.change("decision.epsilon.mean", 0)
    finished.run("results/runs/animals/coverage/gemma/volume-0/decision.json")

    step = "deploy_model:task=animals,generator=writer,model=gemma"
    done = finished.snakemake(*FOR_ONE_STEP.split(), "--target-jobs", step)

    assert done.returncode == 0, done.stdout + done.stderr
    card = finished.path("deploy/animals/writer/gemma/model/README.md")
    assert "simulated-grader" in card.read_text()
