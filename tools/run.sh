#!/bin/sh
# The main job on this machine: scan every own address, print the table, keep a page to look at.
set -eu
.venv/bin/reconshield scan localhost "$@"
