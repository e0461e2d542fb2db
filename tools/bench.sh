#!/bin/sh
# SPDX-License-Identifier: MIT
# Measures Peal beside other servers: bench.sh BUILD_DIR [OPTION OF test/bench/run.mjs]...
#
# UWS=DIR names a source tree of uWebSockets, with uSockets in DIR/uSockets: it is built into
# BUILD_DIR and measured. Without it, it is left out.
#
# Centrifugo is built as its Go module where Go is there, and left out where it is not.
#
# nginx with nchan is unpacked into BUILD_DIR, not installed: a package of Debian would start
# nginx on port 80. Where it cannot be had the others are measured without it, with a notice.
set -eu
cd "$(dirname "$0")/.."
build=$(realpath -m "$1")
shift
root=$build/bench/nginx
centrifugo=v6.9.1
module=usr/lib/nginx/modules/ngx_nchan_module.so

notice() { echo "NOTICE: without nginx nchan: $*" >&2; }

unpack_nchan() {
  [ -e "/$module" ] && [ -e /usr/sbin/nginx ] && return
  [ -e "$root/$module" ] && return
  if ! command -v apt-get >/dev/null || ! command -v dpkg >/dev/null; then
    notice 'its packages are taken from Debian, and this is none'
    return
  fi
  rm -rf "$root"
  mkdir -p "$root/packages"
  chmod 755 "$root/packages"
  echo 'bench: downloading nginx and libnginx-mod-nchan' >&2
  if ! (cd "$root/packages" && apt-get -qq download nginx libnginx-mod-nchan >log 2>&1); then
    notice "apt-get could not download it: $(tail -n 1 "$root/packages/log")"
    return
  fi
  for package in "$root"/packages/*.deb; do
    dpkg -x "$package" "$root"
  done
  "$root/usr/sbin/nginx" -v 2>/dev/null || {
    notice 'nginx does not run here'
    rm -rf "$root"
  }
}

# Objects of uSockets, then one C++ file with the headers of uWebSockets; no TLS, no zlib.
build_uws() {
  [ -n "${UWS:-}" ] || return 0
  out=$build/bench/uws
  mkdir -p "$out"
  for file in "$UWS"/uSockets/src/*.c "$UWS"/uSockets/src/eventing/*.c; do
    cc -O3 -DLIBUS_NO_SSL -I"$UWS/uSockets/src" -c "$file" -o "$out/$(basename "$file").o"
  done
  c++ -std=c++20 -O3 -DLIBUS_NO_SSL -DUWS_NO_ZLIB -I"$UWS/src" -I"$UWS/uSockets/src" \
    test/bench/peers/uws.cpp "$out"/*.o -o "$out/server" -lpthread
}

build_centrifugo() {
  [ -e "$build/bench/go/centrifugo" ] && return
  if ! command -v go >/dev/null; then
    echo 'NOTICE: without Centrifugo: there is no Go' >&2
    return
  fi
  echo 'bench: building Centrifugo' >&2
  mkdir -p "$build/bench/go"
  GOBIN=$build/bench/go go install "github.com/centrifugal/centrifugo/v6@$centrifugo" >"$build/bench/go/log" 2>&1 ||
    echo "NOTICE: without Centrifugo: $(tail -n 1 "$build/bench/go/log")" >&2
}

unpack_nchan
build_uws
build_centrifugo
exec node test/bench/run.mjs --build "$build" "$@"
