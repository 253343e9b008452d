#!/usr/bin/env bash
# scripts_test.sh CLAIM SOURCE_DIR: runs the function CLAIM in a fresh folder, with a copy of the
# scripts in tree/ and stand-ins for the package tools in bin/, which note their calls in `calls`.
set -euo pipefail

claim=$1
source_dir=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

die() {
  printf 'FAILED: %s\n' "$*"
  for file in output calls; do
    [[ ! -e $work/$file ]] || { printf -- '--- %s\n' "$file" && cat "$work/$file"; }
  done
  exit 1
}

expect_status() {
  [[ $status == "$1" ]] || die "exit status $status instead of $1"
}

expect_line() {
  grep -qF -- "$2" "$1" || die "\"$2\" is not in $1"
}

expect_no_line() {
  ! grep -qF -- "$2" "$1" || die "\"$2\" is in $1"
}

# A stand-in that notes its call and then runs the given script text.
stand_in() {
  printf '#!/bin/bash\nprintf "%%s\\n" "%s $*" >>"%s/calls"\n%s\n' "$1" "$work" "$2" >"bin/$1"
  chmod +x "bin/$1"
}

# The file `absent` lists the packages that are not installed.
make_tree() {
  mkdir -p tree/cmake tree/src tree/ui bin
  cp "$source_dir"/{setup,penstock} tree/
  cp "$source_dir/cmake/packages.txt" tree/cmake/
  touch tree/CMakeLists.txt tree/CMakePresets.json absent calls
  stand_in dpkg-query "
    for name in \"\${@:4}\"; do
      grep -qxF \"\$name\" $work/absent || echo \"installed \$name\"
    done"
  stand_in sudo 'shift; exec "$@"'
  stand_in apt-get ''
  # Configuring leaves the two files that a real build folder has.
  stand_in cmake "
    if [[ \$1 == -S ]]; then
      mkdir -p $work/tree/build/release $work/tree/build/ci
      for folder in release ci; do
        touch $work/tree/build/\$folder/build.ninja
        echo 'CMAKE_HOME_DIRECTORY:INTERNAL=$work/tree' >$work/tree/build/\$folder/CMakeCache.txt
      done
    fi"
  stand_in ninja ''
}

run() {
  status=0
  PATH=$work/bin:$PATH "$@" >output 2>&1 || status=$?
}

SetupSaysWhatIsMissingAndInstallsNothingUnderCheck() {
  make_tree
  echo libsqlite3-dev >absent
  run tree/setup --check
  expect_status 3
  expect_line output "the book that keeps ledgers"
  expect_line output "apt-get install -y --no-install-recommends libsqlite3-dev"
  expect_no_line calls "apt-get"
  expect_no_line calls "cmake -S"
}

SetupFetchesTheListsOnlyAfterAFailedInstall() {
  make_tree
  echo libsqlite3-dev >absent
  stand_in apt-get "
    case \" \$* \" in
      *' update '*) touch $work/updated ;;
      *' install '*) [[ -e $work/updated ]] ;;
    esac"
  run tree/setup
  expect_status 0
  local steps
  steps=$(grep -oE '^apt-get .*(update|install)' calls | grep -oE '[a-z]+$' | paste -sd ' ')
  [[ $steps == "install update install" ]] || die "apt-get was asked: $steps"
  expect_line calls "cmake --build"
}

SetupNamesTheCommandWhereItCannotInstall() {
  make_tree
  printf '%s\n' cmake libfmt-dev >absent
  stand_in apt-get 'exit 100'
  run tree/setup
  expect_status 3
  expect_line output "sudo apt-get update && sudo apt-get install -y"
  expect_line output "cmake libfmt-dev"
  expect_no_line calls "cmake -S"
}

SetupGoesOnWithoutThePackagesThatOnlySomeTestsNeed() {
  make_tree
  echo chromium >absent
  stand_in apt-get 'exit 100'
  run tree/setup --tests
  expect_status 0
  expect_line output "chromium"
  expect_line calls "cmake --build $work/tree/build/ci"
}

