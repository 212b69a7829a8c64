#!/usr/bin/env bash
# Both files for SLURM on a SLURM cluster of three nodes: the time limit strikes in the midst of a
# study, the job is queued again, continues and finishes; then an array of jobs does the same study.
#
#   apt-get install slurmd slurmctld slurm-client munge iproute2
#   pip install ".[cluster]"
#   tests/cluster/slurm.sh
#
# The nodes are namespaces of this machine (root is needed), each with network, processes and name
# of its own, and one slurmd; they share its disk, as a cluster's nodes share one. A fourth is the
# controller, from which all commands are given. What sbatch is given besides the files is fewer
# and smaller: minutes, three nodes. Prints what each command says; docs/cluster/slurm.md has a run.
set -euo pipefail
cd "$(dirname "$0")/../.."
STUDY=(sweeps/arch_repro.py --arch mlp fcnet vgg --seeds 3 --epochs 300 --checkpoint-seconds 10)

# in_namespaces COMMAND...: as process 1 of a machine of its own; all of it ends with the caller
in_namespaces() {
  exec unshare --net --mount --pid --uts --ipc --fork --kill-child --mount-proc "$@"
}

# One of the three: its own address, name, shared memory and place for Ray, and slurmd.
node() {
  local name="$1" address="$2" disk="$PLACE/$1"
  hostname "$name"
  mkdir -p "$disk"/{ray,spool} /tmp/ray
  mount --bind "$PLACE/hosts" /etc/hosts
  mount --bind "$disk/ray" /tmp/ray
  mount -t tmpfs tmpfs /dev/shm
  ip link set lo up
  until ip address add "$address/24" dev eth0 2>/dev/null; do sleep 0.1; done
  ip link set eth0 up
  slurmd -D -N "$name" -f "$SLURM_CONF" 2>"$disk/slurmd.log" &
  wait  # process 1 of a machine has to reap what is left by others, as slurmd does not
}

# plug NAME ADDRESS: a node on the network
plug() {
  (in_namespaces "$0" node "$@") &
  local process=$!
  until [ "$(readlink "/proc/$process/ns/net")" != "$(readlink /proc/self/ns/net)" ]; do
    sleep 0.1
  done
  ip link add "$1" type veth peer name eth0 netns "$process"
  ip link set "$1" master lan up
}

say() {
  echo "\$ $*"
  "$@" 2>&1 | sed -E 's/\x1b\[[0-9;]*m//g'
  echo
}

# log FILE...: what jobs have said, without Ray's notes of its own steps
log() {
  for file in "$@"; do
    echo "\$ cat $(basename "$file")"
    grep -E '^(Ray: |study /|\[[0-9]+/|not finished|scoring|report|the time is|[0-9]+ trials of|inter|error|slurmstepd)' \
      "$file" | sed -E "s|$PLACE|/shared|g" || true
    echo
  done
}

# finished JOB: whether nothing of it is queued or runs any more
finished() {
  local states
  states="$(squeue --noheader --jobs "$1" --states all --format %T 2>/dev/null)" || return 1
  ! grep -qvE '^(COMPLETED|FAILED|CANCELLED|TIMEOUT|NODE_FAIL)$' <<<"$states"
}

same_tables() {
  python - "$@" <<'END'
import sys

from dbray.store import open_folder

there, here = map(open_folder, sys.argv[1:])
scores = sorted(path for path in here.files() if "/scores/" in path)
same = sum(there.read(path) == here.read(path) for path in scores)
print(f"# {same} of {len(scores)} score tables are those of one machine alone, to the byte\n")
END
}

