#!/bin/bash
# SPDX-License-Identifier: MIT
# Proves that the verbs work on a fresh machine: RELEASE=bookworm|trixie fresh.sh
#
# It builds a minimal Debian in build-fresh/RELEASE with debootstrap, from the mirror that apt of
# this machine is set up with (or MIRROR), and does there what a new user does with the last
# commit: `make run` until the page answers, then `make test`, whole. `make run` comes first, so
# that the build folder is configured before the libraries of the tests are there.
#
# The new machine has namespaces of its own for mounts, processes, names and IPC; with the last
# of its processes its mounts are gone. It shares the network, which it installs packages from.
# What the host needs to reach its registries (settings of apt and npm, certificates, proxies) is
# copied from where it is set up. FRESH_MINUTES (60) bounds all of it. A system that passed is
# removed, one that failed stays to be looked at, and the next run starts anew.
set -euo pipefail
cd "$(dirname "$0")/.."
release=${RELEASE:-bookworm}
root=$PWD/build-fresh/$release

say() { echo "fresh: $*" >&2; }

# sources: the lines of sources.list for the release, from the mirrors that apt has for this one.
sources() {
  if [ -n "${MIRROR-}" ]; then
    echo "deb $MIRROR $release main"
    return
  fi
  # shellcheck disable=SC2016 # the format is apt's
  apt-get indextargets --format '$(REPO_URI) $(CODENAME) $(COMPONENT)' 'Created-By: Packages' |
    awk -v here="$(. /etc/os-release && echo "$VERSION_CODENAME")" -v there="$release" '
      $3 == "main" && index($2, here) == 1 {
        print "deb", $1, there substr($2, length(here) + 1), "main"
      }' | sort -u
}

# What apt and npm need to reach their registries from here, and the names of the machine.
carry_settings() {
  local file bundle
  apt-config dump | grep -E '^Acquire::(Check-|http|https|Retries|ForceIPv)' \
    >"$root/etc/apt/apt.conf.d/90host" || true
  [ -z "$(ls -A /etc/apt/auth.conf.d 2>/dev/null)" ] || cp /etc/apt/auth.conf.d/* "$root/etc/apt/auth.conf.d/"
  cp -L /etc/resolv.conf /etc/hosts "$root/etc/"
  if [ -n "$(ls -A /usr/local/share/ca-certificates 2>/dev/null)" ]; then
    mkdir -p "$root/usr/local/share/ca-certificates"
    cp -RL /usr/local/share/ca-certificates/. "$root/usr/local/share/ca-certificates/"
  fi
  command -v npm >/dev/null || return 0
  for file in "$(npm -s config get globalconfig)" "$(npm -s config get userconfig)"; do
    [ ! -f "$file" ] || cat "$file"
  done >"$root/root/.npmrc"
  bundle=$(npm -s config get cafile)
  [ -f "$bundle" ] && [ ! -e "$root$bundle" ] && install -D -m 644 "$bundle" "$root$bundle"
  return 0
}

bootstrap() {
  local list mirror
  list=$(sources)
  mirror=$(awk -v suite="$release" '$3 == suite { print $2; exit }' <<<"$list")
  if [ -z "$mirror" ]; then
    say 'apt is set up with no mirror of Debian: name one with MIRROR'
    exit 1
  fi
  say "a minimal Debian, $release"
  rm -rf --one-file-system "$root"
  mkdir -p "$root"
  if ! debootstrap --variant=minbase --include=make,ca-certificates "$release" "$root" "$mirror" \
    >"$root.log" 2>&1; then
    tail -n 20 "$root.log" >&2
    exit 1
  fi
  echo "$list" >"$root/etc/apt/sources.list"
  carry_settings
  mkdir -p "$root/root/peal"
  git archive HEAD | tar -x -C "$root/root/peal"
  [ -z "$(git status --porcelain)" ] || say 'what is not committed is not part of it'
}

# become_root_of DIR: makes DIR the root of this mount namespace, with what a machine has in it.
become_root_of() {
  local device
  mount --make-rprivate /
  mount --bind "$1" "$1"
  cd "$1"
  mount -t proc proc proc
  mount -t sysfs sysfs sys
  mount -t tmpfs -o mode=755 run run
  mount -t tmpfs -o mode=755 dev dev
  for device in null zero full random urandom tty; do
    touch "dev/$device"
    mount --bind "/dev/$device" "dev/$device"
  done
  mkdir dev/pts dev/shm run/lock
  mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
  mount -t tmpfs -o mode=1777 shm dev/shm
  ln -s pts/ptmx dev/ptmx
  ln -s /proc/self/fd dev/fd
  ln -s /proc/self/fd/0 dev/stdin
  ln -s /proc/self/fd/1 dev/stdout
  ln -s /proc/self/fd/2 dev/stderr
  mkdir -p .host
  pivot_root . .host
  cd /
  umount -l /.host
  rmdir /.host
}

# The second stage, in the namespaces: the third with an environment as after a login.
in_namespaces() {
  local proxies
  become_root_of "$root"
  hostname "fresh-$release"
  update-ca-certificates >/dev/null 2>&1
  mapfile -t proxies < <(env | grep -iE '^(http|https|no|all)_proxy=|^npm_config_' || true)
  exec env -i "${proxies[@]}" HOME=/root USER=root TERM=dumb LANG=C.UTF-8 RELEASE="$release" \
    PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    /root/peal/tools/fresh.sh --new-user
}

page_answers() {
  node -e '
    fetch(process.argv[1]).then(async (res) => {
      process.exit(res.status === 200 && /<title>/.test(await res.text()) ? 0 : 1);
    }, () => process.exit(1));' "$1" 2>/dev/null
}

port_is_free() { ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# The third stage: a new user. Port 8080 is the host's as well, and may be taken.
new_user() {
  local port=8080 run
  while ! port_is_free $port; do port=$((port + 1)); done
  say "make run, on port $port"
  PEAL_LISTEN=127.0.0.1:$port setsid make run >run.log 2>&1 &
  run=$!
  until page_answers "http://127.0.0.1:$port/"; do
    if ! kill -0 $run 2>/dev/null; then
      say 'make run ended, and no page answered'
      tail -n 40 run.log >&2
      exit 1
    fi
    sleep 1
  done
  say 'the page answers; Ctrl-C'
  kill -INT -- -$run
  wait $run || true
  port_is_free $port || { say 'and still does: make run has not ended'; exit 1; }
  say 'make test'
  make test
}

case ${1-} in
--in-namespaces) in_namespaces ;;
--new-user) new_user ;;
'')
  if [ "$(id -u)" != 0 ]; then
    exec sudo --preserve-env=RELEASE,MIRROR,FRESH_MINUTES "$0"
  fi
  bootstrap
  # Its end is the end of all processes there.
  timeout --foreground -k 10 "${FRESH_MINUTES:-60}m" \
    unshare --mount --pid --ipc --uts --fork --kill-child "$PWD/tools/fresh.sh" --in-namespaces &
  machine=$!
  trap 'kill $machine 2>/dev/null || true' EXIT
  trap 'exit 130' INT TERM
  wait $machine || {
    status=$?
    [ $status != 124 ] || say "not done after ${FRESH_MINUTES:-60} minutes"
    say "failed; the system is in $root, its logs in root/peal/build/test-logs there"
    exit $status
  }
  rm -rf --one-file-system "$root"
  ;;
*)
  echo 'usage: RELEASE=bookworm|trixie fresh.sh' >&2
  exit 2
  ;;
esac
