#!/bin/sh
# Makes .venv with ReconShield installed from this checkout. Usage: tools/venv.sh [EXTRA]   (EXTRA: dev)
# Prints one line when it had something to do. Needs Python 3.11 or newer; on Debian and Ubuntu also the package python3-venv.
set -eu
extra=${1:-}
stamp=.venv/.ready${extra:+-$extra}
if [ -f "$stamp" ] && [ "$stamp" -nt pyproject.toml ] && [ "$stamp" -nt constraints.txt ]; then exit 0; fi

python=
for candidate in python3 python3.14 python3.13 python3.12 python3.11; do
  if command -v "$candidate" >/dev/null 2>&1 &&
    "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then python=$candidate; break; fi
done
if [ -z "$python" ]; then
  echo "error: Python 3.11 or newer was not found" >&2
  echo "  next   apt-get install python3 python3-venv" >&2
  exit 2
fi

begin=$(date +%s)
if ! [ -x .venv/bin/pip ]; then
  rm -rf .venv
  if ! "$python" -m venv .venv >/dev/null 2>&1; then
    rm -rf .venv
    if [ "$(id -u)" != 0 ]; then
      echo "error: this Python cannot make virtual environments" >&2
      echo "  next   sudo apt-get install python3-venv" >&2
      exit 2
    fi
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-venv
    "$python" -m venv .venv
  fi
fi
echo "install  .venv: packages are fetched, which may take some minutes" >&2
.venv/bin/pip install --quiet --quiet --disable-pip-version-check -c constraints.txt -e ".${extra:+[$extra]}"
.venv/bin/python -m compileall -q src  # as pip does for a package that is not edited in place
.venv/bin/python -m reconshield.knowledge.index
touch "$stamp"
version=$(.venv/bin/reconshield --version)
echo "install  .venv ready, $version    $(($(date +%s) - begin)) s"
