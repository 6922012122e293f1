#!/usr/bin/env bash
# Runs README's two commands on a bare Debian, as root and as a user without sudo, and prints how long each one took.
#
# sudo tests/helpers/fresh_machine.sh FOLDER                      makes the machine in FOLDER and runs all four
# sudo tests/helpers/fresh_machine.sh FOLDER user:demo user:test  runs these alone, on a machine that is there or is made
#
# It needs debootstrap, and a network that reaches a Debian mirror and a Python package index. The machine is a chroot with Debian's
# smallest set of packages, and python3, python3-venv, make and git. It has no compiler, browser or database. The checkout is
# what the current commit holds. From this machine it takes only the address of its Debian mirror, pip's configuration, and
# certificates that they name.
#
# FRESH_SUITE=bookworm, FRESH_MIRROR=URL: another Debian.  FRESH_NICE=10: runs the commands at a lower priority.
set -euo pipefail
here="$(cd "$(dirname "$0")/../.." && pwd)"
[ "$#" -ge 1 ] || { sed -n '2,12s/^# \{0,1\}//p' "$0" >&2; exit 2; }
machine="$1"; shift
[ "$#" -gt 0 ] || set -- root:demo root:test user:demo user:test
suite="${FRESH_SUITE:-bookworm}"
[ "$(id -u)" = 0 ] || { echo "fresh_machine: chroot needs root. Run it with sudo." >&2; exit 1; }
command -v debootstrap >/dev/null || { echo "fresh_machine: debootstrap is missing: apt-get install debootstrap" >&2; exit 1; }

if [ ! -e "$machine/ready" ]; then
  mirror="${FRESH_MIRROR:-$(sed -nE 's/^URIs: *([^ ]*debian)\/?$/\1/p; s/^deb +(\[[^]]*\] +)?([^ ]*debian)\/? .*/\2/p' \
    /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | head -1 || true)}"
  debootstrap --variant=minbase --include=python3,python3-venv,make,git "$suite" "$machine" ${mirror:+"$mirror"} >"$machine.log" 2>&1 ||
    { tail -5 "$machine.log" >&2; exit 1; }
  cp -L /etc/resolv.conf /etc/hosts "$machine/etc/"
  for kept in /etc/pip.conf /etc/xdg/pip "${PIP_CERT:-}" "${SSL_CERT_FILE:-}" "$(python3 -m pip config get global.cert 2>/dev/null || true)"; do
    [ -z "$kept" ] || [ ! -e "$kept" ] || { mkdir -p "$machine$(dirname "$kept")"; cp -rL "$kept" "$machine$(dirname "$kept")/"; }
  done
  chroot "$machine" useradd --create-home --shell /bin/bash user
  touch "$machine/ready"
fi

bundle="$machine/tmp/txmon.bundle"
git -C "$here" bundle create --quiet "$bundle" HEAD
chmod 644 "$bundle"
failed=0
for step in "$@"; do
  who="${step%%:*}"; target="${step#*:}"
  home=/root; [ "$who" = root ] || home=/home/user
  log="$machine/$who-$target.log"
  begun=$(date +%s)
  # mounts of its own go with the processes; the variables are those of pip and of proxies alone
  state=ok
  unshare --mount --pid --fork bash -euc '
    machine="$1" who="$2" home="$3" target="$4"
    mount -t proc proc "$machine/proc"
    mount --rbind /dev "$machine/dev"
    variables=(HOME="$home" USER="$who" PATH=/usr/local/bin:/usr/bin:/bin LANG=C.UTF-8)
    for name in $(compgen -e | grep -iE "^(PIP_(CERT|INDEX_URL|EXTRA_INDEX_URL|DEFAULT_TIMEOUT)|SSL_CERT_FILE|https?_proxy|no_proxy)$"); do
      variables+=("$name=${!name}")
    done
    exec chroot --userspec="$who" "$machine" env -i "${variables[@]}" \
      nice -n "${FRESH_NICE:-0}" bash -euc "
        cd; [ -d txmon ] || git clone --quiet /tmp/txmon.bundle txmon
        cd txmon; git fetch --quiet /tmp/txmon.bundle HEAD; git checkout --quiet FETCH_HEAD
        make $target"
  ' fresh "$machine" "$who" "$home" "$target" >"$log" 2>&1 </dev/null || state=FAILED
  printf '%-5s make %-5s %-6s %4d s  %s\n' "$who" "$target" "$state" "$(($(date +%s) - begun))" "$log"
  [ "$state" = ok ] || { tail -15 "$log"; failed=1; }
done
exit "$failed"
