#!/bin/bash
# SPDX-License-Identifier: MIT
# Runs the clients of other makers against a build: clients.sh BUILD_DIR [LANGUAGE...]
#
# Each language's driver is built in .cache/clients with that language's own tools, which are
# not installed here: a language without them is left out, by name. Versions are fixed in
# test/clients; the libraries come from the registries that the tools are set up with. PATTERN
# runs only the tests whose names it matches.
set -u
cd "$(dirname "$0")/.." || exit 1
build=$(realpath -m "${1:-build}")
[ $# -gt 0 ] && shift
languages=${*:-python java go rust}
cache=$PWD/.cache/clients
source=$PWD/test/clients
mkdir -p "$cache"
drivers=
missing=

have() { command -v "$1" >/dev/null 2>&1; }

make_python() {
  have python3 && python3 -c 'import venv, ensurepip' 2>/dev/null || return 2
  if ! cmp -s "$source/python/requirements.txt" "$cache/python/installed.txt"; then
    rm -rf "$cache/python"
    python3 -m venv "$cache/python" &&
      "$cache/python/bin/pip" install --quiet --disable-pip-version-check -r "$source/python/requirements.txt" &&
      cp "$source/python/requirements.txt" "$cache/python/installed.txt" || return 1
  fi
  driver="\"$cache/python/bin/python3\",\"$source/python/driver.py\""
}

make_java() {
  have mvn && have javac || return 2
  mvn -q -B -f "$source/java/pom.xml" -DbuildDirectory="$cache/java" package dependency:copy-dependencies \
    -DoutputDirectory="$cache/java/lib" || return 1
  driver="\"java\",\"-cp\",\"$cache/java/classes:$cache/java/lib/*\",\"Driver\""
}

make_go() {
  have go || return 2
  (cd "$source/go" && GOTOOLCHAIN=local go build -o "$cache/go/driver" .) ||
    { grep -q 'requires go >=' "$cache/go.log" && return 2; return 1; }
  driver="\"$cache/go/driver\""
}

make_rust() {
  have cargo || return 2
  (cd "$source/rust" && CARGO_TARGET_DIR="$cache/rust" cargo build --quiet) || return 1
  driver="\"$cache/rust/debug/driver\""
}

failed=
for language in $languages; do
  "make_$language" >"$cache/$language.log" 2>&1
  case $? in
  0) drivers="$drivers${drivers:+,}\"$language\":[$driver]" ;;
  2)
    missing="$missing $language"
    ;;
  *)
    tail -n 20 "$cache/$language.log" >&2
    echo "clients: the driver in $language could not be built: $cache/$language.log" >&2
    failed=1
    ;;
  esac
done
[ -n "$missing" ] && echo "clients: left out, since their tools are not installed:$missing"
[ -z "$failed" ] || exit 1
[ -n "$drivers" ] || exit 0

log=$build/test-logs/clients.log
mkdir -p "$build/test-logs"
(cd test/clients && PEAL_BIN=$build/peal PEAL_DRIVERS="{$drivers}" node --test --test-reporter=tap \
  ${PATTERN:+--test-name-pattern="$PATTERN"} ./*.test.mjs) >"$log" 2>&1
status=$?
grep -E '^ +(not )?ok ' "$log" | sed 's/^ */  /'
if [ "$status" -ne 0 ]; then
  awk '/^ *not ok / { on = 1 } /^ *ok / { on = 0 } on' "$log" | sed 's/^/    | /'
fi
number() { sed -n "s/^# $1 \([0-9]*\)$/\1/p" "$log" | tail -n 1; }
echo "$(number pass) passed, $(($(number fail) + $(number cancelled))) failed, $(number skipped) skipped"
exit "$status"
