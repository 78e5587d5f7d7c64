"""The settings of the test cluster, in /etc/slurm, where SLURM looks for them; never over settings of somebody else."""

from pathlib import Path

from processes import NAME, NUMBER

ETC = Path("/etc/slurm")
OURS = "# Written for LlamaDuo's test cluster (tests/slurm/settings.py), which removes it again.\n"
NODES = ("node1", "node2", "node3")
FIRST_PORTS = {"controller": 26817, "database daemon": 26819, "nodes": 26821, "database": 23306}
CONTROLLER_PORT, DATABASE_DAEMON_PORT, NODE_PORT, DATABASE_PORT = (port + 20 * NUMBER for port in FIRST_PORTS.values())
FILES = ("slurm.conf", "gres.conf", "slurmdbd.conf")

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
NodeName=DEFAULT CPUs=4 RealMemory=128000 State=UNKNOWN
NodeName={first}1 NodeHostname=localhost NodeAddr=127.0.0.1 Port={node_port} Gres=gpu:{detected}:4
NodeName={first}[2-{count}] NodeHostname=localhost NodeAddr=127.0.0.1 Port={second_port}-{last_port} Gres=gpu:a100:4
PartitionName=cpu Nodes={first}[1-2] Default=YES MaxTime=24:00:00 State=UP
PartitionName=gpu Nodes={first}[2-3] MaxTime=24:00:00 State=UP
PartitionName=urgent Nodes={first}[2-3] MaxTime=24:00:00 PriorityTier=10 State=UP
PartitionName=sxm Nodes={first}1 MaxTime=24:00:00 State=UP
"""
WITHOUT_ACCOUNTING = "AccountingStorageType=accounting_storage/none"
WITH_ACCOUNTING = """\
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={port}
AccountingStorageTRES=gres/gpu,gres/gpu:a100
AccountingStoreFlags=job_comment
AccountingStorageEnforce=associations,limits"""
# A GPU is a device file, and one that is only counted is not shown to jobs: so links to a device that harms nobody.
GRES_CONF = """\
AutoDetect=off
NodeName={first}1 Name=gpu Type={detected} File={folder}/gpu/device[0-3]
NodeName={first}[2-{count}] Name=gpu Type=a100 File={folder}/gpu/device[0-3]
"""
DETECTED_TYPE = "nvidia_a100-sxm4-80gb"
"""A type of GPU as SLURM itself finds it, on the node that is not in the partition `gpu`."""
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


def is_ours(file: Path) -> bool:
    return file.is_file() and file.read_text().startswith(OURS)


def belongs_to_others() -> bool:
    """Whether this machine has settings of a real cluster."""
    return (ETC / "slurm.conf").exists() and not is_ours(ETC / "slurm.conf")


def write_settings(folder: Path, accounting: bool) -> None:
    """Write the settings of a cluster whose state is in `folder`."""
    ETC.mkdir(parents=True, exist_ok=True)
    values = {
        "name": NAME,
        "folder": folder,
        "first": NODES[0].rstrip("1"),
        "count": len(NODES),
        "controller_port": CONTROLLER_PORT,
        "detected": DETECTED_TYPE,
        "node_port": NODE_PORT,
        "second_port": NODE_PORT + 1,
        "last_port": NODE_PORT + len(NODES) - 1,
        "accounting": WITH_ACCOUNTING.format(port=DATABASE_DAEMON_PORT) if accounting else WITHOUT_ACCOUNTING,
    }
    (ETC / "slurm.conf").write_text(OURS + SLURM_CONF.format(**values))
    (ETC / "gres.conf").write_text(OURS + GRES_CONF.format(**values))
    if accounting:
        settings = ETC / "slurmdbd.conf"
        settings.touch(mode=0o600)
        text = SLURMDBD_CONF.format(port=DATABASE_DAEMON_PORT, database_port=DATABASE_PORT, folder=folder)
        settings.write_text(OURS + text)


def remove_settings() -> None:
    for name in FILES:
        if is_ours(ETC / name):
            (ETC / name).unlink()
