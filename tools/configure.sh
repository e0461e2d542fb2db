#!/bin/sh
# SPDX-License-Identifier: MIT
# Configures a build folder if it is new, was configured with other words, or can find a
# test library now that was missing: configure.sh DIR [MESON OPTION]...
set -eu
cd "$(dirname "$0")/.."
dir=$1
shift
want="${CC-cc} $*"
again=
if [ -f "$dir/build.ninja" ]; then
  if [ "$(cat "$dir/.configured" 2>/dev/null)" != "$want" ]; then
    again=--reconfigure
  elif [ ! -d "$dir/test/unit" ] && pkg-config --exists cmocka; then
    again=--reconfigure
  else
    exit 0
  fi
fi
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! meson setup $again "$dir" "$@" >"$log" 2>&1; then
  tail -n 30 "$log" >&2
  exit 1
fi
echo "$want" >"$dir/.configured"
