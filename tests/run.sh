#!/bin/sh
# `npm test`: runs all tests, or with arguments those whose path contains one of them. Bun and the dependencies of
# the lock file are installed first where they are missing. tests/run.ts does the rest.
exec sh "$(dirname -- "$0")/../scripts/with-bun.sh" tests/run.ts "$@"
