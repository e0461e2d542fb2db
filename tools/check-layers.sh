#!/bin/sh
# SPDX-License-Identifier: MIT
# Checks that a file includes only from its own folder or from lower layers.
# The table is that of docs/ARCHITECTURE.md: a folder, and what it may see.
set -eu
cd "$(dirname "$0")/.."

allowed() {
  case $1 in
  base) echo ;;
  wire | io | bench) echo base ;;
  http | backplane) echo base wire io ;;
  hub) echo base wire io backplane ;;
  app | adapter) echo base wire io backplane hub ;;
  proto | api) echo base wire io http hub app ;;
  server) echo base wire io http backplane hub adapter app proto api ;;
  cli) echo base wire io http backplane hub adapter app proto api server ;;
  *) return 1 ;;
  esac
}

check_dir() {
  if ! lower=$(allowed "$1"); then
    echo "src/$1: a folder without a row in tools/check-layers.sh"
    return
  fi
  grep -nE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' -r "src/$1" --include='*.[ch]' |
    while IFS= read -r hit; do
      header=${hit#*\"}
      header=${header%%\"*}
      case " $1 $lower peal " in # peal/: the installed headers
      *" ${header%%/*} "*) ;;
      *) echo "$hit   (src/$1 sees: $1 $lower)" ;;
      esac
    done
}

wrong=$(for dir in src/*/; do check_dir "$(basename "$dir")"; done)
[ -z "$wrong" ] && exit 0
echo "$wrong"
exit 1