# The fourth machine, with the network's bridge, munge and SLURM's controller.
controller() {
  hostname login
  mount --bind "$PLACE/hosts" /etc/hosts
  ip link set lo up
  ip link add lan type bridge
  ip address add 192.168.1.1/24 dev lan
  ip link set lan up
  export HOME="$PLACE/home" SLURM_CONF="$PLACE/slurm.conf" RAY_USAGE_STATS_ENABLED=0
  export RAY_gcs_rpc_server_reconnect_timeout_s=20  # until nodes end that have lost their head: 60
  mkdir -p "$HOME" "$PLACE/state" "$PLACE/munge"
  chmod 700 "$PLACE/munge"
  head -c 128 /dev/urandom >"$PLACE/munge/key"
  chmod 600 "$PLACE/munge/key"
  munged --force --foreground --key-file="$PLACE/munge/key" --socket="$PLACE/munge.socket" \
    --pid-file="$PLACE/munge/pid" --log-file="$PLACE/munge/log" --seed-file="$PLACE/munge/seed" \
    2>"$PLACE/munge.log" &
  cat >"$SLURM_CONF" <<END
ClusterName=dbray
SlurmctldHost=login(192.168.1.1)
SlurmUser=root
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket=$PLACE/munge.socket
StateSaveLocation=$PLACE/state
SlurmdSpoolDir=$PLACE/%n/spool
SlurmdPidFile=$PLACE/%n/slurmd.pid
SlurmctldPidFile=$PLACE/slurmctld.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ReturnToService=2
KillWait=15
MinJobAge=3600
NodeName=one NodeAddr=192.168.1.11 CPUs=2 RealMemory=4000
NodeName=two NodeAddr=192.168.1.12 CPUs=2 RealMemory=4000
NodeName=three NodeAddr=192.168.1.13 CPUs=2 RealMemory=4000
PartitionName=all Nodes=ALL Default=YES State=UP
END
  until [ -S "$PLACE/munge.socket" ]; do sleep 0.1; done
  slurmctld -D -f "$SLURM_CONF" 2>"$PLACE/slurmctld.log" &
  plug one 192.168.1.11
  plug two 192.168.1.12
  plug three 192.168.1.13
  until [ "$(sinfo --noheader --states idle --format %D 2>/dev/null)" = 3 ]; do sleep 0.5; done
  say sinfo

  local job
  echo "\$ sbatch --nodes=3 --time=4 --signal=B:USR1@60 deploy/slurm.sbatch ${STUDY[*]}"
  job="$(sbatch --parsable --nodes=3 --time=4 --signal=B:USR1@60 --output="$PLACE/dbray-%j.log" \
    deploy/slurm.sbatch "${STUDY[@]}" --storage "$PLACE/together")"
  echo "Submitted batch job $job"
  SECONDS=0
  until finished "$job"; do sleep 2; done
  echo "# the job has ended after $SECONDS s, and was queued again" \
    "$(scontrol show job "$job" | grep -oE 'Restarts=[0-9]+' | cut -d= -f2) times"
  log "$PLACE/dbray-$job.log"
  say squeue --states all --format "%.5i %.8T %.10M %.12l %R"
  echo "\$ sbatch --array=1-3 --cpus-per-task=1 --mem-per-cpu=2G --time=10 deploy/slurm_array.sbatch ${STUDY[*]}"
  job="$(sbatch --parsable --array=1-3 --cpus-per-task=1 --mem-per-cpu=2G --time=10 \
    --output="$PLACE/dbray-%A-%a.log" deploy/slurm_array.sbatch "${STUDY[@]}" \
    --storage "$PLACE/array")"
  echo "Submitted batch job $job"
  SECONDS=0
  until finished "$job"; do sleep 2; done
  echo "# all three have ended after $SECONDS s"
  log "$PLACE/dbray-$job"-?.log
  python "${STUDY[@]}" --storage "$PLACE/alone" >/dev/null 2>&1
  same_tables "$PLACE/together" "$PLACE/alone"
  same_tables "$PLACE/array" "$PLACE/alone"
}

case "${1:-}" in
  node) shift; node "$@" ;;
  controller) controller ;;
  *)
    PLACE="$(mktemp -d /var/tmp/dbray-slurm-XXXX)"
    export PLACE
    printf '127.0.0.1 localhost\n192.168.1.1 login\n' >"$PLACE/hosts"
    printf '192.168.1.11 one\n192.168.1.12 two\n192.168.1.13 three\n' >>"$PLACE/hosts"
    (in_namespaces "$0" controller) &
    trap 'kill -9 $! 2>/dev/null || true; [ -n "${KEEP:-}" ] || rm -rf "$PLACE"' EXIT
    trap 'exit 1' INT TERM
    wait $!
    ;;
esac
