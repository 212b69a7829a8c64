#!/usr/bin/env bash
# A study on three Ray nodes of one machine, submitted as a job; results on an S3 server alone.
#
#   pip install ".[cluster]" "moto[server]"
#   tests/cluster/submit_to_three_nodes.sh
#
# Each node has a home and a scratch directory of its own and asks for a token. The code comes to
# them with the job (--working-dir). Prints what each command says; docs/cluster.md has a run.
set -euo pipefail
cd "$(dirname "$0")/../.."

place="$(mktemp -d /tmp/nodes-XXXX)"
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN="$(openssl rand -hex 32)" RAY_USAGE_STATS_ENABLED=0
export AWS_ACCESS_KEY_ID=anyone AWS_SECRET_ACCESS_KEY=anything AWS_REGION=us-east-1
export AWS_ENDPOINT_URL=http://127.0.0.1:5555 AWS_EC2_METADATA_DISABLED=true
export RAY_API_SERVER_ADDRESS=http://127.0.0.1:8265
trap 'kill -- $(jobs -p) 2>/dev/null; wait 2>/dev/null; rm -rf "$place"' EXIT

moto_server -H 127.0.0.1 -p 5555 >"$place/moto.log" 2>&1 &
until curl -sf -X PUT "$AWS_ENDPOINT_URL/studies" >/dev/null; do sleep 0.5; done

# start NAME OPTION...: a node, until it is part of the cluster
start() {
  local home="$place/$1"; shift
  mkdir "$home"
  HOME="$home" TMPDIR="$home" PYTHONUNBUFFERED=1 ray start --block --num-cpus=1 \
    --temp-dir="$home/ray" "$@" >"$home/log" 2>&1 &
  until grep -q "Ray runtime started" "$home/log"; do sleep 0.5; done
}
start head --head --port=6390 --node-ip-address=127.0.0.1 --dashboard-host=127.0.0.1
start one --address=127.0.0.1:6390
start two --address=127.0.0.1:6390

say() { echo "\$ $*"; "$@"; }
say ray status --address=127.0.0.1:6390
git archive HEAD --prefix=code/ | tar -x -C "$place"  # what a fresh clone has
cd "$place/code"
say ray job submit --no-wait --submission-id=study --working-dir=. -- \
  python sweeps/arch_repro.py --storage s3://studies/runs --arch mlp fcnet vgg --seeds 2 --epochs 20
sleep 22
echo '$ ray::ImplicitFunc processes, by node'
for process in $(pgrep -f ray::ImplicitFunc); do
  tr '\0' '\n' <"/proc/$process/environ" | sed -n "s|^HOME=$place/||p"
done | sort | uniq -c
until ray job status study 2>&1 | grep -Eq "SUCCEEDED|succeeded|FAILED|failed"; do sleep 2; done
say ray job logs study
say ray job status study
echo '$ the bucket'
python -c '
from pyarrow import fs
from dbray.store import open_folder
files = open_folder("s3://studies/runs").files()
print(len(files), "files,", sum(files.values()), "bytes; of",
      len({f.split("/")[2] for f in files if "/trials/" in f}), "trials")'
find "$place" -name '*.parquet' | wc -l | sed 's/$/ Parquet files on the nodes/'
