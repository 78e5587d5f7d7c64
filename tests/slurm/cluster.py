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
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

ETC = Path("/etc/slurm")
MUNGE_KEY = Path("/etc/munge/munge.key")
MUNGE_RUN = Path("/run/munge")
MARK = "# Written by tests/slurm/cluster.py, which removes it again.\n"
FOLDER = Path(os.environ.get("LLAMADUO_TEST_CLUSTER", "/tmp/llamaduo-test-cluster"))
NAME = "llamaduo"
NODES = ("node1", "node2", "node3")
CONTROLLER_PORT, NODE_PORT, DATABASE_DAEMON_PORT, DATABASE_PORT = 26817, 26821, 26819, 23306
PACKAGES = ("slurmctld", "slurmd", "slurm-client", "munge", "slurmdbd", "mariadb-server")
PROGRAMS = ("slurmctld", "slurmd", "srun", "munged", "slurmdbd", "mariadbd")
PATIENCE_SECONDS = 120

# MinJobAge: the plugin asks sacct as soon as finished jobs are forgotten earlier than it looks.
# config_overrides: the nodes together have more processors than this machine.
# OverMemoryKill: there are no cgroups that would end a job over its memory.
# PreemptType: jobs in the partition `urgent` put those in `gpu` back into the queue.
SLURM_CONF = """\
ClusterName={name}
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort={controller_port}
AuthType=auth/munge
CredType=cred/munge
SlurmUser=root
SlurmdUser=root
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
DefMemPerCPU=500
ReturnToService=2
SlurmdParameters=config_overrides
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/pid/slurmctld.pid
SlurmdPidFile={folder}/pid/slurmd-%n.pid
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdLogFile={folder}/log/slurmd-%n.log
SlurmctldTimeout=20
SlurmdTimeout=20
MessageTimeout=10
KillWait=2
MinJobAge=3600
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=2,sched_interval=2,batch_sched_delay=0
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
JobCompType=jobcomp/none
JobRequeue=1
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
GresTypes=gpu
{accounting}
NodeName={first}[1-{count}] NodeHostname=localhost NodeAddr=127.0.0.1 Port={node_port}-{last_port} CPUs=4 \
RealMemory=128000 Gres=gpu:a100:4 State=UNKNOWN
PartitionName=cpu Nodes={first}[1-2] Default=YES MaxTime=24:00:00 State=UP
PartitionName=gpu Nodes={first}[2-3] MaxTime=24:00:00 State=UP
PartitionName=urgent Nodes={first}[2-3] MaxTime=24:00:00 PriorityTier=10 State=UP
"""
WITHOUT_ACCOUNTING = "AccountingStorageType=accounting_storage/none"
WITH_ACCOUNTING = """\
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={port}
AccountingStorageTRES=gres/gpu,gres/gpu:a100
AccountingStoreFlags=job_comment
AccountingStorageEnforce=associations"""
# A GPU is a device file, and one that is only counted is not shown to jobs: so links to a device that harms nobody.
GRES_CONF = "AutoDetect=off\nNodeName={first}[1-{count}] Name=gpu Type=a100 File={folder}/gpu/device[0-3]\n"
SLURMDBD_CONF = """\
AuthType=auth/munge
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort={port}
SlurmUser=root
LogFile={folder}/log/slurmdbd.log
PidFile={folder}/pid/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={database_port}
StorageUser=slurm
StoragePass=on-loopback-only
StorageLoc=slurm_acct_db
"""
DATABASE_USER = """
CREATE DATABASE IF NOT EXISTS slurm_acct_db;
CREATE USER IF NOT EXISTS 'slurm'@'localhost' IDENTIFIED BY 'on-loopback-only';
CREATE USER IF NOT EXISTS 'slurm'@'127.0.0.1' IDENTIFIED BY 'on-loopback-only';
GRANT ALL ON slurm_acct_db.* TO 'slurm'@'localhost';
GRANT ALL ON slurm_acct_db.* TO 'slurm'@'127.0.0.1';
"""


class ClusterError(Exception):
    """The cluster cannot be started here, or did not come up."""


