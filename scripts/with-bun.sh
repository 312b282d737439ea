#!/bin/sh
# Runs the pinned Bun with the given arguments from the project's root, installing Bun and the dependencies
# of the lock file first where they are missing.
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
bun=$(sh "$root/scripts/bun/find-bun.sh")
cd "$root"
if [ ! -e node_modules/.robur-lock ] || ! cmp -s bun.lock node_modules/.robur-lock; then
	"$bun" install --frozen-lockfile >&2
	cp bun.lock node_modules/.robur-lock
fi
exec "$bun" "$@"
