#!/usr/bin/env bash
# bed_test.sh CLAIM SOURCE_DIR: runs the function CLAIM with a folder of its own.
set -euo pipefail

PATH=$PATH:/usr/sbin:/sbin
claim=$1
slurm=$2/examples/slurm
unset SLURM_CONF
# Not below $TMPDIR: a daemon's Unix sockets need a short path.
work=$(mktemp -d /tmp/bed-XXXXXX)

end() {
  for bed in "$work"/*/slurm.conf; do
    [[ ! -e $bed ]] || "$slurm/down" "${bed%/slurm.conf}" || true
  done
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

needs_slurm() {
  command -v slurmctld >/dev/null || skip "no Slurm here; sudo apt-get install slurm-wlm"
}

run() {
  status=0
  "$@" >"$work/output" 2>&1 || status=$?
}

expect_status() {
  [[ $status == "$1" ]] || die "exit status $status instead of $1"
}

expect_line() {
  grep -qF -- "$1" "$work/output" || die "\"$1\" is not in the output"
}

expect_processes() {
  local found
  found=$(grep -lz "$work/" /proc/[0-9]*/environ 2>/dev/null | wc -l || true)
  [[ $found == "$1" ]] || die "$found processes of the bed instead of $1"
}

# What runs on nodes, of this bed or another.
tasks() {
  grep -lz '^SLURMD_NODENAME=' /proc/[0-9]*/environ 2>/dev/null || true
}

StepsLandOnNodesInRacksWithFakeAccelerators() {
  needs_slurm
  eval "$("$slurm/up" --nodes 5 --racks 2 --accelerators 8 "$work/bed")"
  # shellcheck disable=SC2016  # the nodes expand it
  run srun --nodes=5 --gpus-per-node=8 sh -c 'echo "$SLURM_TOPOLOGY_ADDR $CUDA_VISIBLE_DEVICES"'
  expect_status 0
  local all=0,1,2,3,4,5,6,7
  for place in rack1.node1 rack1.node2 rack2.node3 rack2.node4 rack2.node5; do
    expect_line "spine.$place $all"
  done
  run srun --nodes=1 --gpus-per-node=9 true
  expect_status 1
}

ASecondBedInOneFolderIsRefused() {
  needs_slurm
  "$slurm/up" --nodes 2 --racks 1 "$work/bed" >/dev/null
  run "$slurm/up" --nodes 2 --racks 1 "$work/bed"
  expect_status 2
  expect_line "a bed is there already; end it with"
  mkdir "$work/full"
  touch "$work/full/thesis.tex"
  run "$slurm/up" "$work/full"
  expect_status 2
  expect_line "is not empty"
  run "$slurm/down" "$work/full"
  expect_status 2
  [[ -e $work/full/thesis.tex ]] || die "somebody's file has gone"
}

BedsStartAndRunSideBySide() {
  needs_slurm
  local bed starts=()
  for bed in a b c; do
    "$slurm/up" --nodes 3 --racks 3 --scheduler builtin "$work/$bed" >/dev/null &
    starts+=($!)
  done
  for bed in "${starts[@]}"; do wait "$bed" || die "a bed does not start"; done
  for bed in a b c; do
    run env SLURM_CONF="$work/$bed/slurm.conf" srun --nodes=3 printenv SLURM_CONF
    expect_status 0
    [[ $(sort -u "$work/output") == "$work/$bed/slurm.conf" ]] || die "a step ran elsewhere"
  done
}

AnOrdinaryUserCanHaveOne() {
  needs_slurm
  ((EUID == 0)) || skip "this is an ordinary user already, who runs the other claims"
  chmod 755 "$work"
  mkdir "$work/bed"
  chown nobody "$work/bed"
  local as=(setpriv --reuid=nobody --regid="$(id -g nobody)" --clear-groups env HOME=/ PATH="$PATH")
  "${as[@]}" test -x "$slurm/up" || skip "the sources are in a folder that is root's alone"
  run "${as[@]}" "$slurm/up" --nodes 2 --racks 1 "$work/bed"
  expect_status 0
  run "${as[@]}" SLURM_CONF="$work/bed/slurm.conf" srun --nodes=2 --gpus-per-node=1 id -un
  expect_status 0
  expect_line nobody
  # It cannot remove the folder itself, which lies in one of root's.
  "${as[@]}" "$slurm/down" --keep "$work/bed"
  expect_processes 0
}

DownEndsWhatRunsAndLeavesNothing() {
  needs_slurm
  eval "$("$slurm/up" --nodes 2 --racks 1 "$work/bed")"
  sbatch --quiet --nodes=2 --output=/dev/null \
    --wrap "trap '' TERM; touch $work/started; srun --overlap sleep 1000 & sleep 1000"
  for ((i = 0; i < 300; ++i)); do
    [[ ! -e $work/started ]] || break
    sleep 0.1
  done
  [[ -e $work/started ]] || die "the job does not start"
  unset SLURM_CONF
  "$slurm/down" "$work/bed"
  expect_processes 0
  [[ ! -e $work/bed ]] || die "the folder has stayed"
}

DownCleansUpAfterKilledDaemons() {
  needs_slurm
  eval "$("$slurm/up" --nodes 2 --racks 1 "$work/bed")"
  srun --nodes=2 sh -c "touch $work/started; exec sleep 1000" >/dev/null 2>&1 &
  local step=$!
  for ((i = 0; i < 300; ++i)); do
    [[ ! -e $work/started ]] || break
    sleep 0.1
  done
  unset SLURM_CONF
  xargs kill -KILL < <(cat "$work"/bed/pid/*)
  "$slurm/down" "$work/bed"
  kill -KILL "$step" 2>/dev/null || true
  wait "$step" 2>/dev/null || true
  [[ -z $(xargs -r grep -lz "SLURM_CONF=$work" < <(tasks)) ]] || die "a task has stayed"
  [[ ! -e $work/bed ]] || die "the folder has stayed"
}

ADaemonThatDoesNotStartIsNamedWithItsLog() {
  needs_slurm
  mkdir "$work/bin"
  printf '#!/bin/sh\necho "slurmd: fatal: no luck today" >&2\nexit 1\n' >"$work/bin/slurmd"
  chmod +x "$work/bin/slurmd"
  run env PATH="$work/bin:$PATH" "$slurm/up" "$work/bed"
  expect_status 1
  expect_line "slurmd does not start; see $work/bed/log, where the last error is"
  expect_line "no luck today"
  expect_processes 0
  printf '#!/bin/sh\n' >"$work/bin/slurmd"
  run env PATH="$work/bin:$PATH" "$slurm/up" --patience 1 "$work/other"
  expect_status 1
  expect_line "not all nodes are idle after 1 s (16 "
  expect_processes 0
}

WhatIsAskedForWronglyIsNamed() {
  local -A wrong=(
    ["--racks 3 --nodes 2"]="3 racks are too many for 2 nodes"
    ["--nodes none"]="--nodes needs a number"
    ["--scheduler best"]="--scheduler is backfill or builtin"
    ["--color"]="unknown option --color"
  )
  local words
  for words in "${!wrong[@]}"; do
    # shellcheck disable=SC2086  # words are meant
    run "$slurm/up" $words "$work/bed"
    expect_status 2
    expect_line "${wrong[$words]}"
  done
  run "$slurm/down" "$work/bed"
  expect_status 2
  expect_line "there is no bed"
  needs_slurm
  run "$slurm/up" "$work/a bed"
  expect_status 2
  expect_line "only letters, digits"
}

"$claim"
