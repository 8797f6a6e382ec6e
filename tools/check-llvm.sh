#!/bin/sh
# SPDX-License-Identifier: MIT
# Builds all with clang and ld.lld into OUT/llvm and boots a guest on that image. Without clang it
# says so and counts nothing. Leaves "PASSED FAILED" in OUT/results/llvm.
set -u
O=${O:-build}
mkdir -p "$O/results"
finish() {
    echo "$1 $2" >"$O/results/llvm"
    echo "llvm: $1 passed, $2 failed"
    exit "$2"
}

if ! command -v clang >/dev/null 2>&1 || ! command -v ld.lld >/dev/null 2>&1; then
    echo "skipped clang: clang or ld.lld is not installed"
    finish 0 0
fi
log=$O/results/llvm.log
if ! env -u MAKEFLAGS -u MFLAGS make -j"$(nproc)" O="$O/llvm" LLVM=1 all >"$log" 2>&1 ||
    grep -i 'warning' "$log"; then
    tail -n 20 "$log"
    echo "FAILED  make LLVM=1 all"
    finish 0 1
fi
echo "ok      make LLVM=1 all"
timeout 120 "${QEMU:-qemu-system-x86_64}" -accel tcg -cpu max,-smap -smp 2 -m 256 -display none -no-reboot \
    -serial stdio -kernel "$O/llvm/tarn.elf32" -initrd "$O/llvm/guests/hello.elf" </dev/null >"$log" 2>&1
if ! grep -q '^hello: ok' "$log"; then
    tail -n 20 "$log"
    echo "FAILED  boot of clang's image"
    finish 1 1
fi
echo "ok      boot of clang's image"
finish 2 0
