#!/bin/sh
# SPDX-License-Identifier: MIT
# Installs what is missing: setup.sh build|cluster|test|bench|fuzz|ci|fresh
#
#   build   to compile and run: compiler, meson, libraries, and node for the pages
#   cluster also: what `make cluster` runs
#   test    also: what `make test` needs
#   bench   also: what `make bench` needs; the Node servers it measures against
#   fuzz    to compile with clang's fuzzer
#   ci      what .ci/run needs: that of test and of fuzz
#   fresh   what `make fresh` needs, and nothing else
#
# Debian packages come by apt, with sudo if need be; npm packages as the lock files say.
# Nothing is asked twice: with everything there it takes a fraction of a second.
set -eu
cd "$(dirname "$0")/.."
what=${1:-build}

# With a question mark: left out where this Debian has none.
packages='gcc libc6-dev meson ninja-build pkg-config libuv1-dev libssl-dev zlib1g-dev
  libyaml-dev libhiredis-dev liburing-dev'
test_services='nginx haproxy redis-server prometheus' # prometheus: for its promtool
test_packages="libcmocka-dev libjansson-dev clang-format-14? chromium iproute2 curl $test_services"
services= # among the packages: not to be started
npm_dirs=web
case $what in
build) ;;
cluster)
  services='nginx redis-server'
  packages="$packages curl $services"
  ;;
test | ci)
  services=$test_services
  packages="$packages $test_packages"
  [ "$what" = test ] || packages="$packages clang libclang-rt-dev"
  npm_dirs='web test/interop test/deploy test/cluster'
  ;;
bench)
  services=redis-server
  packages="$packages util-linux $services"
  npm_dirs='web test/bench'
  ;;
fuzz) packages="$packages clang libclang-rt-dev" ;;
fresh)
  packages='debootstrap util-linux mount git'
  npm_dirs=
  ;;
*)
  echo "usage: setup.sh build|cluster|test|bench|fuzz|ci|fresh" >&2
  exit 2
  ;;
esac

say() { echo "setup: $*" >&2; }

node_is_new_enough() {
  command -v node >/dev/null && command -v npm >/dev/null &&
    [ "$(node -p 'parseInt(process.versions.node)' 2>/dev/null || echo 0)" -ge 18 ]
}

is_installed() { [ "$(dpkg-query -W -f='${db:Status-Abbrev}' "$1" 2>/dev/null)" = 'ii ' ]; }

missing_entries() {
  for entry in $packages; do
    is_installed "${entry%\?}" || echo "$entry"
  done
}

is_known() { apt-cache show "${1%\?}" >/dev/null 2>&1; }

# Is there something among these entries that apt-get has to be called for?
worth_apt() {
  for entry; do
    case $entry in
    *\?) ! is_known "$entry" || return 0 ;;
    *) return 0 ;;
    esac
  done
  return 1
}

missing_packages() {
  for entry; do
    case $entry in
    *\?) ! is_known "$entry" || echo "${entry%\?}" ;;
    *) echo "$entry" ;;
    esac
  done
}

not_debian() {
  for tool in cc meson ninja pkg-config node npm; do
    command -v "$tool" >/dev/null || lacking="${lacking-}$tool "
  done
  for lib in libuv openssl zlib yaml-0.1 hiredis; do
    pkg-config --exists "$lib" 2>/dev/null || lacking="${lacking-}$lib "
  done
  [ -z "${lacking-}" ] && return
  say "this is no Debian; please install, then try again: $lacking"
  exit 1
}

as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    say "not root, and there is no sudo. As root: apt-get install $missing"
    exit 1
  fi
}

apt() { as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq "$@"; }

# Packages ask policy-rc.d before they start what they bring. For as long as apt-get works, it
# says no for those that are here for the tests alone.
policy=/usr/sbin/policy-rc.d
forbid_new_services() {
  for s in $services; do
    is_installed "$s" || idle="${idle-}$s "
  done
  [ -z "${idle-}" ] || [ -e $policy ] && return
  forbidden=1
  printf '#!/bin/sh\n# Here for a minute: written, and removed, by setup.sh of Peal.\n%s\n%s\n' \
    "for word; do case \" $idle\" in *\" \${word%.service} \"*) exit 101 ;; esac done" 'exit 104' |
    as_root sh -c "cat >$policy && chmod 755 $policy"
}

clean_up() {
  rm -f "$log"
  [ -z "${forbidden-}" ] || as_root rm -f $policy
}

# Nor shall they start at the next boot.
disable_new_services() {
  if [ -n "${idle-}" ] && [ -d /run/systemd/system ]; then
    as_root systemctl --quiet disable --now $idle >"$log" 2>&1 || true
  fi
}

install_packages() {
  entries=$(missing_entries)
  [ -z "$npm_dirs" ] || node_is_new_enough || entries="$entries nodejs npm"
  worth_apt $entries || return 0
  log=$(mktemp)
  trap clean_up EXIT
  trap 'exit 130' INT TERM
  missing=$(echo $entries)
  apt update >"$log" 2>&1 || true # what is known now is perhaps enough
  missing=$(echo $(missing_packages $entries))
  forbid_new_services
  say "installing $missing"
  if ! apt install -y --no-install-recommends $missing >>"$log" 2>&1; then
    tail -n 20 "$log" >&2
    say "apt-get could not install: $missing"
    exit 1
  fi
  disable_new_services
}

# A copy of the lock file inside node_modules says what is installed there.
install_npm() {
  [ -f "$1/package-lock.json" ] || return 0
  cmp -s "$1/package-lock.json" "$1/node_modules/.installed-lock" && return
  say "installing the npm packages of $1"
  if ! (cd "$1" && npm ci --silent --no-audit --no-fund); then
    (cd "$1" && npm ci --no-audit --no-fund 2>&1 | tail -n 20 >&2) || true
    say "npm could not install the packages of $1"
    exit 1
  fi
  cp "$1/package-lock.json" "$1/node_modules/.installed-lock"
}

if command -v dpkg-query >/dev/null; then
  install_packages
else
  not_debian
fi
for dir in $npm_dirs; do
  install_npm "$dir"
done
