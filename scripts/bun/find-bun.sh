#!/bin/sh
# Prints the path of a Bun of exactly the pinned version: the one on PATH if it is that version, else the
# one in .cache/bun/ of the checkout, which npm puts there first if need be.
#
# package.json beside this file pins three builds of Bun and package-lock.json their SHA-512; a machine needs
# one of them, and each is a download of 40 MB. So npm is given a package.json that names only that one, with
# the whole lock file. As a plain dependency it is: npm passes over an optional one that fails its checksum.
set -eu

say() {
	printf '%s\n' "$*" >&2
}

die() {
	say "error: $1"
	shift
	for line in "$@"; do say "  $line"; done
	exit 1
}

fits() {
	[ "$("$1" --version 2>/dev/null)" = "$version" ]
}

# The package for this machine. Bun's usual x64 build dies of an illegal instruction on a CPU without AVX2.
package_for_this_machine() {
	case $(uname -s)/$(uname -m) in
	Linux/x86_64 | Linux/amd64)
		if grep -qw avx2 /proc/cpuinfo; then
			echo bun-linux-x64
		else
			echo bun-linux-x64-baseline
		fi
		;;
	Linux/aarch64 | Linux/arm64) echo bun-linux-aarch64 ;;
	*) die "there is no Bun for $(uname -s) on $(uname -m) that robur can be built with" \
		"robur runs on Linux, on x86_64 and aarch64" ;;
	esac
}

# Everything happens in a directory of its own and ends with one rename, so two of these at once cannot
# disturb each other, and a killed one leaves nothing that could be taken for a Bun.
install_bun() {
	command -v npm >/dev/null || die "Bun $version is needed to build robur, and npm to fetch it" \
		"neither is on PATH" "try: apt install npm"
	command -v node >/dev/null || die "npm is here, but node is not on PATH" "try: apt install nodejs"
	mkdir -p "$cache/$version-$package"
	work=$(mktemp -d "$cache/.new.XXXXXX")
	trap 'rm -rf "$work"' EXIT
	trap 'exit 129' HUP
	trap 'exit 130' INT
	trap 'exit 143' TERM
	cp "$here/package-lock.json" "$work/"
	printf '{ "name": "bun-for-robur", "private": true, "dependencies": { "@oven/%s": "%s" } }\n' \
		"$package" "$version" >"$work/package.json"
	# Without a home directory npm has no place for its cache.
	[ -w "${HOME:-/nonexistent}" ] || export npm_config_cache="$work/npm"
	say "fetching Bun $version (@oven/$package) with npm"
	(cd "$work" && npm ci --ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel=error) >&2 ||
		die "npm could not fetch Bun $version" "what it said is above" \
			"try: put Bun $version on PATH yourself"
	fits "$work/node_modules/@oven/$package/bin/bun" || die "the Bun that npm fetched does not run here" \
		"robur needs the GNU C library (glibc) 2.17 or newer"
	mv -f "$work/node_modules/@oven/$package/bin/bun" "$cached"
}

main() {
	here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
	cache=$(CDPATH='' cd -- "$here/../.." && pwd)/.cache/bun
	version=$(sed -n 's/.*"@oven\/bun-linux-x64": "\([^"]*\)".*/\1/p' "$here/package.json")

	on_path=$(command -v bun || :)
	if [ -n "$on_path" ] && fits "$on_path"; then
		printf '%s\n' "$on_path"
		return
	fi
	package=$(package_for_this_machine)
	cached=$cache/$version-$package/bun
	fits "$cached" || install_bun
	printf '%s\n' "$cached"
}

main "$@"
