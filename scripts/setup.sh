# Sourced by the other scripts: a virtual environment in .venv that holds vad and what the caller asks for.
# Quick when nothing has changed: the environment is rebuilt only when pyproject.toml or the Python version differ.

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
cd "$root"

find_python() {
  local candidate
  for candidate in "${PYTHON:-}" python3 python3.13 python3.12 python3.11; do
    if [ -n "$candidate" ] && "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      echo "$candidate"
      return
    fi
  done
  echo "vad needs Python 3.11 or newer; found $(python3 --version 2>&1 || echo none). Set PYTHON to one." >&2
  return 1
}

# As root on Debian or Ubuntu, install the packages named; say plainly what is missing otherwise.
debian_packages() {
  local missing=() package
  for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  [ "${#missing[@]}" -eq 0 ] && return 0
  if ! command -v apt-get >/dev/null || [ "$(id -u)" -ne 0 ]; then
    echo "note: not installed, and this is not root on Debian or Ubuntu: ${missing[*]}" >&2
    return 1
  fi
  echo "installing Debian packages: ${missing[*]}"
  apt-get update -qq && without_daemons \
    env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null || return 1
  disable_daemons "${missing[@]}"
}

# Run a command so that no package it installs starts its daemon: the tests run their own, on ports of their own.
without_daemons() {
  local policy=/usr/sbin/policy-rc.d status=0
  if [ -e "$policy" ]; then # a container has one that says the same, or somebody wants it so
    "$@"
    return
  fi
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
  "$@" || status=$?
  rm -f "$policy"
  return "$status"
}

# The daemons of packages just installed shall not start with the machine either. Nothing to do without systemd.
disable_daemons() {
  command -v systemctl >/dev/null || return 0
  dpkg -L "$@" | { grep -E '/systemd/system/[^/@]+\.(service|timer|socket)$' || true; } | xargs -r -n 1 basename \
    | xargs -r systemctl --quiet disable >/dev/null 2>&1 || echo "note: some daemons may still be enabled" >&2
}

# setup [extra]: the environment with vad (editable) and an optional extra of pyproject.toml.
setup() {
  local extra="${1:-}" python stamp want
  python="$(find_python)"
  if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    debian_packages python3-venv || { echo "install python3-venv first" >&2; return 1; }
  fi
  stamp=".venv/.vad-setup${extra:+-$extra}"
  want="$("$python" --version) $(cat pyproject.toml scripts/constraints.txt | cksum)"
  if [ -x .venv/bin/vad ] && [ "$(cat "$stamp" 2>/dev/null)" = "$want" ]; then
    return
  fi
  echo "setting up .venv (the first time takes a few minutes: PyTorch is large)"
  .venv/bin/python -m pip --version >/dev/null 2>&1 || "$python" -m venv --clear .venv
  .venv/bin/python -m pip install --quiet --disable-pip-version-check --constraint scripts/constraints.txt \
    --editable ".${extra:+[$extra]}"
  echo "compiling the kernels"
  .venv/bin/python -c 'from vad.scoring.warming import warm_kernels; from vad.video.luma import warm_luma; warm_luma(); warm_kernels()
from vad.model.features import warm_features; warm_features()'
  echo "$want" >"$stamp"
}
