#!/bin/sh
# The main job on this machine: measure every own address, print the table, keep a page to look at, start the app.
# `--no-serve` leaves the app out.
set -eu
serve=yes
for word in "$@"; do
  shift
  case $word in
    --no-serve) serve=no ;;
    --dry-run) serve=no dry=yes; set -- "$@" "$word" ;;
    *) set -- "$@" "$word" ;;
  esac
done
code=0
.venv/bin/reconshield scan localhost "$@" || code=$?
[ -z "${dry:-}" ] || exit $code
case $code in
  0 | 1 | 4) .venv/bin/reconshield --quiet report latest --format html -o reconshield-report.html ;;
  *) exit $code ;;
esac
[ $serve = no ] || exec .venv/bin/reconshield serve
exit $code
