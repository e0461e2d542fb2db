#!/bin/sh
# SPDX-License-Identifier: MIT
# Checks the format of all C files; with --fix, changes them. Version 14 decides: others
# format differently.
set -eu
cd "$(dirname "$0")/.."
if ! command -v clang-format-14 >/dev/null; then
  echo "clang-format-14 is not installed"
  exit 1
fi
mode='--dry-run --Werror'
[ "${1-}" = --fix ] && mode=-i
find src include test -name node_modules -prune -o -name '*.[ch]' -print0 |
  xargs -0 clang-format-14 $mode
