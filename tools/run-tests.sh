#!/bin/bash
# SPDX-License-Identifier: MIT
# Runs every test against one build: run-tests.sh [BUILD_DIR] [STEP...]
#
# A step that fails does not stop the next ones; what failed is printed, and so is why something
# was left out; the rest goes to BUILD_DIR/test-logs. The last line is "N passed, N failed", with
# ", N skipped" if this machine lacks what a test needs, and the exit status says the same.
# Steps: layers words format unit fuzz sim cli interop deploy cluster (all, in this order, if none
# is named).
set -u
cd "$(dirname "$0")/.." || exit 1
build=$(realpath -m "${1:-build}")
[ $# -gt 0 ] && shift
steps=${*:-layers words format unit fuzz sim cli interop deploy cluster}

logs=$build/test-logs
mkdir -p "$logs"
rm -f "$logs"/*.log
passed=0 failed=0 skipped=0

export PEAL_BIN=$build/peal
export PEAL_SERVERS=$build/test/servers
# For builds with sanitizers: a finding is a failure, at once.
export ASAN_OPTIONS=${ASAN_OPTIONS-detect_leaks=1:abort_on_error=0}
export UBSAN_OPTIONS=${UBSAN_OPTIONS-print_stacktrace=1:halt_on_error=1}
export TSAN_OPTIONS=${TSAN_OPTIONS-halt_on_error=1:second_deadlock_stack=1}

# version COMMAND...: the first version in what it says, or none.
version() {
  local said
  said=$(PATH=$PATH:/usr/sbin timeout 10 "$@" 2>&1 </dev/null | grep -oEm1 '[0-9]+\.[0-9]+[0-9.a-z+-]*' | head -n 1)
  echo "${said:-none}"
}

# What the tests run with: a failure elsewhere may come from another version.
print_versions() {
  echo "$(. /etc/os-release 2>/dev/null && echo "${PRETTY_NAME-}"), Linux $(uname -r)," \
    "$(nproc) cores; $(cc --version 2>/dev/null | head -n 1)," \
    "clang-format $(version clang-format-14 --version), node $(version node --version)," \
    "nginx $(version nginx -v), HAProxy $(version haproxy -v), Redis $(version redis-server --version)," \
    "Chromium $(version dpkg-query -W -f '${Version}' chromium)"
}

# count NAME PASSED FAILED SKIPPED: adds up, and prints a line for the step.
count() {
  local note=
  [ "$4" -gt 0 ] && note=" ($4 left out)"
  passed=$((passed + $2)) failed=$((failed + $3)) skipped=$((skipped + $4))
  printf '  %-22s %4d ok %4d wrong%s\n' "$1" "$2" "$3" "$note"
}

# show LOG [LINES]: its beginning and its end.
show() {
  local max=${2:-60} all
  all=$(wc -l <"$1")
  if [ "$all" -le "$max" ]; then
    sed 's/^/    | /' "$1"
  else
    head -n $((max / 2)) "$1" | sed 's/^/    | /'
    echo "    | ... all $all lines: $1"
    tail -n $((max / 2)) "$1" | sed 's/^/    | /'
  fi
}

# script NAME COMMAND...: one test; status 77 says that this machine cannot do it, and the log why.
script() {
  local name=$1 log=$logs/$1.log status
  shift
  timeout 300 "$@" >"$log" 2>&1
  status=$?
  case $status in
  0) count "$name" 1 0 0 ;;
  77) count "$name" 0 0 1 ;;
  *) count "$name" 0 1 0 ;;
  esac
  [ $status -eq 0 ] || show "$log"
}

# cmocka NAME BINARY: as many tests as it says; one that dies counts as a failure.
cmocka() {
  local log=$logs/$1.log status good bad left
  timeout 300 "$2" >"$log" 2>&1
  status=$?
  left=$(sed -n 's/^\[  SKIPPED \] \([a-z_0-9]*\)$/\1/p' "$log" | sort -u) # said twice
  good=$(sed -nE 's/^\[  PASSED  \] (.*: )?([0-9]+) test.*/\2/p' "$log" | awk '{ n += $1 } END { print n + 0 }')
  bad=$(sed -nE 's/^\[  FAILED  \] (.*: )?([0-9]+) test.*/\2/p' "$log" | awk '{ n += $1 } END { print n + 0 }')
  [ "$status" -ne 0 ] && [ "$bad" -eq 0 ] && bad=1
  [ "$good" -eq 0 ] && [ "$bad" -eq 0 ] && [ -z "$left" ] && bad=1
  count "$1" "$good" "$bad" "$(wc -w <<<"$left")"
  [ -z "$left" ] || sed 's/^/    left out: /' <<<"$left"
  [ "$bad" -eq 0 ] && return
  echo "    status $status"
  grep -vE '^\[ +(RUN|OK|PASSED) +\]' "$log" >"$log.wrong"
  show "$log.wrong"
}

