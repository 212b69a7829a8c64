#!/usr/bin/env bash
# `ray up cluster.local.yaml`, a study, a worker lost in its midst, `ray down`: on three machines.
#
#   apt-get install openssh-server rsync iproute2 python3-venv
#   pip install ".[cluster]" "moto[server]"
#   tests/cluster/ray_up.sh
#
# The machines are namespaces of this one (root is needed), each with network, processes, files and
# name of its own, and a user who is not root; the cluster file is the repository's, unchanged, and
# so are its addresses, which exist in here only. They install without a network, from an image with
# what the cluster file asks for, which the first run makes (IMAGE, 7 GB). Results go to an S3 server
# on a fourth machine, from which all commands are given. Prints what each command says;
# docs/cluster/own.md has a run.
set -euo pipefail
cd "$(dirname "$0")/../.."
IMAGE="${IMAGE:-/var/tmp/dbray-image}"

# in_namespaces COMMAND...: as process 1 of a machine of its own; all of it ends with the caller
in_namespaces() {
  exec unshare --net --mount --pid --uts --ipc --fork --kill-child --mount-proc "$@"
}

# A disk with the user's home folder, in which the cluster file's versions are installed.
make_image() {
  [ -e "$IMAGE/made" ] && return
  echo "making $IMAGE"
  mkdir -p "$IMAGE/me" /home
  unshare --mount bash -euc '
    mount --bind "$1" /home
    /usr/bin/python3 -m venv /home/me/venv
    install="/home/me/venv/bin/pip install -q"
    $install "ray[default]==2.60.0" "torch>=2.15,<2.16" "torchvision>=0.29,<0.30"
    $install ".[cluster]" && /home/me/venv/bin/pip uninstall -q -y dbray
    /home/me/venv/bin/pip download -q -d /home/me/wheels "hatchling>=1.25"
    cp -r /etc/skel/. /home/me
    mkdir -p -m 700 /home/me/.ssh /home/me/.aws /home/me/.config/pip
    printf "[global]\nno-index = true\nfind-links = /home/me/wheels\n" >/home/me/.config/pip/pip.conf
    printf "[default]\naws_access_key_id = anyone\naws_secret_access_key = anything\n" \
      >/home/me/.aws/credentials
    chown -R 1000:1000 /home/me' - "$IMAGE"
  touch "$IMAGE/made"
}

# One of the three: its own home, scratch and shared memory, nothing of root's, and sshd.
machine() {
  local name="$1" address="$2" disk="$PLACE/$1"
  hostname "$name"
  mkdir -p "$disk"/{new,work,tmp} /run/sshd
  chmod 1777 "$disk/tmp"
  grep -v '^me:\|:1000:' /etc/passwd >"$disk/passwd"
  echo 'me:x:1000:1000::/home/me:/bin/bash' >>"$disk/passwd"
  grep -v '^me:' /etc/shadow >"$disk/shadow"
  echo 'me:*:19000:0:99999:7:::' >>"$disk/shadow"
  ssh-keygen -q -t ed25519 -N "" -f "$disk/host_key"
  mount -t overlay "$name" -o "lowerdir=$IMAGE,upperdir=$disk/new,workdir=$disk/work" /home
  install -o 1000 -m 600 "$PLACE/laptop/.ssh/id_ed25519.pub" /home/me/.ssh/authorized_keys
  mount --bind "$disk/passwd" /etc/passwd
  mount --bind "$disk/shadow" /etc/shadow
  mount --bind "$disk/tmp" /tmp
  mount -t tmpfs tmpfs /dev/shm
  mount -t tmpfs -o mode=700 tmpfs /root
  ip link set lo up
  until ip address add "$address/24" dev eth0 2>/dev/null; do sleep 0.1; done
  ip link set eth0 up
  ip route add default via 192.168.1.1
  cd /
  exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin /usr/sbin/sshd -D -e -f /dev/null \
    -o HostKey="$disk/host_key" -o UsePAM=no -o PidFile=none 2>"$disk/sshd.log"
}

# plug NAME ADDRESS: a machine on the network
plug() {
  (in_namespaces "$0" machine "$@") &
  local process=$!
  until [ "$(readlink "/proc/$process/ns/net")" != "$(readlink /proc/self/ns/net)" ]; do
    sleep 0.1
  done
  ip link add "$1" type veth peer name eth0 netns "$process"
  ip link set "$1" master lan up
  until ssh-keyscan -T 1 "$2" 2>/dev/null | grep -q ed25519; do sleep 0.2; done
  eval "plugged_$1=$process"
}

# running NAME PATTERN: how many processes run there with that in their command line
running() {
  local process="plugged_$1"
  pgrep --ns "$(pgrep -P "${!process}")" --nslist pid -c -f "$2" || true
}

# say COMMAND...: what is given, and what it says without Ray's notes of its own steps
say() {
  echo "\$ $*"
  "$@" 2>&1 | sed -E 's/\x1b\[[0-9;]*m//g' |
    grep -vE '^20.*[[:space:]](V*INFO|V*WARN(ING)?)[[:space:]]|^ To ensure this mount|^Shared connection|^$' || true
  echo
}