SetupBuildsAgainWithoutConfiguringAgain() {
  make_tree
  run tree/setup
  run tree/setup
  expect_status 0
  [[ $(grep -c '^cmake -S' calls) == 1 ]] || die "not configured exactly once"
  [[ $(grep -c '^cmake --build' calls) == 2 ]] || die "not built exactly twice"
  echo 'CMAKE_HOME_DIRECTORY:INTERNAL=elsewhere' >tree/build/release/CMakeCache.txt
  run tree/setup
  [[ $(grep -c '^cmake -S' calls) == 2 ]] || die "a moved tree was not configured afresh"
}

SetupLooksAgainForWhatItHasInstalled() {
  make_tree
  echo libtorch-dev >absent
  run tree/setup
  expect_status 0
  expect_no_line calls "apt-get"
  run tree/setup --train
  expect_status 0
  expect_line calls "libtorch-dev"
  [[ $(grep -c '^cmake -S' calls) == 2 ]] || die "not configured again after the installation"
}

SetupShowsTheEndOfAFailedBuild() {
  make_tree
  stand_in cmake "
    if [[ \$1 == -S ]]; then echo 'CMake Error: no compiler'; exit 1; fi"
  run tree/setup
  expect_status 4
  expect_line output "CMake Error: no compiler"
  [[ ! -e tree/build/release/.built ]] || die "the failed build left a stamp"
}

# A program in place of ours, built just now.
make_program() {
  mkdir -p tree/build/release/src/penstock/cli
  # shellcheck disable=SC2016  # the program expands these
  printf '#!/bin/bash\necho "$PWD"; printf "[%%s]" "$@"; exit 7\n' \
    >tree/build/release/src/penstock/cli/penstock
  chmod +x tree/build/release/src/penstock/cli/penstock
  printf '#!/bin/bash\necho setup >>%s/calls\ntouch %s/tree/build/release/.built\n' \
    "$work" "$work" >tree/setup
  touch tree/src/old.cpp
}

LauncherCallsSetupOnlyWhenSomethingChanged() {
  make_tree
  make_program
  run tree/penstock
  [[ $(wc -l <calls) == 1 ]] || die "the first start did not call setup"
  run tree/penstock
  [[ $(wc -l <calls) == 1 ]] || die "the second start called setup"
  touch -d 'now + 1 minute' tree/src/old.cpp
  run tree/penstock
  [[ $(wc -l <calls) == 2 ]] || die "a changed file did not call setup"
  touch -d 'now - 1 minute' tree/src/old.cpp
  rm tree/src/old.cpp
  touch -d 'now + 1 minute' tree/src
  run tree/penstock
  [[ $(wc -l <calls) == 3 ]] || die "a removed file did not call setup"
}

LauncherKeepsArgumentsFolderAndExitCode() {
  make_tree
  make_program
  mkdir elsewhere
  ln -s ../tree/penstock elsewhere/link
  cd elsewhere
  status=0
  ./link plan "two words" '' >../output || status=$?
  cd ..
  expect_status 7
  expect_line output "$work/elsewhere"
  expect_line output "[plan][two words][]"
}

CountSeparatesPassedFailedAndSkipped() {
  run awk -v status=8 -f "$source_dir/cmake/count_tests.awk" \
    "$source_dir/tests/scripts/report.xml"
  expect_status 1
  [[ $(tail -n 1 output) == "2 passed, 4 failed, 4 skipped" ]] || die "wrong last line"
  expect_line output '  room.A.Skips: no <shared> data & "more" here'
  expect_line output "  room.A.SkipsSilently: no reason given"
  expect_line output "  script.skips: no chromium here"
  expect_line output "  script.disabled: disabled"
  expect_line output "  script.absent"
  expect_line output "  room.A.FailsAndSkips"
}

CountTreatsAnEmptyFailedRunAsFailed() {
  echo '<testsuite tests="0"></testsuite>' >report.xml
  run awk -v status=8 -f "$source_dir/cmake/count_tests.awk" report.xml
  expect_status 1
  [[ $(tail -n 1 output) == "0 passed, 1 failed, 0 skipped" ]] || die "wrong last line"
  run awk -v status=0 -f "$source_dir/cmake/count_tests.awk" report.xml
  expect_status 0
}

"$claim"