# node_tests NAME DIR [OPTION]...: node's test runner on the *.test.mjs of a folder.
node_tests() {
  local name=$1 dir=$2 log=$logs/$1.log limit=900 status good bad left
  shift 2
  (cd "$dir" && timeout -k 10 "$limit" node --test --test-reporter=tap "$@" ./*.test.mjs) >"$log" 2>&1
  status=$?
  good=$(sed -n 's/^# pass \([0-9]*\)$/\1/p' "$log" | tail -n 1)
  bad=$(sed -n 's/^# \(fail\|cancelled\) \([0-9]*\)$/\2/p' "$log" | tail -n 2 | awk '{ n += $1 } END { print n + 0 }')
  # Not the number at the end: a suite that is skipped is not counted there.
  left=$(grep -cE '^ *(not )?ok [0-9]+ .* # (SKIP|TODO)' "$log")
  good=${good:-0}
  [ "$status" -ne 0 ] && [ "$bad" -eq 0 ] && bad=1
  [ "$good" -eq 0 ] && [ "$bad" -eq 0 ] && [ "$left" -eq 0 ] && bad=1
  count "$name" "$good" "$bad" "$left"
  sed -nE 's/^ *(not )?ok [0-9]+ - (.*) # (SKIP|TODO) ?(.*)/    left out: \2: \4/p' "$log"
  [ "$bad" -eq 0 ] && return
  [ "$status" -eq 124 ] && echo "    not done after $limit s: a test, or what it left behind, never ended"
  # The failing tests with their diagnostics; if there are none, the end of it all.
  awk '/^ *not ok / { on = 1 } /^ *ok / { on = 0 } on' "$log" >"$log.wrong"
  [ -s "$log.wrong" ] || tail -n 40 "$log" >"$log.wrong"
  show "$log.wrong" 200
}

step_layers() { script layers tools/check-layers.sh; }
step_words() { script words tools/check-words.sh; }
step_format() { script format tools/check-format.sh; }

step_unit() {
  local t found=
  for t in "$build"/test/unit/test_*; do
    [ -f "$t" ] && [ -x "$t" ] || continue
    found=1
    cmocka "unit-$(basename "$t" | sed s/^test_//)" "$t"
  done
  [ -n "$found" ] && return
  count unit 0 1 0
  echo "    no tests in $build/test/unit (was cmocka found?)"
}

# What fuzzing once found interesting, and what it must survive for ever.
step_fuzz() {
  local t name
  for t in "$build"/test/fuzz/replay_*; do
    [ -f "$t" ] && [ -x "$t" ] || continue
    name=$(basename "$t" | sed s/^replay_//)
    script "fuzz-$name" "$t" "test/fuzz/corpus/$name"
  done
}

# Nodes over a faulty broker, as chance has it; `sim SEED` shows one world again.
step_sim() { script sim "$build/test/sim/sim"; }

# The binary from outside: its command line; the official clients and a browser; what is written
# for Kubernetes, and the image; several nodes.
step_cli() { node_tests cli test/cli; }
step_interop() { node_tests interop test/interop --test-concurrency=2; }
step_deploy() { node_tests deploy test/deploy --test-concurrency=2; }
step_cluster() { node_tests cluster test/cluster --test-concurrency=2; }

print_versions
for step in $steps; do
  if ! declare -F "step_$step" >/dev/null; then
    echo "run-tests.sh: no step $step" >&2
    exit 2
  fi
  "step_$step"
done
echo "$passed passed, $failed failed$([ "$skipped" -eq 0 ] || echo ", $skipped skipped")"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
