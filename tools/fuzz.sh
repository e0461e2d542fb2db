#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs every fuzzer for FUZZ_SECONDS (60): fuzz.sh BUILD_DIR [NAME]...
# What it finds interesting goes to BUILD_DIR/corpus, what breaks to BUILD_DIR/crashes; put
# either into test/fuzz/corpus/NAME to have `make test` replay it.
set -eu
cd "$(dirname "$0")/.."
build=$1
shift
names=${*:-$(ls "$build"/test/fuzz | sed -n 's/^fuzz_\([a-z_]*\)$/\1/p')}
passed=0 failed=0
mkdir -p "$build/crashes"
for name in $names; do
  mkdir -p "$build/corpus/$name"
  log=$build/crashes/$name.log
  if "$build/test/fuzz/fuzz_$name" -max_total_time="${FUZZ_SECONDS:-60}" -timeout=10 \
    -rss_limit_mb=2048 -max_len=8192 -artifact_prefix="$build/crashes/$name-" \
    "$build/corpus/$name" "test/fuzz/corpus/$name" >"$log" 2>&1; then
    passed=$((passed + 1))
    echo "  $name: $(tail -n 1 "$log")"
  else
    failed=$((failed + 1))
    echo "  $name: see $log"
    tail -n 40 "$log" | sed 's/^/    | /'
  fi
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
