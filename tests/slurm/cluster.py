"""A real SLURM on this machine: three nodes with four pretended A100s each, from the distribution's packages.

    python tests/slurm/cluster.py install          # Debian's packages, where they are missing
    python tests/slurm/cluster.py up [--accounting]
    python tests/slurm/cluster.py down

It needs root, and no systemd and no cgroups. `--accounting` adds slurmdbd over a MariaDB of its own, for sacct. SLURM
finds its settings in /etc/slurm only (the executor plugin takes SLURM_CONF out of its steps' environment), so they are
written there, and never over settings that this file has not written.
"""

import argparse
import os
import shutil
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
from packages import install, install_command, missing_programs
from processes import (
    FOLDER,
    MARK,
    NAME,
    ClusterError,
    answers,
    daemons,
    end,
    node_of,
    processes_of_jobs,
    run,
    told,
    wait_until,
)
from settings import DATABASE_PORT, ETC, NODES, belongs_to_others, is_ours, remove_settings, write_settings

MUNGE_KEY = Path("/etc/munge/munge.key")
MUNGE_RUN = Path("/run/munge")
STARTED_HERE = "llamaduo-test-cluster"
"""The file that tells a folder of the cluster, which may be removed, from one of somebody else."""
DATABASE_USER = """
CREATE DATABASE IF NOT EXISTS slurm_acct_db;
CREATE USER IF NOT EXISTS 'slurm'@'localhost' IDENTIFIED BY 'on-loopback-only';
CREATE USER IF NOT EXISTS 'slurm'@'127.0.0.1' IDENTIFIED BY 'on-loopback-only';
GRANT ALL ON slurm_acct_db.* TO 'slurm'@'localhost';
GRANT ALL ON slurm_acct_db.* TO 'slurm'@'127.0.0.1';
"""


@dataclass
class Cluster:
    """The cluster in one folder of state, logs and process ids; there can be one on a machine."""

    folder: Path = FOLDER

    # Starting and stopping

    def start(self, accounting: bool = False) -> None:
        """Bring all daemons up and wait until every node takes jobs. Raises `ClusterError`."""
        check_machine()
        if self.folder.exists() and not self._is_own_folder():
            raise ClusterError(f"{self.folder} is of somebody else; name another folder in LLAMADUO_TEST_CLUSTER")
        self.stop()
        self.folder.mkdir(parents=True)
        (self.folder / STARTED_HERE).touch()
        for part in ("state", "log", "pid", "gpu", *(f"spool/{node}" for node in NODES)):
            (self.folder / part).mkdir(parents=True, exist_ok=True)
        for number in range(4):
            (self.folder / f"gpu/device{number}").symlink_to("/dev/null")
        write_settings(self.folder, accounting)
        start_munge()
        if accounting:
            self._start_database()
            self._start_accounting()
        self.start_controller()
        for node in NODES:
            self.start_node(node)
        self.wait_for_nodes()

    def stop(self) -> None:
        """End every job and daemon of this cluster, and remove what `start` wrote; nothing of anybody else.

        Raises `ClusterError` when a process is left.
        """
        # Without settings of ours SLURM's commands would find a real cluster, as by its name in the network.
        if is_ours(ETC / "slurm.conf") and answers("scontrol", "ping"):
            self.cancel_all()
        for name in ("slurmctld", "slurmd", "slurmdbd", "mariadbd", "munged"):
            for daemon in list(daemons(name)):
                end(daemon)
        for process in list(processes_of_jobs()):
            end(process)
        remove_settings()
        if self._is_own_folder():
            shutil.rmtree(self.folder)
        if left := [*daemons(), *processes_of_jobs()]:
            raise ClusterError(f"left behind: {', '.join(map(str, left))}")

    def start_controller(self) -> None:
        run("slurmctld", "-i", daemon=True)
        wait_until(lambda: answers("scontrol", "ping"), "the controller", self.folder / "log/slurmctld.log")

    def stop_controller(self) -> None:
        for daemon in list(daemons("slurmctld")):
            end(daemon)

    def start_node(self, node: str) -> None:
        run("slurmd", "-N", node, daemon=True)

    def kill_node(self, node: str) -> None:
        """SIGKILL a node's daemon and everything that its jobs run, as a power failure does."""
        doomed = [process for process in processes_of_jobs() if node_of(process) == node]
        doomed += [daemon for daemon in daemons("slurmd") if daemon.cmdline()[-1] == node]
        for process in reversed(doomed):
            with suppress(psutil.NoSuchProcess):
                process.kill()

    def wait_for_nodes(self) -> None:
        def all_idle() -> bool:
            return set(told("sinfo", "--noheader", "--Node", "--format", "%t").split()) == {"idle"}

        wait_until(all_idle, "the nodes", self.folder / "log/slurmctld.log")

    def cancel_all(self) -> None:
        """Cancel every job and wait until none is left."""
        jobs = told("squeue", "--noheader", "--format", "%A").split()
        if jobs:
            run("scancel", "--full", *jobs)
            with suppress(ClusterError):
                wait_until(lambda: not told("squeue", "--noheader"), "the end of the jobs", None, seconds=30)

    # Parts

    def _is_own_folder(self) -> bool:
        """Whether a start has made this folder: no other user, nor this one for another purpose."""
        mark = self.folder / STARTED_HERE
        return mark.is_file() and mark.stat().st_uid == self.folder.stat().st_uid == os.geteuid()

    def _start_database(self) -> None:
        data = self.folder / "database"
        data.mkdir(exist_ok=True)
        shutil.chown(data, "mysql", "mysql")
        self.folder.chmod(0o755)
        place = (f"--datadir={data}", "--user=mysql")
        run("mariadb-install-db", "--no-defaults", *place, "--auth-root-authentication-method=socket", "--skip-test-db")
        with (self.folder / "log/mariadb.log").open("wb") as log:
            subprocess.Popen(
                [
                    "mariadbd",
                    "--no-defaults",
                    *place,
                    f"--socket={data}/socket",
                    f"--port={DATABASE_PORT}",
                    "--bind-address=127.0.0.1",
                    f"--pid-file={data}/pid",
                    "--innodb-lock-wait-timeout=900",
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, MARK: NAME},
                start_new_session=True,
            )
        client = ("--no-defaults", f"--socket={data / 'socket'}")
        wait_until(lambda: answers("mariadb-admin", *client, "ping"), "the database", self.folder / "log/mariadb.log")
        run("mariadb", *client, "--execute", DATABASE_USER)

    def _start_accounting(self) -> None:
        run("slurmdbd", daemon=True)
        log = self.folder / "log/slurmdbd.log"
        wait_until(lambda: answers("sacctmgr", "--noheader", "show", "cluster"), "the accounting daemon", log)
        user = told("id", "--user", "--name").strip()
        for entity in (
            ("cluster", NAME),
            ("account", "research", f"Cluster={NAME}", "Description=tests", "Organization=tests"),
            ("user", user, "Account=research", f"Cluster={NAME}", "DefaultAccount=research", "AdminLevel=Admin"),
        ):
            run("sacctmgr", "--quiet", "--immediate", "add", *entity)


