# SPDX-License-Identifier: MIT
# Loaded by `make debug`, which has QEMU stopped at its first instruction. By hand:
#   gdb build/tarn.elf -ex 'target remote :1234' -x tools/gdb/tarn.gdb
# A thread of gdb is a CPU of the machine, in the firmware's order, which need not be tarn's.
set pagination off
set confirm off
set print pretty on
set disassembly-flavor intel
source tools/gdb/tarn.py

# Breakpoints must be hardware ones as long as the image is not loaded yet.
define tarn-break
    hbreak $arg0
end
document tarn-break
tarn-break FUNCTION: a breakpoint that also works before the image is loaded.
end

echo tarn-domains, tarn-vcpus [DOMID], tarn-cpus, tarn-runqueues, tarn-where ADDRESS, tarn-frame MFN, tarn-log: see help\n
echo The machine stands at its first instruction; tarn-break panic, then continue.\n