@dataclass
class Cluster:
    """The cluster in one folder of state, logs and process ids; there can be one on a machine."""

    folder: Path = FOLDER

    # Starting and stopping

    def start(self, accounting: bool = False) -> None:
        """Bring all daemons up and wait until every node takes jobs. Raises `ClusterError`."""
        _check_machine()
        self.stop()
        for part in ("state", "log", "pid", "gpu", *(f"spool/{node}" for node in NODES)):
            (self.folder / part).mkdir(parents=True, exist_ok=True)
        for number in range(4):
            (self.folder / f"gpu/device{number}").symlink_to("/dev/null")
        self._write_settings(accounting)
        self._start_munge()
        if accounting:
            self._start_database()
            self._start_accounting()
        self.start_controller()
        for node in NODES:
            self.start_node(node)
        self.wait_for_nodes()

    def stop(self) -> None:
        """End every job and daemon by its process id, and remove what `start` wrote."""
        if (ETC / "slurm.conf").is_file() and not _is_ours(ETC / "slurm.conf"):
            return
        if _answers("scontrol", "ping"):
            self.cancel_all()
        names = ["slurmctld", *(f"slurmd-{node}" for node in NODES), "slurmdbd", "mariadb", "munged"]
        for name in names:
            end(self._pid(name))
        for process in left_processes():
            end(process.pid)
        for name in ("slurm.conf", "gres.conf", "slurmdbd.conf"):
            if _is_ours(ETC / name):
                (ETC / name).unlink()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start_controller(self) -> None:
        run("slurmctld", "-i")
        wait_until(lambda: _answers("scontrol", "ping"), "the controller", self.folder / "log/slurmctld.log")

    def stop_controller(self) -> None:
        end(self._pid("slurmctld"))

    def start_node(self, node: str) -> None:
        run("slurmd", "-N", node)

    def kill_node(self, node: str) -> None:
        """SIGKILL a node's daemon and everything that its jobs run, as a power failure does."""
        daemon = self._pid(f"slurmd-{node}")
        doomed = [process for process in left_processes() if _node_of(process) == node]
        if daemon is not None:
            os.kill(daemon, signal.SIGKILL)
        for process in doomed:
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

    def _pid(self, name: str) -> int | None:
        try:
            return int((self.folder / f"pid/{name}.pid").read_text())
        except (OSError, ValueError):
            return None

    def _write_settings(self, accounting: bool) -> None:
        ETC.mkdir(parents=True, exist_ok=True)
        values = {
            "name": NAME,
            "folder": self.folder,
            "first": NODES[0].rstrip("1"),
            "count": len(NODES),
            "controller_port": CONTROLLER_PORT,
            "node_port": NODE_PORT,
            "last_port": NODE_PORT + len(NODES) - 1,
            "accounting": WITH_ACCOUNTING.format(port=DATABASE_DAEMON_PORT) if accounting else WITHOUT_ACCOUNTING,
        }
        (ETC / "slurm.conf").write_text(MARK + SLURM_CONF.format(**values))
        (ETC / "gres.conf").write_text(MARK + GRES_CONF.format(**values))
        if accounting:
            settings = ETC / "slurmdbd.conf"
            settings.touch(mode=0o600)
            text = SLURMDBD_CONF.format(port=DATABASE_DAEMON_PORT, database_port=DATABASE_PORT, folder=self.folder)
            settings.write_text(MARK + text)

    def _start_munge(self) -> None:
        """A munged of our own, where none answers."""
        if _answers("munge", "--no-input"):
            return
        if not MUNGE_KEY.is_file():
            MUNGE_KEY.parent.mkdir(parents=True, exist_ok=True)
            MUNGE_KEY.touch(mode=0o400)
            MUNGE_KEY.write_bytes(os.urandom(128))
            shutil.chown(MUNGE_KEY, "munge", "munge")
        MUNGE_RUN.mkdir(exist_ok=True)
        shutil.chown(MUNGE_RUN, "munge", "munge")
        MUNGE_RUN.chmod(0o755)
        run("setpriv", "--reuid=munge", "--regid=munge", "--clear-groups", "munged", "--force")
        wait_until(lambda: _answers("munge", "--no-input"), "munged", None)
        (self.folder / "pid/munged.pid").write_text((MUNGE_RUN / "munged.pid").read_text())

    def _start_database(self) -> None:
        data = self.folder / "database"
        data.mkdir(exist_ok=True)
        shutil.chown(data, "mysql", "mysql")
        self.folder.chmod(0o755)
        place = (f"--datadir={data}", "--user=mysql")
        run("mariadb-install-db", "--no-defaults", *place, "--auth-root-authentication-method=socket", "--skip-test-db")
        with (self.folder / "log/mariadb.log").open("wb") as log:
            daemon = subprocess.Popen(
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
                start_new_session=True,
            )
        (self.folder / "pid/mariadb.pid").write_text(str(daemon.pid))
        client = ("--no-defaults", f"--socket={data / 'socket'}")
        wait_until(lambda: _answers("mariadb-admin", *client, "ping"), "the database", self.folder / "log/mariadb.log")
        run("mariadb", *client, "--execute", DATABASE_USER)

    def _start_accounting(self) -> None:
        run("slurmdbd")
        log = self.folder / "log/slurmdbd.log"
        wait_until(lambda: _answers("sacctmgr", "--noheader", "show", "cluster"), "the accounting daemon", log)
        user = told("id", "--user", "--name").strip()
        for entity in (
            ("cluster", NAME),
            ("account", "research", f"Cluster={NAME}", "Description=tests", "Organization=tests"),
            ("user", user, "Account=research", f"Cluster={NAME}", "DefaultAccount=research", "AdminLevel=Admin"),
        ):
            run("sacctmgr", "--quiet", "--immediate", "add", *entity)


