#!/bin/sh
# Installs robur.
#
#   ./install.sh                            in a checkout: builds robur from these sources
#   curl -fsSL https://…/install.sh | sh    anywhere else: downloads a release and checks its signature
#
# All of it is functions, and the last line calls main: of a download that breaks off, nothing runs.
# Everything it says goes to stderr, so that stdout belongs to the program that `install.sh run …` starts.
set -eu

# The release tool fills these in, in the copy that it publishes. The copy in the source tree has neither:
# it cannot know where a release lies, nor who may sign it.
BASE_URL=''
PUBLIC_KEY=''

usage() {
	cat >&2 <<'EOF'
Installs robur in /usr/local/bin (as root) or ~/.local/bin, and never edits a start-up file of your shell.

usage: install.sh [options] [arguments of robur]

  --dry-run        say what would be done, and do nothing
  --version X      download version X, also in a checkout
  --binary FILE    install this executable (or .gz of one): no download, no build
  --bin-dir DIR    install in DIR
  --uninstall      remove robur, and the links solo5-hvt and solo5-spt that lead to it; its data stays
  --purge          with --uninstall: remove the data directory as well
  --yes            do not ask before --purge
  --help           this text

Arguments that remain are run: `install.sh run hello.hvt` installs robur and boots hello.hvt.

environment:
  ROBUR_BASE_URL    where the releases lie: BASE/robur-linux-x64.gz is the newest and
                    BASE/vX/robur-linux-x64.gz is version X
  ROBUR_PUBLIC_KEY  the Ed25519 key that releases are signed with: 32 bytes in base64, or PEM.
                    Both are kept for `robur upgrade` in /etc/robur/origin (as root) or
                    ~/.config/robur/origin
  ROBUR_DATA_DIR    the data directory, if it is not the usual one
EOF
}

say() {
	printf '%s\n' "$*" >&2
}

# die WHAT [WHY…] ["try: COMMAND"]; the exit status is 1 unless exit_status says another.
die() {
	say "error: $1"
	shift
	for line in "$@"; do [ -z "$line" ] || say "  $line"; done
	exit "${exit_status:-1}"
}

usage_error() {
	exit_status=2 die "$1" "try: install.sh --help"
}

# need TOOL PURPOSE [PACKAGE]
need() {
	command -v "$1" >/dev/null 2>&1 ||
		die "$1 is needed to $2, and it is not on PATH" "try: apt install ${3:-$1}"
}

sha256_of() {
	sum=$(sha256sum <"$1")
	printf '%s\n' "${sum%% *}"
}

check_system() {
	system=$(uname -s)
	[ "$system" = Linux ] || die "robur runs on Linux only, and this is $system"
	machine=$(uname -m)
	case $machine in
	x86_64 | amd64) arch=x64 loader=/lib64/ld-linux-x86-64.so.2 ;;
	aarch64 | arm64) arch=arm64 loader=/lib/ld-linux-aarch64.so.1 ;;
	*) die "robur has no build for $machine" "it runs on x86_64 and aarch64" ;;
	esac
	libc=$(ldd --version 2>&1 || :)
	if [ ! -e "$loader" ] || [ "$libc" != "${libc#*musl}" ]; then
		die "robur needs the GNU C library (glibc), and this system has another, such as musl" \
			"try: a Debian, Ubuntu or Fedora system or container"
	fi
	need sha256sum "check what is installed" coreutils
}

