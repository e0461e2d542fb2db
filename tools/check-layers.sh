#!/bin/sh
# SPDX-License-Identifier: MIT
# Checks that a file includes only from its own folder or from lower layers, and that nothing
# goes round in circles: no header includes itself by way of others, and of two modules of a
# folder (x.c, x.h, x_priv.h) only one knows the private header of the other.
# The table is that of docs/ARCHITECTURE.md: a folder, and what it may see.
set -eu
cd "$(dirname "$0")/.."

allowed() {
  case $1 in
  base) echo ;;
  config | wire | io | bench) echo base ;;
  http | backplane) echo base wire io ;;
  hub) echo base wire io backplane ;;
  app) echo base config wire io backplane hub ;;
  adapter) echo base wire io backplane hub ;;
  proto | api) echo base wire io http hub app ;;
  server) echo base config wire io http backplane hub adapter app proto api ;;
  cli) echo base config wire io http backplane hub adapter app proto api server ;;
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

# includes FILE...: a line "file included" for each include of ours, without src/.
includes() {
  grep -HoE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"[^"]*"' "$@" |
    sed -E 's|^src/||; s|:[^"]*"| |; s|"$||'
}

# circles WHAT: complains of the circles among the pairs on its standard input.
circles() {
  tsort 2>&1 >/dev/null | sed -n "s|^tsort: -: input.*|$1 in a circle:|p; s|^tsort: |  |p" | grep -v '^  -:'
}

headers_in_circles() { includes $(find src -name '*.h') | circles 'headers that include each other'; }

# Pairs that are known to be in a circle, and not looked at; to become none.
known='hub/hub hub/outbox'

modules_in_circles() {
  includes $(find src -name '*.[ch]') | sed -nE 's/(_priv)?\.[ch] / /; s/_priv\.h$//p' |
    awk '$1 != $2' | sort -u | grep -vxF "$known" | circles 'modules that know the private headers of each other'
}

wrong=$(
  for dir in src/*/; do check_dir "$(basename "$dir")"; done
  headers_in_circles || true
  modules_in_circles || true
)
[ -z "$wrong" ] && exit 0
echo "$wrong"
exit 1
