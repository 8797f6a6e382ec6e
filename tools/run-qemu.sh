#!/bin/sh
# SPDX-License-Identifier: MIT
# Boots tarn under QEMU: `kernel` through Multiboot 1, `iso` through GRUB, `debug` stopped with gdb
# attached. From the environment: O, GUEST and ARGS (that guest alone as dom0), SMP, MEM, CPU,
# ACCEL, APPEND (hypervisor's command line), QEMU, QEMU_ARGS.
# QEMU's status is this script's: 0 when dom0 powered off, odd and above 1 after a panic.
set -u
mode=$1
O=${O:-build}
gdb_port=${GDB_PORT:-1234}

list() {
    if [ -n "${GUEST:-}" ]; then
        echo "$GUEST ${ARGS:-}"
    else
        # the demo's script runs by itself; with nobody at the keyboard it is also the end
        script="script=demo.sh"
        [ -t 0 ] || script="$script exit"
        grep -v '^#' tools/demo.txt | sed "s/^control\$/control $script/"
    fi
}

# -initrd takes "file string,file string"; a comma inside is doubled
modules() {
    list | grep -v '^tarn ' | sed 's/,/,,/g' | while read -r file string; do
        case $file in
        *.*) file=$O/$file ;;
        *) file=$O/guests/$file.elf ;;
        esac
        if [ ! -e "$file" ]; then
            echo "run: $file is not there" >&2
            continue
        fi
        printf '%s%s' "${comma:-}" "$file${string:+ $string}"
        comma=,
    done
}

set -- "${QEMU:-qemu-system-x86_64}" -accel "${ACCEL:-tcg,thread=multi}" -cpu "${CPU:-max,-smap,vendor=GenuineIntel}" \
    -smp "${SMP:-8,sockets=2,cores=2,threads=2}" -m "${MEM:-512}" -display none -no-reboot \
    -device isa-debug-exit
case $mode in
iso) set -- "$@" -boot d -cdrom "$O/tarn.iso" ;;
*)
    initrd=$(modules)
    append=$(list | sed -n 's/^tarn //p')
    set -- "$@" -kernel "$O/tarn.elf32" -append "$append${append:+ }${APPEND:-}"
    [ -z "$initrd" ] || set -- "$@" -initrd "$initrd"
    ;;
esac

if [ "$mode" = debug ]; then
    # shellcheck disable=SC2086 # QEMU_ARGS is a list
    "$@" ${QEMU_ARGS:-} -serial "file:$O/debug.log" -S -gdb "tcp:127.0.0.1:$gdb_port" &
    qemu=$!
    trap 'kill $qemu 2>/dev/null' EXIT
    echo "debug: the serial line goes to $O/debug.log"
    gdb -q "$O/tarn.elf" -ex "target remote 127.0.0.1:$gdb_port" -x tools/gdb/tarn.gdb
    exit
fi
echo "run: QEMU with ${SMP:-8 CPUs on 2 sockets}, ${MEM:-512} MiB; Ctrl-C leaves"
# shellcheck disable=SC2086
exec "$@" ${QEMU_ARGS:-} -serial stdio
