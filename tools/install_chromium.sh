#!/bin/sh
# Install Debian's Chromium when it is missing and we may. Elsewhere say so: the browser tests are then
# skipped visibly, except in CI, where they must run.
set -eu
for name in chromium chromium-browser google-chrome; do
  command -v "$name" >/dev/null 2>&1 && exit 0
done
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  apt-get update -qq && apt-get install -y -qq chromium >/dev/null && exit 0
fi
echo "Chromium is not installed and can't be installed here: the browser tests will be skipped." >&2
[ -z "${CI:-}" ]