choose_bin_dir() {
	if [ "$bin_dir" ]; then
		case $bin_dir in /*) ;; *) bin_dir=$PWD/$bin_dir ;; esac
	elif [ "$(id -u)" = 0 ]; then
		bin_dir=/usr/local/bin
	elif [ "${HOME:-}" ]; then
		bin_dir=$HOME/.local/bin
	else
		die "there is no telling where to install robur: HOME is not set" "try: install.sh --bin-dir DIR"
	fi
	target=$bin_dir/robur
}

check_bin_dir() {
	[ ! -d "$target" ] || die "$target is a directory" "try: install.sh --bin-dir DIR"
	above=$bin_dir
	while [ ! -e "$above" ]; do above=$(dirname "$above"); done
	if [ ! -d "$above" ] || [ ! -w "$above" ]; then
		exit_status=5 die "cannot write to $bin_dir" "$above is not a directory that you may write to" \
			"try: install.sh --bin-dir DIR, or run it as root"
	fi
}

# True where this file lies in a checkout. The published copy never does, whatever it is saved beside.
in_checkout() {
	if [ "$PUBLIC_KEY" ] || [ ! -f "$0" ]; then return 1; fi
	here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
	[ -f "$here/src/main.ts" ] && grep -q '"name": "robur"' "$here/package.json" 2>/dev/null
}

# One hash over every source file and the commit, which `robur --version` shows. By content, because times
# lie: unpacking an archive or copying a checkout sets old times on new files.
sources_hash() {
	cd "$here"
	{
		git rev-parse HEAD 2>/dev/null || :
		find . \( -name .git -o -name node_modules -o -name .cache -o -name dist \) -prune \
			-o -type f -exec sha256sum {} + | LC_ALL=C sort
	} | sha256sum
}

# Descriptor 9 holds a lock until dist/robur is installed: two builds at once would write the same files.
build_in_checkout() {
	[ -w "$here" ] || die "cannot build in $here" "you may not write to it" "try: a checkout of your own"
	mkdir -p "$here/.cache" "$here/dist"
	exec 9>"$here/.cache/install.lock"
	if command -v flock >/dev/null 2>&1; then flock 9; fi
	built=$here/dist/robur
	sources=$(sources_hash)
	sources=${sources%% *}
	if [ -x "$built" ] && [ "$(cat "$built.from" 2>/dev/null)" = "$sources $(sha256_of "$built")" ]; then
		say "dist/robur is already built from these sources"
	else
		say "building robur from $here"
		bun=$(sh "$here/scripts/bun/find-bun.sh" 9>&-)
		(cd "$here" && PATH="$(dirname "$bun"):$PATH" "$bun" run build) >&2 </dev/null 9>&- ||
			die "the build failed" "what it said is above"
		printf '%s %s\n' "$sources" "$(sha256_of "$built")" >"$built.from"
	fi
	put "$built"
	exec 9>&-
}

check_download_settings() {
	[ "$public_key" ] || die "this copy of install.sh has no public key to check a download against" \
		"it is the one of the source tree; a published one has the address and the key filled in" \
		"try: set ROBUR_BASE_URL and ROBUR_PUBLIC_KEY, or run ./install.sh in a checkout to build robur"
	case $base_url in
	http://* | https://*) from=${base_url%/}${version:+/v$version} ;;
	*) die "there is no http or https address to download robur from" "try: set ROBUR_BASE_URL" ;;
	esac
	command -v curl >/dev/null 2>&1 || need wget "download robur (or curl)" curl
	need gzip "unpack robur"
	need openssl "check the signature of the download"
	case $(openssl version) in
	"OpenSSL 0."* | "OpenSSL 1."* | LibreSSL*)
		die "openssl 3 or newer is needed to check the signature of the download" "this is $(openssl version)" ;;
	esac
}

# fetch NAME: downloads $from/NAME to $work/NAME
fetch() {
	say "downloading $from/$1"
	if command -v curl >/dev/null 2>&1; then
		curl -fsSL --connect-timeout 20 --retry 2 -o "$work/$1" "$from/$1" 2>"$work/said"
	else
		wget -O "$work/$1" "$from/$1" 2>"$work/said"
	fi </dev/null || die "cannot download $from/$1" "$(grep . "$work/said" | tail -n 1)" \
		"${version:+is there a version $version?}"
}

# Leaves SHA256SUMS in $work, known to be signed by the key.
fetch_signed_sums() {
	case $public_key in
	*BEGIN*) printf '%s\n' "$public_key" ;;
	# In DER (RFC 8410) the same twelve bytes, here in base64, stand before the 32 of any Ed25519 key.
	*) printf '%s\n' "-----BEGIN PUBLIC KEY-----" "MCowBQYDK2VwAyEA$public_key" "-----END PUBLIC KEY-----" ;;
	esac >"$work/key.pem"
	openssl pkey -pubin -in "$work/key.pem" -noout 2>/dev/null || die "this is no Ed25519 public key: $public_key" \
		"try: set ROBUR_PUBLIC_KEY to 32 bytes in base64, or PEM"
	fetch SHA256SUMS
	fetch SHA256SUMS.sig
	openssl pkeyutl -verify -rawin -pubin -inkey "$work/key.pem" -sigfile "$work/SHA256SUMS.sig" \
		-in "$work/SHA256SUMS" >/dev/null 2>&1 || die "SHA256SUMS is not signed by the key of this installer" \
		"the download is damaged, or someone else made it; nothing was installed"
}

# fetch_checked NAME: downloads it, and checks it against SHA256SUMS
fetch_checked() {
	expected=$(sed -n "s/^\([0-9a-f]\{64\}\)  $1\$/\1/p" "$work/SHA256SUMS")
	[ "$expected" ] || die "this release has no $1" "$from/SHA256SUMS does not name it; nothing was installed"
	fetch "$1"
	[ "$(sha256_of "$work/$1")" = "$expected" ] || die "the SHA-256 of $1 is not the one that was signed" \
		"the download is damaged, or someone changed it; nothing was installed"
}

# The signed file RELEASE says which version this is, so that no one can pass off an old release as another
# version, and which executable it holds, so that what is installed already is not downloaded again.
download_release() {
	fetch_signed_sums
	fetch_checked RELEASE
	found=$(sed -n 's/^version //p' "$work/RELEASE")
	[ "${version:-$found}" = "$found" ] || die "$from holds version $found, not $version" "nothing was installed"
	if [ -x "$target" ] && grep -qx "robur-linux-$arch $(sha256_of "$target")" "$work/RELEASE"; then
		put "$target"
	else
		fetch_checked "robur-linux-$arch.gz"
		put "$work/robur-linux-$arch.gz"
	fi
	remember_origin
}

# Where `robur upgrade` finds the address, and the key that releases have to be signed with from now on.
choose_origin_file() {
	if [ "$(id -u)" = 0 ]; then
		origin=/etc/robur/origin
	elif [ "${XDG_CONFIG_HOME:-${HOME:-}}" ]; then
		origin=${XDG_CONFIG_HOME:-$HOME/.config}/robur/origin
	else
		origin=
	fi
}

remember_origin() {
	choose_origin_file
	key=$(sed -n '2s/^MCowBQYDK2VwAyEA//p' "$work/key.pem")
	if [ "$origin" ] && mkdir -p "${origin%/*}" 2>/dev/null && staged=$(mktemp "$origin.XXXXXX" 2>/dev/null); then
		printf '%s\n' "base-url ${base_url%/}" "public-key $key" >"$staged"
		chmod 644 "$staged"
		mv -f "$staged" "$origin"
		staged=
	else
		staged=
		say "note: cannot write ${origin:-~/.config/robur/origin}; robur upgrade will need --from and --key"
	fi
}

# put FILE: makes it $target by one rename, so that there is always a whole robur, the old one or the new,
# and one that is running is not disturbed.
put() {
	if [ -x "$target" ] && cmp -s "$1" "$target"; then
		say "already installed: $target"
	else
		mkdir -p "$bin_dir"
		staged=$(mktemp "$bin_dir/.robur.XXXXXX")
		case $1 in
		*.gz) gzip -cd "$1" ;;
		*) cat "$1" ;;
		esac >"$staged" || die "cannot unpack $1 to $staged" "is there space left in $bin_dir?"
		chmod 755 "$staged"
		answer=$("$staged" --version 2>/dev/null </dev/null) || answer="exit status $?"
		case $answer in
		"robur "*) ;;
		*) die "$1 does not run here as robur" "its answer to --version is: $answer" \
			"on x86_64 a release may need a CPU with AVX2; from a file system mounted noexec nothing runs" ;;
		esac
		mv -f "$staged" "$target"
		staged=
		say "installed $answer: $target"
	fi
	say "SHA-256 $(sha256_of "$target")"
}

explain_path() {
	case :${PATH:-}: in
	*:"$bin_dir":*)
		first=$(command -v robur || :)
		[ "${first:-$target}" = "$target" ] || say "note: $first comes first on PATH"
		;;
	*)
		say "$bin_dir is not on PATH. To have it there, add this line to the start-up file of your shell:"
		say "  export PATH=\"$bin_dir:\$PATH\""
		;;
	esac
}

find_data_dir() {
	data=${ROBUR_DATA_DIR:-}
	if [ -z "$data" ] && [ "$(id -u)" = 0 ]; then
		data=/var/lib/robur
	elif [ -z "$data" ] && [ "${XDG_DATA_HOME:-${HOME:-}}" ]; then
		data=${XDG_DATA_HOME:-$HOME/.local/share}/robur
	fi
	# A directory that this user may not enter keeps the name it has.
	[ ! -x "$data" ] || data=$(CDPATH='' cd -- "$data" && pwd -P)
}

# A wrong ROBUR_DATA_DIR must cost no one a home directory: what is removed has robur's database in it, no
# home directory under it, and no robur running on it.
agree_to_purge() {
	for process in /proc/[0-9]*; do
		case $(readlink "$process/exe" 2>/dev/null) in
		"$target" | "$target (deleted)") die "robur is running, as process ${process#/proc/}" \
			"nothing was removed" "try: stop it first" ;;
		esac
	done
	[ -f "$data/robur.db" ] || [ -z "$(ls -A "$data")" ] || die "$data is not robur's data directory" \
		"there is no robur.db in it; nothing was removed"
	case $(CDPATH='' cd -- "${HOME:-/}" 2>/dev/null && pwd -P)/ in
	"${data%/}"/*) die "$data holds your home directory" "nothing was removed" ;;
	esac
	say "$data holds $(du -sh "$data" 2>/dev/null | cut -f1):"
	find "$data" -mindepth 1 -maxdepth 1 | LC_ALL=C sort | sed 's/^/  /' >&2
	[ -z "$dry_run$yes" ] || return 0
	if [ ! -t 2 ] || ! (: </dev/tty) 2>/dev/null; then
		exit_status=2 die "there is no terminal to ask on whether to remove $data" "nothing was removed" \
			"try: add --yes"
	fi
	printf 'Remove all of it, for good? [y/N] ' >&2
	read -r reply </dev/tty || reply=
	case $reply in
	y | Y | yes) ;;
	*) die "not agreed" "nothing was removed" ;;
	esac
}

remove() {
	if [ "$dry_run" ]; then
		say "would remove $1"
	else
		rm -rf -- "$1"
		say "removed $1"
	fi
}

uninstall() {
	if [ -e "$target" ] && [ ! -w "$bin_dir" ]; then
		exit_status=5 die "cannot remove $target" "you may not write to $bin_dir" "try: run it as root"
	fi
	[ ! -d "$target" ] || die "$target is a directory" "nothing was removed"
	find_data_dir
	[ -d "$data" ] || purge=
	[ -z "$purge" ] || agree_to_purge
	for link in "$bin_dir/solo5-hvt" "$bin_dir/solo5-spt"; do
		case $(readlink "$link") in robur | "$target") remove "$link" ;; esac
	done
	if [ -e "$target" ] || [ -L "$target" ]; then remove "$target"; else say "there is no $target"; fi
	choose_origin_file
	for rest in "$target.prev" "$origin"; do
		[ -z "$rest" ] || [ ! -e "$rest" ] || remove "$rest"
	done
	if [ "$origin" ] && [ -z "$dry_run" ]; then
		find "${origin%/*}" -prune -type d -empty -exec rm -r {} + 2>/dev/null || :
	fi
	if [ "$purge" ]; then remove "$data"; elif [ -e "$data" ]; then say "stays: $data"; fi
	for rest in /etc/robur /etc/systemd/system/robur.service \
		"${XDG_CONFIG_HOME:-${HOME:-}/.config}/robur" "${HOME:-}/.config/systemd/user/robur.service"; do
		[ ! -e "$rest" ] || say "stays: $rest"
	done
}

remove_temporary_files() {
	[ -z "$work" ] || rm -rf "$work"
	[ -z "$staged" ] || rm -f "$staged"
}

install_robur() {
	check_system
	check_bin_dir
	if [ "$binary" ]; then
		[ -f "$binary" ] || die "there is no file $binary"
		source=given
		plan="install $binary"
	elif [ -z "$version" ] && in_checkout; then
		source=checkout
		plan="build robur from $here, with Bun from npm if it is not there"
	else
		check_download_settings
		source=release
		plan="download robur-linux-$arch.gz from $from and check its signature"
	fi
	if [ "$dry_run" ]; then
		say "would $plan"
		say "would write $target"
		return
	fi
	trap remove_temporary_files EXIT
	trap 'exit 130' HUP INT TERM
	work=$(mktemp -d)
	case $source in
	given) put "$binary" ;;
	checkout) build_in_checkout ;;
	release) download_release ;;
	esac
	remove_temporary_files
	trap - EXIT
}

main() {
	# With this set, a compiled robur is no robur but a Bun.
	unset BUN_BE_BUN
	dry_run='' version='' binary='' bin_dir='' uninstall='' purge='' yes='' work='' staged=''
	base_url=${ROBUR_BASE_URL:-$BASE_URL}
	public_key=${ROBUR_PUBLIC_KEY:-$PUBLIC_KEY}
	while [ $# -gt 0 ]; do
		case $1 in
		--version | --binary | --bin-dir)
			[ "${2:-}" ] || usage_error "$1 needs a value"
			case $1 in
			--version) version=${2#v} ;;
			--binary) binary=$2 ;;
			--bin-dir) bin_dir=$2 ;;
			esac
			shift
			;;
		--version=*) version=${1#*=} version=${version#v} ;;
		--binary=*) binary=${1#*=} ;;
		--bin-dir=*) bin_dir=${1#*=} ;;
		--dry-run) dry_run=yes ;;
		--uninstall) uninstall=yes ;;
		--purge) purge=yes ;;
		--yes | -y) yes=yes ;;
		--help | -h) usage && exit ;;
		--) shift && break ;;
		-*) usage_error "there is no option $1" ;;
		*) break ;;
		esac
		shift
	done
	case $version in *[!0-9A-Za-z.+-]*) usage_error "$version is not a version" ;; esac
	[ -z "$version" ] || [ -z "$binary" ] || usage_error "--version and --binary exclude each other"
	[ -z "$purge" ] || [ "$uninstall" ] || usage_error "--purge goes with --uninstall"
	choose_bin_dir
	if [ "$uninstall" ]; then
		[ $# = 0 ] || usage_error "--uninstall takes no arguments of robur: $*"
		uninstall
		return
	fi
	install_robur
	explain_path
	[ $# -gt 0 ] || return 0
	if [ "$dry_run" ]; then say "would run: $target $*"; else exec "$target" "$@"; fi
}

# In braces, so that not even a last line that broke off half-way runs, without its arguments.
{ main "$@"; }
