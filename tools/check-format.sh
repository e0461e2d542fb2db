#!/bin/sh
# SPDX-License-Identifier: MIT
# Checks the format of all C files; with --fix, changes them. Version 14 decides: others
# format differently. Where it is not installed the status is 77, and nothing is checked.
set -eu
cd "$(dirname "$0")/.."
if ! command -v clang-format-14 >/dev/null; then
  echo 'clang-format-14 is not installed, and other versions format differently'
  exit 77
fi
mode='--dry-run --Werror'
[ "${1-}" = --fix ] && mode=-i
find src include test -name node_modules -prune -o -name '*.[ch]' -print0 |
  xargs -0 clang-format-14 $mode
