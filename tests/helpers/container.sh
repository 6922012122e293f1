#!/usr/bin/env bash
# Builds the image of the Containerfile on a base that debootstrap made, and runs `txmon serve` in it as its user with a
# read-only root.
#
# sudo tests/helpers/container.sh MACHINE   MACHINE: the folder that tests/helpers/fresh_machine.sh made
#
# It needs buildah and a network that reaches Debian's mirror and a Python package index. PURE=1 builds without the compiled
# core, which takes a minute less.
set -euo pipefail
here="$(cd "$(dirname "$0")/../.." && pwd)"
[ "$#" = 1 ] && [ -e "$1/ready" ] || { sed -n '2,8s/^# \{0,1\}//p' "$0" >&2; exit 2; }
export STORAGE_DRIVER="${STORAGE_DRIVER:-vfs}" BUILDAH_ISOLATION="${BUILDAH_ISOLATION:-chroot}"
command -v buildah >/dev/null || { echo "container: buildah is missing: apt-get install buildah" >&2; exit 1; }
begun=$(date +%s)
base=$(buildah from scratch)
archive=$(mktemp --suffix=.tar)
tar --one-file-system -C "$1" --exclude='./root/*' --exclude='./home/*' --exclude='./proc/*' --exclude='./sys/*' --exclude='./dev/*' \
  --exclude='./tmp/*' --exclude=./ready --exclude='./*.log' -cf "$archive" .
buildah add --quiet "$base" "$archive" / >/dev/null
rm "$archive"
buildah commit --quiet "$base" txmon-base >/dev/null; buildah rm "$base" >/dev/null
arguments=(--build-arg BASE=localhost/txmon-base)
[ -z "${PURE:-}" ] || arguments+=(--build-arg TXMON_PURE=1 --build-arg TXMON_COMPILE=)
for name in PIP_CERT PIP_INDEX_URL SSL_CERT_FILE http_proxy https_proxy no_proxy; do
  [ -z "${!name:-}" ] || arguments+=(--env "$name=${!name}")
done
buildah build --network host "${arguments[@]}" -t txmon "$here"
echo "built in $(($(date +%s) - begun)) s"
made=$(buildah from localhost/txmon)
trap 'buildah rm "$made" >/dev/null' EXIT
root=$(buildah mount "$made")
# as `podman run --read-only --user 10001`: the root cannot be written, the volume can
unshare --mount --pid --fork bash -euc '
  mount --bind "$1" "$1"; mount -t proc proc "$1/proc"; mount --rbind /dev "$1/dev"
  mount -t tmpfs -o mode=755,uid=10001 tmpfs "$1/var/lib/txmon"
  mount -o remount,bind,ro "$1"
  run() { chroot --userspec=10001:10001 "$1" env -i PATH=/opt/txmon/bin:/usr/bin:/bin HOME=/var/lib/txmon "${@:2}"; }
  run "$1" sh -c "id -u; cd /var/lib/txmon; ! touch /etc/x 2>/dev/null && echo read-only root; txmon --version
    txmon serve --port 8765 --state txmon.state --out verdicts.jsonl & served=\$!
    for try in \$(seq 100); do
      python3 -c \"import urllib.request as u; print(u.urlopen(\\\"http://127.0.0.1:8765/readyz\\\").status)\" 2>/dev/null && break
      sleep 0.2
    done
    kill \$served; wait \$served; echo serve ended with \$?; ls -l"
' container "$root"
