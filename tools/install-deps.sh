#!/bin/sh
# SPDX-License-Identifier: MIT
# Installs what is missing of the Debian packages that tarn needs: `build` to build and run it,
# `check` for the tests as well, `debug` for gdb. Says nothing and is quick when all is there.
# TARN_NO_INSTALL=1 only says what is missing. Exit: 0 all there, 1 something is missing.
set -u
what=${1:-build}
missing=

# need PACKAGE PROBE...: a probe is a command or a file; one that is found is enough
need() {
    package=$1
    shift
    for probe; do
        case $probe in
        /*) [ -e "$probe" ] && return ;;
        *) command -v "$probe" >/dev/null 2>&1 && return ;;
        esac
    done
    missing="$missing $package"
}

need gcc gcc
need binutils ld
need make make
need nasm nasm
need libc6-dev /usr/include/stdio.h
need libxen-dev /usr/include/xen/xen.h
need libxml2-dev /usr/include/libxml2/libxml/parser.h
need qemu-system-x86 qemu-system-x86_64
need grub-common grub-mkrescue
need grub-pc-bin /usr/lib/grub/i386-pc/multiboot2.mod
need xorriso xorriso
need mtools mformat
[ "$what" != debug ] || need gdb gdb
if [ "$what" = check ]; then
    need libcmocka-dev /usr/include/cmocka.h
    need clang-format clang-format
    need spin spin
    need libvirt0 /usr/share/libvirt/schemas/domain.rng
    need python3 /usr/bin/python3
    need python3-pytest /usr/lib/python3/dist-packages/pytest/__init__.py
    need python3-pytest-xdist /usr/lib/python3/dist-packages/xdist/__init__.py
    need python3-pexpect /usr/lib/python3/dist-packages/pexpect/__init__.py
fi
[ -n "$missing" ] || exit 0

give_up() {
    echo "tarn: these Debian packages are missing:$missing" >&2
    echo "tarn: $*" >&2
    exit 1
}

[ -z "${TARN_NO_INSTALL:-}" ] || give_up "not installing them, as TARN_NO_INSTALL is set."
command -v apt-get >/dev/null 2>&1 || give_up "there is no apt-get here; please install what they hold by hand."
sudo=
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null 2>&1 || give_up "not root and no sudo; as root: apt-get install$missing"
    sudo=sudo
fi

echo "tarn: installing$missing"
# shellcheck disable=SC2086 # a list of words
install() {
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get -y -qq -o Dpkg::Use-Pty=0 \
        -o Acquire::Retries=2 install --no-install-recommends $missing
}
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! install >"$log" 2>&1; then
    echo "tarn: fetching the package lists first"
    if ! $sudo apt-get -qq update >>"$log" 2>&1 || ! install >>"$log" 2>&1; then
        tail -n 15 "$log" >&2
        give_up "apt-get failed (no network?); later by hand: apt-get install$missing"
    fi
fi
[ "${2:-}" = again ] || exec "$0" "$what" again
