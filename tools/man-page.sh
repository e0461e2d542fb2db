#!/bin/sh
# SPDX-License-Identifier: MIT
# Writes the man page: man-page.sh PEAL docs/peal.1.in. The line @OPTIONS@ becomes the table.
set -eu
"$1" config --man | awk '
  NR == FNR { table = table $0 "\n"; next }
  $0 == "@OPTIONS@" { printf "%s", table; next }
  { print }' - "$2"
