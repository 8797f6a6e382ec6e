# SPDX-License-Identifier: MIT
# What a guest's objects need beyond the flags that all freestanding code shares:
# the image lives in the top 2 GiB and the hypervisor pushes frames right below rsp.
GUEST_CFLAGS := -mcmodel=kernel -fno-pic -fno-pie -mno-red-zone -mgeneral-regs-only \
                -fno-stack-protector -fno-asynchronous-unwind-tables -Iguests/lib
GUEST_LDFLAGS := -nostdlib -static -no-pie -z max-page-size=4096 -z noexecstack \
                 -T guests/lib/guest.ld --build-id=none
