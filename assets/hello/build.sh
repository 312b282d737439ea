#!/bin/sh
# Builds the hello unikernel into the directory given: hello.hvt, hello.spt and hello.virtio.
# The same compiler and linker (see COMPILER) give the same bytes in any directory. After a change here:
#   sh build.sh . && sha256sum hello.hvt hello.spt hello.virtio >SHA256SUMS
#   { gcc --version | head -n 1; ld --version | head -n 1; } >COMPILER
set -eu

if [ $# -ne 1 ]; then
    echo "usage: $0 OUTPUT-DIRECTORY" >&2
    exit 2
fi
mkdir -p "$1"
out=$(cd "$1" && pwd)
cd "$(dirname "$0")"

# Neither the locale nor an environment meant for other programs may change the images.
LC_ALL=C
export LC_ALL
unset CPATH C_INCLUDE_PATH LIBRARY_PATH GCC_EXEC_PREFIX COMPILER_PATH SOURCE_DATE_EPOCH

cc="${CC:-gcc}"
compile="-std=gnu17 -Os -Wall -Wextra -Werror -ffreestanding -fno-pic -fno-pie -mno-red-zone -mgeneral-regs-only
 -fno-stack-protector -fno-asynchronous-unwind-tables -fno-unwind-tables -fcf-protection=none -fno-ident
 -fno-tree-loop-distribute-patterns -ffunction-sections -fdata-sections"
link="-nostdlib -static -no-pie -Wl,--build-id=none -Wl,--gc-sections -Wl,-s -Wl,-z,max-page-size=4096
 -Wl,-z,noexecstack -Wl,-z,norelro"

build() {
    target=$1
    define=-DTARGET_$2
    abi=$3
    shift 3
    script="$out/hello.$target.ld"
    $cc -E -P -x c "$define" "-DABI_VERSION=$abi" guest.ld -o "$script"
    # shellcheck disable=SC2086
    $cc $compile $link "-ffile-prefix-map=$PWD=." "$define" "$@" text.c hello.c -T "$script" -o "$out/hello.$target"
    rm "$script"
    chmod 644 "$out/hello.$target"
}

build hvt HVT 2 hvt.c
build spt SPT 2 spt.c
build virtio VIRTIO 1 virtio-boot.S virtio.c
