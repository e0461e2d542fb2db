#!/bin/sh
# SPDX-License-Identifier: MIT
# Configures a build folder if it is new, was configured with other words, or if what the build
# can do without has come, gone or changed since: configure.sh DIR [MESON OPTION]...
#
# A build for developers stops at warnings of the compiler; that of a release does not
# (-Ddeveloper=false), as the next compiler has new ones.
set -eu
cd "$(dirname "$0")/.."
dir=$1
shift

# Meson looks for them once, and a folder without them stays without.
optional() {
  for library in cmocka jansson liburing; do
    echo "$library=$(pkg-config --modversion "$library" 2>/dev/null || echo none)"
  done
  for program in node; do
    echo "$program=$(command -v "$program" || echo none)"
  done
}

set -- -Ddeveloper=true "$@"
want="${CC-cc} $* $(optional | tr '\n' ' ')"
again=
if [ -f "$dir/build.ninja" ]; then
  [ "$(cat "$dir/.configured" 2>/dev/null)" = "$want" ] && exit 0
  again=--reconfigure
fi
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! meson setup $again "$dir" "$@" >"$log" 2>&1; then
  tail -n 30 "$log" >&2
  exit 1
fi
echo "$want" >"$dir/.configured"
