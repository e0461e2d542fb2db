#!/bin/bash
# SPDX-License-Identifier: MIT
# Runs the Autobahn test suite against the echo server of a build:
#   autobahn.sh [BUILD_DIR [CASE...]]     cases as '6.*'; all of them take ten minutes or so
#
# The suite is a program for Python 2.7. Where there is none (PYTHON2 names it), the script
# says so and ends with status 77. Reports, a page for each case: BUILD_DIR/autobahn/reports.
set -eu
cd "$(dirname "$0")/.."
build=$(realpath -m "${1:-build}")
[ $# -gt 0 ] && shift
dir=$build/autobahn
port=${AUTOBAHN_PORT:-13998}

python=${PYTHON2:-$(command -v python2.7 || true)}
if [ -z "$python" ] || ! "$python" -c 'import sys; sys.exit(sys.version_info[0] != 2)' 2>/dev/null; then
  python=
  for p in "$HOME"/.pyenv/versions/2.7*/bin/python2.7; do
    [ -x "$p" ] && python=$p
  done
fi
if [ -z "$python" ]; then
  echo 'autobahn: left out: it needs Python 2.7 (PYTHON2=/path/to/python2.7)' >&2
  exit 77
fi
mkdir -p "$dir"
if [ ! -e "$dir/installed" ]; then
  echo 'autobahn: installing the suite' >&2
  rm -rf "$dir/lib"
  "$python" -m pip --disable-pip-version-check install -q \
    --target "$dir/lib" autobahntestsuite==0.8.2 >"$dir/install.log" 2>&1 || {
    tail -n 20 "$dir/install.log" >&2
    exit 1
  }
  touch "$dir/installed"
fi

cases='"*"'
[ $# -gt 0 ] && cases=$(printf ', "%s"' "$@" | cut -c3-)
cat >"$dir/client.json" <<EOF
{ "outdir": "$dir/reports", "cases": [$cases], "exclude-cases": [], "exclude-agent-cases": {},
  "servers": [{ "agent": "peal", "url": "ws://127.0.0.1:$port" }] }
EOF
rm -rf "$dir/reports"

"$build/test/servers/ws_echo" --listen "127.0.0.1:$port" >"$dir/server.log" 2>&1 &
server=$!
trap 'kill $server 2>/dev/null || true' EXIT
for _ in $(seq 100); do
  (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && break
  kill -0 $server 2>/dev/null || { cat "$dir/server.log" >&2; exit 1; }
  sleep 0.1
done
run='import site, sys; site.addsitedir(sys.argv.pop(1)); sys.path.insert(0, sys.path.pop())
from autobahntestsuite.wstest import run; run()'
"$python" -c "$run" "$dir/lib" -m fuzzingclient -s "$dir/client.json" >"$dir/client.log" 2>&1 || {
  tail -n 20 "$dir/client.log" >&2
  exit 1
}
kill -0 $server || { echo 'autobahn: the server has died'; cat "$dir/server.log"; exit 1; } >&2

# A case must be right, or right but for something that a standard leaves open.
"$python" - "$dir/reports/index.json" <<'EOF'
import json, sys
good = ("OK", "NON-STRICT", "INFORMATIONAL")
cases = json.load(open(sys.argv[1]))["peal"]
counts, wrong = {}, []
for name, case in cases.items():
    counts[case["behavior"]] = counts.get(case["behavior"], 0) + 1
    if case["behavior"] not in good or case["behaviorClose"] not in good:
        wrong.append((name, case["behavior"], case["behaviorClose"]))
print(", ".join("%s %d" % c for c in sorted(counts.items())))
for w in sorted(wrong, key=lambda w: [int(n) for n in w[0].split(".")]):
    print("  case %s: %s, close: %s" % w)
print("%d passed, %d failed" % (len(cases) - len(wrong), len(wrong)))
sys.exit(1 if wrong or not cases else 0)
EOF
