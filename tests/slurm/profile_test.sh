#!/usr/bin/env bash
# profile_test.sh CLAIM SOURCE_DIR PENSTOCK WORKER_DIR: runs the function CLAIM on a test bed of its
# own.
set -euo pipefail

PATH=$PATH:/usr/sbin:/sbin
claim=$1
source_dir=$2
penstock=$3
export PENSTOCK_LIBEXEC=$4
slurm=$source_dir/examples/slurm
unset "${!SLURM@}" "${!SALLOC@}"
# Not below $TMPDIR: a daemon's Unix sockets need a short path.
work=$(mktemp -d /tmp/bed-XXXXXX)

end() {
  [[ ! -e $work/bed ]] || "$slurm/down" "$work/bed" || true
  rm -rf "$work"
}
trap end EXIT

die() {
  printf 'FAILED: %s\n' "$*"
  [[ ! -e $work/output ]] || cat "$work/output"
  exit 1
}

skip() {
  printf 'skipped: %s\n' "$*"
  exit 77
}

start_bed() {
  command -v slurmctld >/dev/null || skip "no Slurm here; sudo apt-get install slurm-wlm"
  eval "$("$slurm/up" --nodes 2 --racks 1 "$work/bed")"
  mkdir "$work/shared"
}

# 2 ranks of an accelerator that takes 224.1 ms for a step.
emulated=(profile train --emulate resnet50-h100 --ranks 2 --nodes 2 --launcher slurm --no-book)

profile() {
  status=0
  "$penstock" "$@" >"$work/output" 2>&1 || status=$?
}

expect_status() {
  [[ $status == "$1" ]] || die "exit status $status instead of $1"
}

expect_line() {
  grep -qF -- "$1" "$work/output" || die "\"$1\" is not in the output"
}

expect_nothing_left() {
  [[ -z $(squeue --noheader) ]] || die "a job has stayed: $(squeue --noheader)"
  [[ -z $(ls -A "$work/shared") ]] || die "files have stayed: $(ls -A "$work/shared")"
  ! grep -lz "$work/shared" /proc/[0-9]*/cmdline >/dev/null 2>&1 || die "a process has stayed"
}

expect_json() {
  python3 - "$work/profile.json" <<END || die "not so: $1"
import json, sys
profile = json.load(open(sys.argv[1]))
stalls = {stall["name"]: stall["time_s_per_step"] for stall in profile["stalls"]}
sys.exit(0 if $1 else 1)
END
}

SlowRanksOnSlurmsNodesFindComputeAndNetwork() {
  start_bed
  profile "${emulated[@]}" --shared "$work/shared" --steps 5 --time-limit 1s --json \
    --out "$work/profile.json"
  expect_status 0
  expect_json '0.2239 < profile["compute"]["time_s_per_step"] < 0.2263'
  expect_json 'list(stalls) == ["contention", "network"] and stalls["network"] > 0'
  expect_json 'profile["spec"]["launcher"] == "slurm"'
  expect_json 'profile["slurm_nodes"] == ["node1", "node2"]'
  # The ring sends 2 (n-1)/n of the gradients, to the byte.
  expect_json 'profile["runs"][-1]["phases"]["sent_bytes"] == sum(profile["rates"]["gradient_bytes"])'
  expect_nothing_left
}

SlowLoadersRunOnTheNodesOfTheirRanks() {
  start_bed
  "$penstock" load synth "$work/photos" --images 60 --seed 1 >/dev/null 2>&1
  profile "${emulated[@]}" --shared "$work/shared" --batch 4 --data "$work/photos" --size 32 \
    --steps 3 --warmup 1 --time-limit 1s --json --out "$work/profile.json"
  expect_status 0
  expect_json 'list(stalls) == ["contention", "network", "prep", "fetch"]'
  expect_json 'profile["bad_images"] == 0'
  expect_nothing_left
  ! ls /dev/shm/penstock-slurm-1-* >/dev/null 2>&1 || die "a channel has stayed in memory"
}

SlowTorchTrainsOnSlurmsNodes() {
  [[ -x $PENSTOCK_LIBEXEC/penstock-torch-worker ]] || skip "no libtorch here; ./setup --train"
  local model=${PENSTOCK_SHARED:-$source_dir/../shared}/data/onnx/exported/resnet18.onnx
  [[ -e $model ]] || skip "no $model here; set PENSTOCK_SHARED"
  start_bed
  profile profile train "$model" --batch 1 --ranks 2 --nodes 2 --launcher slurm --no-book \
    --shared "$work/shared" --steps 2 --warmup 1 --time-limit 1s --json --out "$work/profile.json"
  expect_status 0
  expect_json 'list(stalls) == ["contention", "network"]'
  expect_json 'profile["spec"]["transport"] == "gloo"'
  # 11,689,512 parameters of four bytes.
  expect_json 'profile["runs"][-1]["phases"]["sent_bytes"] == 4 * 11689512'
  expect_nothing_left
}

AnInterruptLeavesNothing() {
  start_bed
  "$penstock" "${emulated[@]}" --shared "$work/shared" --steps 1000 >"$work/output" 2>&1 &
  local run=$!
  while kill -0 "$run" 2>/dev/null && ! pgrep -f "worker $work/shared/" >/dev/null; do
    sleep 0.1
  done
  kill -INT "$run"
  status=0
  wait "$run" || status=$?
  expect_status 1
  expect_line interrupted
  expect_nothing_left
}

ARankThatIsKilledIsNamedWithItsNode() {
  start_bed
  local run rank=
  "$penstock" "${emulated[@]}" --shared "$work/shared" --steps 2 --warmup 1 \
    >"$work/output" 2>&1 &
  run=$!
  while kill -0 "$run" 2>/dev/null && [[ -z $rank ]]; do
    rank=$(pgrep -f "penstock-emulated-worker $work/shared/.*-rank1.json" | head -n 1 || true)
  done
  [[ -z $rank ]] || kill -KILL "$rank"
  status=0
  wait "$run" || status=$?
  expect_status 1
  expect_line "rank 1 (on node2)"
  expect_nothing_left
}

WhatCannotRunOnSlurmIsNamed() {
  profile profile train net.onnx --nodes 2 --launcher slurm --link "10 Gbit/s"
  expect_status 2
  expect_line "--link: means nothing with --launcher slurm"
  profile profile train net.onnx --shared "$work"
  expect_status 2
  expect_line "--shared: means nothing without --launcher slurm"
  PATH=/nowhere profile "${emulated[@]}"
  expect_status 3
  expect_line "sudo apt-get install slurm-client"
}

SlowNodesThatSlurmDoesNotHaveAreRefused() {
  start_bed
  cd "$work/shared"
  profile profile train --emulate resnet50-h100 --ranks 3 --nodes 3 --launcher slurm --no-book
  expect_status 1
  expect_line "salloc: Slurm gives no nodes"
  expect_nothing_left
  status=0
  salloc --quiet --nodes=1 "$penstock" "${emulated[@]}" >"$work/output" 2>&1 || status=$?
  expect_status 2
  expect_line "has 1 nodes where 2 are wanted"
  "$slurm/down" --keep "$work/bed"
  profile "${emulated[@]}"
  expect_status 3
  expect_line "Slurm does not answer"
}

"$claim"
