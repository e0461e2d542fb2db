#!/bin/bash
# SPDX-License-Identifier: MIT
# A whole cluster on this machine, until Ctrl-C: cluster.sh BUILD_DIR
#
# A Redis, three nodes, and nginx before them with deploy/nginx/peal-roundrobin.conf, on
# http://127.0.0.1:8080/. NODES=5, PORT=9000 for others; the nodes are on the ports after it.
set -eu
cd "$(dirname "$0")/.."
build=$1
nodes=${NODES:-3}
port=${PORT:-8080}
redis=$((port + 100))
PATH=$PATH:/usr/sbin

dir=$(mktemp -d)
pids=()
finish() {
  trap - EXIT INT TERM
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  wait 2>/dev/null || true
  rm -rf "$dir"
}
trap finish EXIT
trap 'exit 0' INT TERM

# start NAME COMMAND...: in the background; what it says goes to a file.
start() {
  local name=$1
  shift
  "$@" >"$dir/$name.log" 2>&1 &
  pids+=($!)
}

# await URL NAME: until it answers, or its program has ended.
await() {
  for _ in $(seq 100); do
    curl -sf -o /dev/null "$1" && return
    sleep 0.1
  done
  echo "cluster: $2 does not answer; it said:" >&2
  tail -n 20 "$dir/$2.log" >&2
  exit 1
}

start redis redis-server --port "$redis" --bind 127.0.0.1 --save '' --appendonly no --dir "$dir"
for i in $(seq "$nodes"); do
  start "node$i" "$build/peal" serve --dev --set "listen=127.0.0.1:$((port + i))" \
    --set "node.name=node$i" --set "backplane=redis://127.0.0.1:$redis" \
    --set http.trusted_proxies=127.0.0.1 --set workers=1
done

mkdir -p "$dir/conf.d"
servers=$(for i in $(seq "$nodes"); do
  echo "    server 127.0.0.1:$((port + i)) max_fails=0;"
done)
awk -v servers="$servers" '/10\.0\.0\.1:8080/ { print servers } !/10\.0\.0\./' \
  deploy/nginx/peal-roundrobin.conf | sed "s/listen 80;/listen 127.0.0.1:$port;/" >"$dir/conf.d/peal.conf"
cp deploy/nginx/peal-locations.inc "$dir"
cat >"$dir/nginx.conf" <<EOF
daemon off;
pid $dir/nginx.pid;
error_log stderr warn;
events { worker_connections 4096; }
http {
  access_log off;
  client_body_temp_path $dir/body;
  proxy_temp_path $dir/proxy;
  fastcgi_temp_path $dir/fastcgi;
  uwsgi_temp_path $dir/uwsgi;
  scgi_temp_path $dir/scgi;
  include conf.d/*.conf;
}
EOF
for i in $(seq "$nodes"); do await "http://127.0.0.1:$((port + i))/readyz" "node$i"; done
start nginx nginx -c "$dir/nginx.conf" -e stderr
await "http://127.0.0.1:$port/" nginx

echo "Open http://127.0.0.1:$port/ in two tabs: each card says on which node it is."
for i in $(seq "$nodes"); do
  echo "  node$i: process ${pids[$i]}, port $((port + i)); end it: kill -9 ${pids[$i]}"
done
echo 'Ctrl-C ends all of it.'
wait