def start_munge() -> None:
    """A munged of our own, where none answers."""
    if answers("munge", "--no-input"):
        return
    if not MUNGE_KEY.is_file():
        MUNGE_KEY.parent.mkdir(parents=True, exist_ok=True)
        MUNGE_KEY.touch(mode=0o400)
        MUNGE_KEY.write_bytes(os.urandom(128))
        shutil.chown(MUNGE_KEY, "munge", "munge")
    MUNGE_RUN.mkdir(exist_ok=True)
    shutil.chown(MUNGE_RUN, "munge", "munge")
    MUNGE_RUN.chmod(0o755)
    run("setpriv", "--reuid=munge", "--regid=munge", "--clear-groups", "munged", "--force", daemon=True)
    wait_until(lambda: answers("munge", "--no-input"), "munged", None)


def check_machine() -> None:
    """Raise `ClusterError` where no cluster can be started."""
    if os.geteuid() != 0:
        raise ClusterError("root is needed: SLURM's daemons start jobs in the name of users")
    if missing := missing_programs():
        raise ClusterError(f"not installed: {', '.join(missing)}; on Debian and Ubuntu: {install_command()}")
    if belongs_to_others():
        raise ClusterError(f"{ETC}/slurm.conf is not of this test cluster; it is left as it is, and no cluster started")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=["install", "up", "down"])
    parser.add_argument("--accounting", action="store_true", help="with slurmdbd and MariaDB, for sacct")
    arguments = parser.parse_args()
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    os.environ.pop("SLURM_CONF", None)
    cluster = Cluster()
    try:
        if arguments.action == "install":
            install()
        elif arguments.action == "up":
            try:
                cluster.start(arguments.accounting)
            except ClusterError:
                cluster.stop()
                raise
            print(told("sinfo"), end="")
        else:
            cluster.stop()
    except ClusterError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
