#!/bin/bash
# SPDX-License-Identifier: MIT
# Makes a container image of Peal without a container engine: build-rootfs.sh PEAL OUT
#
#   PEAL         a built peal
#   OUT/rootfs   all that is in the image: peal, the shared libraries it needs, certificates,
#                a user. No shell, no package manager, nothing that may be written to.
#   OUT/peal.tar the same as an OCI image layout, for skopeo, podman, ctr, docker
#
# The Dockerfile makes its final stage of OUT/rootfs. The same input gives the same bytes, dated
# SOURCE_DATE_EPOCH (0). IMAGE_SOURCE and IMAGE_REVISION, if set, become labels.
set -euo pipefail
[ $# -eq 2 ] && [ -x "$1" ] || {
  sed -n '3,12s/^# \{0,1\}//p' "$0" >&2
  exit 2
}
peal=$(realpath "$1") out=$2
here=$(cd "$(dirname "$0")" && pwd)
root=$out/rootfs layout=$out/layout
epoch=${SOURCE_DATE_EPOCH:-0}
umask 022
rm -rf "$root" "$layout" "$out/peal.tar"
mkdir -p "$root/usr/bin" "$root/etc/peal" "$root/etc/ssl/certs" "$layout/blobs/sha256"

# put FILE PATH: copies, without links.
put() {
  mkdir -p "$root/$(dirname "$2")"
  cp -L "$1" "$root/$2"
}

# The libraries of a program, and what loads them, one path a line.
libraries() { ldd "$1" 2>/dev/null | sed -n 's/^.*=> \(\/[^ ]*\) .*/\1/p; s/^[[:space:]]*\(\/[^ ]*\) (.*/\1/p'; }

# The Debian packages of files. /lib is /usr/lib by now, and either name may be on record; what
# a package diverts is said in lines of another form.
packages_of() {
  for path; do echo "$path" "/usr$path" "${path#/usr}" "$(realpath "$path")"; done |
    xargs dpkg-query -S 2>/dev/null | sed '/^diversion by /d; s/[:,].*//' | sort -u || true
}

# So that scanners know the versions of what is inside, and its licences come along.
record_package() {
  local doc=/usr/share/doc/$1/copyright
  mkdir -p "$root/var/lib/dpkg/status.d"
  dpkg-query -s "$1" >"$root/var/lib/dpkg/status.d/$1"
  [ ! -f "$doc" ] || put "$doc" "$doc"
}

put "$peal" /usr/bin/peal
! command -v strip >/dev/null || strip "$root/usr/bin/peal"
put "$here/../../LICENSE" /usr/share/doc/peal/copyright
for lib in $(libraries "$peal"); do put "$lib" "$lib"; done
for bundle in /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt; do
  [ ! -f "$bundle" ] || { put "$bundle" /etc/ssl/certs/ca-certificates.crt && break; }
done
if command -v dpkg-query >/dev/null; then
  for package in $(packages_of $(libraries "$peal") /usr/sbin/update-ca-certificates); do
    record_package "$package"
  done
fi

printf '%s\n' 'root:x:0:0:root:/:/nonexistent' 'peal:x:65532:65532:peal:/:/nonexistent' >"$root/etc/passwd"
printf '%s\n' 'root:x:0:' 'peal:x:65532:' >"$root/etc/group"
echo 'hosts: files dns' >"$root/etc/nsswitch.conf"

# The user of the container is nobody's owner.
chmod -R u=rwX,go=rX "$root"

# pack FILE DIR ENTRY...: a tar that depends on names and contents only.
pack() {
  local file=$1 dir=$2
  shift 2
  tar --create --file "$file" --directory "$dir" --format=ustar --sort=name \
    --mtime="@$epoch" --owner=0 --group=0 --numeric-owner "$@"
}

# blob FILE: moves it to its place, and prints what refers to it: "digest":"...","size":N
blob() {
  local sum
  sum=$(sha256sum "$1" | cut -d ' ' -f 1)
  mv "$1" "$layout/blobs/sha256/$sum"
  printf '"digest":"sha256:%s","size":%d' "$sum" "$(stat -c %s "$layout/blobs/sha256/$sum")"
}

case $(uname -m) in
x86_64) arch=amd64 ;;
aarch64) arch=arm64 ;;
*) arch=$(uname -m) ;;
esac
version=$("$peal" version | sed -n '1s/^peal //p')
created=$(date -u -d "@$epoch" +%Y-%m-%dT%H:%M:%SZ)
oci=org.opencontainers.image
labels='"'$oci.title'":"peal","'$oci.description'":"Socket.IO, WebSocket and EventSource clients on as many nodes as you need"'
labels+=',"'$oci.version'":"'$version'","'$oci.licenses'":"MIT","'$oci.created'":"'$created'"'
[ -z "${IMAGE_SOURCE-}" ] || labels+=',"'$oci.source'":"'$IMAGE_SOURCE'"'
[ -z "${IMAGE_REVISION-}" ] || labels+=',"'$oci.revision'":"'$IMAGE_REVISION'"'

pack "$layout/layer.tar" "$root" .
diff_id=$(sha256sum "$layout/layer.tar" | cut -d ' ' -f 1)
gzip -n -9 "$layout/layer.tar"
layer=$(blob "$layout/layer.tar.gz")

cat >"$layout/config" <<END
{"created":"$created","architecture":"$arch","os":"linux",
"config":{"User":"65532:65532","WorkingDir":"/","StopSignal":"SIGTERM",
"Entrypoint":["/usr/bin/peal"],"Cmd":["serve","-c","/etc/peal/peal.yaml"],
"Env":["PATH=/usr/bin","SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt"],
"ExposedPorts":{"7946/tcp":{},"8080/tcp":{},"9090/tcp":{}},
"Labels":{$labels}},
"rootfs":{"type":"layers","diff_ids":["sha256:$diff_id"]},
"history":[{"created":"$created","created_by":"deploy/image/build-rootfs.sh"}]}
END
config=$(blob "$layout/config")

media=application/vnd.oci.image
cat >"$layout/manifest" <<END
{"schemaVersion":2,"mediaType":"$media.manifest.v1+json",
"config":{"mediaType":"$media.config.v1+json",$config},
"layers":[{"mediaType":"$media.layer.v1.tar+gzip",$layer}],
"annotations":{$labels}}
END
manifest=$(blob "$layout/manifest")

cat >"$layout/index.json" <<END
{"schemaVersion":2,"mediaType":"$media.index.v1+json","manifests":[
{"mediaType":"$media.manifest.v1+json",$manifest,
"platform":{"architecture":"$arch","os":"linux"},
"annotations":{"$oci.ref.name":"$version"}}]}
END
echo '{"imageLayoutVersion":"1.0.0"}' >"$layout/oci-layout"
pack "$out/peal.tar" "$layout" blobs index.json oci-layout
rm -rf "$layout"
