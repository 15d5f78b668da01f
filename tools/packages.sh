#!/bin/sh
# Installs the Debian packages that the system tests need (as root), or says which are missing and how to get them.
set -eu
wanted=$(sed 's/#.*//' tools/debian-packages.txt)
missing=
for package in $wanted; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
if ! command -v apt-get >/dev/null 2>&1 || [ "$(id -u)" != 0 ]; then
  echo "packages  the system tests that need these are skipped:$missing"
  echo "  next    sudo apt-get install --no-install-recommends$missing"
  exit 0
fi
# Servers are only wanted as programs: none may start by itself while it is being installed.
policy=/usr/sbin/policy-rc.d
made=
if ! [ -e $policy ]; then
  printf '#!/bin/sh\nexit 101\n' >$policy
  chmod +x $policy
  made=1
fi
trap '[ -z "$made" ] || rm -f $policy' EXIT
apt-get update -qq
# shellcheck disable=SC2086 # a list of words is meant
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
echo "packages  installed:$missing"