on_head() {
  ray exec cluster.local.yaml "$1"
}

# The fourth machine, with the network's bridge and the S3 server.
laptop() {
  ip link set lo up
  ip link add lan type bridge
  ip address add 192.168.1.1/24 dev lan
  ip link set lan up
  export HOME="$PLACE/laptop" RAY_AUTH_MODE=token RAY_USAGE_STATS_ENABLED=0
  export RAY_UP_enable_autoscaler_v2=0 RAY_API_SERVER_ADDRESS=http://127.0.0.1:8265
  export AWS_ACCESS_KEY_ID=anyone AWS_SECRET_ACCESS_KEY=anything AWS_REGION=us-east-1
  export AWS_ENDPOINT_URL=http://192.168.1.1:5000 AWS_EC2_METADATA_DISABLED=true
  mkdir -p "$HOME/.ssh"
  ssh-keygen -q -t ed25519 -N "" -f "$HOME/.ssh/id_ed25519"
  sed "s|^root:.*|root:x:0:0::$HOME:/bin/bash|" /etc/passwd >"$PLACE/passwd"
  mount --bind "$PLACE/passwd" /etc/passwd  # ssh asks there what ~ is
  moto_server -H 192.168.1.1 -p 5000 >"$PLACE/moto.log" 2>&1 &
  plug head 192.168.1.10
  plug one 192.168.1.11
  plug two 192.168.1.12
  until curl -sf -X PUT "$AWS_ENDPOINT_URL/studies" >/dev/null; do sleep 0.5; done

  ray get-auth-token --generate >/dev/null 2>&1
  echo "\$ ray up cluster.local.yaml"
  SECONDS=0
  ray up --yes cluster.local.yaml >"$PLACE/up.log" 2>&1 || { tail -n 50 "$PLACE/up.log"; exit 1; }
  echo "# the head is up after $SECONDS s"
  until [[ "$(on_head "ray status" 2>/dev/null)" == *"3 local.cluster.node"* ]]; do sleep 2; done
  echo "# all three are after $SECONDS s"
  say ray exec cluster.local.yaml "ray status"
  ray dashboard cluster.local.yaml >"$PLACE/dashboard.log" 2>&1 &
  until curl -s "$RAY_API_SERVER_ADDRESS" >/dev/null; do sleep 0.5; done

  local study=(python sweeps/arch_repro.py --arch mlp fcnet vgg --seeds 4 --epochs 40)
  say ray job submit --no-wait --submission-id=study --working-dir=. \
    --runtime-env-json="{\"env_vars\": {\"AWS_ENDPOINT_URL\": \"$AWS_ENDPOINT_URL\"}}" -- \
    "${study[@]}" --storage s3://studies/runs
  SECONDS=0
  until [ "$(running two ray::ImplicitFunc)" -gt 0 ]; do sleep 0.1; done
  for name in head one two; do
    echo "# trials on $name: $(running "$name" ray::ImplicitFunc)"
  done
  kill -9 "$plugged_two"
  wait "$plugged_two" 2>/dev/null || true
  echo "# after $SECONDS s: pulled the plug of machine two"
  until [[ "$(ray job status study 2>&1)" =~ succeeded|failed ]]; do sleep 2; done
  echo "# the job has ended after $SECONDS s"
  say ray job logs study
  say ray job status study
  "${study[@]}" --storage "$HOME/runs" >/dev/null 2>&1
  python - "$HOME/runs" <<'END'
import sys

from dbray.store import open_folder

there, here = (open_folder(where) for where in ("s3://studies/runs", sys.argv[1]))
files = there.files()
trials = {path.split("/")[2] for path in files if "/trials/" in path}
print(f"# in the bucket: {len(files)} files, {sum(files.values())} bytes, {len(trials)} trials")
scores = sorted(path for path in here.files() if "/scores/" in path)
same = sum(there.read(path) == here.read(path) for path in scores)
print(f"# {same} of {len(scores)} score tables are those of one machine alone, to the byte")
END
  echo "# $(find "$PLACE"/{head,one,two} -name '*.parquet' | wc -l) Parquet files on the machines"
  say ray down --yes cluster.local.yaml
  SECONDS=0
  while [ "$(running one raylet/raylet)" -gt 0 ]; do sleep 1; done
  echo "# Ray has ended on machine one, too, after $SECONDS s"
}

case "${1:-}" in
  machine) shift; machine "$@" ;;
  laptop) laptop ;;
  *)
    make_image
    PLACE="$(mktemp -d /var/tmp/dbray-machines-XXXX)"
    export IMAGE PLACE
    (in_namespaces "$0" laptop) &
    trap 'kill -9 $! 2>/dev/null || true; rm -rf "$PLACE"' EXIT
    trap 'exit 1' INT TERM
    wait $!
    ;;
esac
