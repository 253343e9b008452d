#!/usr/bin/env bash
# format_test.sh SOURCE_DIR: every C++ file is as clang-format 14 (Debian 12) leaves it.
set -euo pipefail

if ! command -v clang-format >/dev/null || [[ $(clang-format --version) != *"version 14."* ]]; then
  echo "skipped: no clang-format 14 here; sudo apt-get install clang-format"
  exit 77
fi
cd "$1"
mapfile -t wrong < <(find src tests '(' -name '*.h' -o -name '*.cpp' ')' -print0 |
  xargs -0 clang-format --dry-run 2>&1 | grep -oE '^[^:]+\.(h|cpp):' | tr -d : | sort -u)
if ((${#wrong[@]})); then
  printf 'not formatted; mend with: clang-format -i %s\n' "${wrong[*]}"
  exit 1
fi