def left_processes() -> Iterator[psutil.Process]:
    """The processes that jobs of this cluster run, and SLURM's keepers of steps."""
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            keeper = process.name().startswith("slurmstepd")
            if keeper or process.environ().get("SLURM_CLUSTER_NAME") == NAME:
                yield process


def _node_of(process: psutil.Process) -> str | None:
    """The node that a process belongs to; a keeper of a step is asked for that of the program that it started."""
    for one in (process, *process.children(recursive=True)):
        with suppress(psutil.Error):
            node = one.environ().get("SLURMD_NODENAME")
            if node:
                return node
    return None


def end(pid: int | None, seconds: float = 10) -> None:
    """Ask a process to end, and kill it when it does not."""
    if pid is None or pid == os.getpid():
        return
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        for ask in (process.terminate, process.kill):
            ask()
            deadline = time.monotonic() + seconds
            while lives(process):
                if time.monotonic() > deadline:
                    break
                time.sleep(0.02)
            else:
                return


def lives(process: psutil.Process) -> bool:
    """Whether a process runs; one that has ended may stay listed until somebody asks for its status."""
    with suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def wait_until(reached: Callable[[], bool], what: str, log: Path | None, seconds: float = PATIENCE_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not reached():
        if time.monotonic() > deadline:
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-20:]) if log and log.is_file() else ""
            raise ClusterError(f"waited {seconds:g} s for {what}\n{tail}")
        time.sleep(0.1)


def run(*command: str) -> None:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ClusterError(f"{' '.join(command)}: {done.stdout}{done.stderr}")


def told(*command: str) -> str:
    """What a command prints; nothing when it fails."""
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False).stdout


def _answers(*command: str) -> bool:
    if shutil.which(command[0]) is None:
        return False
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    return done.returncode == 0 and "DOWN" not in done.stdout


def _is_ours(file: Path) -> bool:
    return file.is_file() and file.read_text().startswith(MARK)


def _check_machine() -> None:
    if os.geteuid() != 0:
        raise ClusterError("root is needed: SLURM's daemons start jobs in the name of users")
    if missing := missing_programs():
        raise ClusterError(f"not installed: {', '.join(missing)}; on Debian and Ubuntu: {install_command()}")
    if (ETC / "slurm.conf").exists() and not _is_ours(ETC / "slurm.conf"):
        raise ClusterError(f"{ETC}/slurm.conf is not of this test cluster; it is left as it is, and no cluster started")


def missing_programs() -> list[str]:
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    return [program for program in PROGRAMS if shutil.which(program, path=path) is None]


def install_command() -> str:
    return f"apt-get install {' '.join(PACKAGES)}"


def install() -> None:
    """Install the packages that are missing, where this user and this distribution allow it."""
    if not missing_programs():
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise ClusterError(f"SLURM is missing, and installing it needs root on Debian or Ubuntu: {install_command()}")
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update"], ["install", "--yes", "--no-install-recommends", *PACKAGES]):
        subprocess.run(["apt-get", "-qq", *command], env=environment, stdout=sys.stderr, check=True)


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
            cluster.start(arguments.accounting)
            print(told("sinfo"), end="")
        else:
            cluster.stop()
    except ClusterError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
