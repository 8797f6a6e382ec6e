; SPDX-License-Identifier: MIT
;
; Every way from a guest into the hypervisor, and the one way back.
;
; From ring 3 the registers are pushed right into the current vcpu (TSS.rsp0 and the SYSCALL stub both point at
; the end of its regs), then we change to the pcpu's stack, whose top is struct pcpu. From there on, until
; return_to_guest:  rbx = the vcpu, rsp = struct pcpu, interrupts off.
; From ring 0 (the idle loop's HLT, a fault of ours) the frame is on the stack that was in use.

default rel
%include "gen/offsets.inc"

extern trap_from_guest, trap_from_hypervisor, irq_dispatch, guest_syscall, guest_syscall32
extern hypercall_table, exit_work, trace_on, trace_hypercall

section .text

%macro PUSH_REGS 0
        push    rdi
        push    rsi
        push    rdx
        push    rcx
        push    rax
        push    r8
        push    r9
        push    r10
        push    r11
        push    rbx
        push    rbp
        push    r12
        push    r13
        push    r14
        push    r15
%endmacro

; A guest's alignment-check flag would open SMAP for us, and its direction flag would turn string copies.
; %1: where its flags were saved. Needs a stack: not while rsp is at a vcpu's regs, with host_rsp right below.
%macro CLEAN_FLAGS 1
        cld
        test    byte [%1 + 2], 4
        jz      %%done
        push    2
        popfq
%%done:
%endmacro

%macro POP_REGS 0
        pop     r15
        pop     r14
        pop     r13
        pop     r12
        pop     rbp
        pop     rbx
        pop     r11
        pop     r10
        pop     r9
        pop     r8
        pop     rax
        pop     rcx
        pop     rdx
        pop     rsi
        pop     rdi
%endmacro

; ---- SYSCALL ------------------------------------------------------------------------------------------------
; in: rcx = rip, r11 = rflags, rsp = the guest's; GS base is the guest's but between the two swapgs
; out: rbx = the vcpu with its registers saved, rsp = struct pcpu; rdi rsi rdx r8 r10 rax still the guest's
%macro SYSCALL_SAVE 2                   ; the guest's cs, entry_vector
        swapgs
        mov     [gs:PCPU_scratch], rsp
        mov     rsp, [gs:PCPU_current]
        add     rsp, REGS_es
        push    SEL_FLAT_SS
        push    qword [gs:PCPU_scratch]
        swapgs
        push    r11
        push    %1
        push    rcx
        push    0
        mov     dword [rsp + 4], %2
        PUSH_REGS
        lea     rbx, [rsp - VCPU_regs]
        mov     rsp, [rbx + VCPU_host_rsp]
%endmacro

global syscall_entry
        align   16
syscall_entry:
        SYSCALL_SAVE SEL_FLAT_CS64, ENTRY_SYSCALL
        test    dword [rbx + VCPU_flags], KERNEL_MODE
        jz      .user
        cmp     rax, NR_HYPERCALLS
        jae     .unknown
        cmp     byte [trace_on], 0
        jne     .traced
.call:
        lea     rcx, [hypercall_table]
        mov     rax, [rcx + rax * 8]
        mov     rcx, r10
        call    rax
        mov     [rbx + REGS_rax], rax
        jmp     return_path
.unknown:
        mov     qword [rbx + REGS_rax], -ENOSYS
        jmp     return_path
.traced:
        mov     rdi, rbx
        call    trace_hypercall
        mov     rax, [rbx + REGS_rax]
        mov     rdi, [rbx + REGS_rdi]
        mov     rsi, [rbx + REGS_rsi]
        mov     rdx, [rbx + REGS_rdx]
        mov     r10, [rbx + REGS_r10]
        mov     r8, [rbx + REGS_r8]
        jmp     .call
.user:  mov     rdi, rbx
        call    guest_syscall
        jmp     return_path

; SYSCALL from 32-bit guest code: it never is a hypercall, and can't leave by a 64-bit SYSRET.
global syscall32_entry
        align   16
syscall32_entry:
        SYSCALL_SAVE SEL_FLAT_CS32, 0
        mov     rdi, rbx
        call    guest_syscall32
        jmp     return_path

; ---- The way back -------------------------------------------------------------------------------------------
; in: rbx = vcpu, rsp = struct pcpu
global return_to_guest
return_to_guest:                        ; from nothing: the exit loop finds whom to run
        mov     rax, rsp
        or      rax, PCPU_AREA_SIZE - 1
        lea     rsp, [rax + 1 - PCPU_SIZE]
exit_slow:
        call    exit_work               ; runs softirqs, schedules, idles; returns the vcpu to go on with
        mov     rbx, rax
        jmp     restore
        align   16
return_path:
        cmp     dword [rsp + PCPU_softirq_pending], 0
        jne     exit_slow
        mov     rax, [rbx + VCPU_info]
        cmp     byte [rax + VCPUINFO_pending], 0
        jne     event_pending
restore:
        mov     r15, [rbx + REGS_r15]
        mov     r14, [rbx + REGS_r14]
        mov     r13, [rbx + REGS_r13]
        mov     r12, [rbx + REGS_r12]
        mov     rbp, [rbx + REGS_rbp]
        mov     r10, [rbx + REGS_r10]
        mov     r9, [rbx + REGS_r9]
        mov     r8, [rbx + REGS_r8]
        mov     rdx, [rbx + REGS_rdx]
        mov     rsi, [rbx + REGS_rsi]
        mov     rdi, [rbx + REGS_rdi]
        cmp     dword [rbx + REGS_entry_vector], ENTRY_SYSCALL
        jne     .iret
        mov     rcx, [rbx + REGS_rip]
        mov     rax, rcx                ; SYSRET with a non-canonical rip would fault in ring 0
        sar     rax, 47
        inc     eax
        cmp     eax, 1
        ja      .iret
        mov     r11, [rbx + REGS_rflags]
        mov     rax, [rbx + REGS_rax]
        mov     rsp, [rbx + REGS_rsp]
        mov     rbx, [rbx + REGS_rbx]
        o64 sysret
.iret:
        push    qword [rbx + REGS_ss]
        push    qword [rbx + REGS_rsp]
        push    qword [rbx + REGS_rflags]
        push    qword [rbx + REGS_cs]
        mov     dword [rsp + 4], 0      ; the slot's upper half is saved_upcall_mask
        push    qword [rbx + REGS_rip]
        mov     r11, [rbx + REGS_r11]
        mov     rcx, [rbx + REGS_rcx]
        mov     rax, [rbx + REGS_rax]
        mov     rbx, [rbx + REGS_rbx]
iret_insn:
        iretq
event_pending:
        cmp     byte [rax + VCPUINFO_mask], 0
        je      exit_slow
        jmp     restore

; The guest's selectors or rip can't be loaded: back to the vcpu, whose regs are still whole.
iret_failed:
        mov     rax, rsp
        or      rax, PCPU_AREA_SIZE - 1
        lea     rsp, [rax + 1 - PCPU_SIZE]
        mov     rbx, [rsp + PCPU_current]
        extern  guest_iret_failed
        mov     rdi, rbx
        call    guest_iret_failed
        jmp     return_path

section .ex_table progbits alloc noexec nowrite align=4
        dd      iret_insn - $
        dd      iret_failed - $
section .text

; ---- Exceptions and interrupts ------------------------------------------------------------------------------
; Each vector's stub leaves [error code, vector] as one word, then goes to its kind's common part.
; traps_init knows where they are: 16 bytes for each exception, then 8 for each interrupt.
%macro STUB 2                           ; vector, common part
stub_%1:
%if %1 == 8 || (%1 >= 10 && %1 <= 14) || %1 == 17 || %1 == 21 || %1 == 29 || %1 == 30
%else
        push    0
%endif
        mov     dword [rsp + 4], %1
        jmp     %2
        times   16 - ($ - stub_%1) int3
%endmacro

%macro IRQ_STUB 1                       ; vector; irq_common makes the word of it
stub_%1:
        push    strict byte (%1 + 128) % 256 - 128
        jmp     irq_common
        times   8 - ($ - stub_%1) int3
%endmacro

global entry_stubs
        align   16
entry_stubs:
%assign v 0
%rep 256
%if v == 1 || v == 2 || v == 8 || v == 18
        STUB    v, ist_common
%elif v < 32
        STUB    v, trap_common
%else
        IRQ_STUB v
%endif
%assign v v + 1
%endrep

trap_common:
        PUSH_REGS
        test    byte [rsp + REGS_cs - VCPU_regs], 3
        jz      from_hypervisor
        lea     rbx, [rsp - VCPU_regs]
        mov     rsp, [rbx + VCPU_host_rsp]
        CLEAN_FLAGS rbx + REGS_rflags
        lea     rdi, [rbx + VCPU_regs]
        call    trap_from_guest
        jmp     return_path

irq_common:
        shl     qword [rsp], 32
        PUSH_REGS
        test    byte [rsp + REGS_cs - VCPU_regs], 3
        jz      .idle
        lea     rbx, [rsp - VCPU_regs]
        mov     rsp, [rbx + VCPU_host_rsp]
        CLEAN_FLAGS rbx + REGS_rflags
        movzx   edi, byte [rbx + REGS_entry_vector]
        call    irq_dispatch
        jmp     return_path
.idle:  movzx   edi, byte [rsp + REGS_entry_vector - VCPU_regs]
        call    irq_dispatch
        jmp     back_to_hypervisor

; #DB, NMI, #DF and #MC come on stacks of their own: from a guest, move the frame into the vcpu first.
ist_common:
        PUSH_REGS
        CLEAN_FLAGS rsp + REGS_rflags - VCPU_regs
        test    byte [rsp + REGS_cs - VCPU_regs], 3
        jz      from_hypervisor
        mov     rax, rsp
        or      rax, PCPU_AREA_SIZE - 1
        lea     rdx, [rax + 1 - PCPU_SIZE]
        mov     rbx, [rdx + PCPU_current]
        lea     rdi, [rbx + VCPU_regs]
        mov     rsi, rsp
        mov     ecx, (REGS_es - VCPU_regs) / 8
        rep movsq
        mov     rsp, rdx
        lea     rdi, [rbx + VCPU_regs]
        call    trap_from_guest
        jmp     return_path

; A fault of our own: the exception table knows it, or it is a bug. Stacks here are 16-byte aligned.
from_hypervisor:
        CLEAN_FLAGS rsp + REGS_rflags - VCPU_regs
        mov     rdi, rsp
        call    trap_from_hypervisor
back_to_hypervisor:
        POP_REGS
        add     rsp, 8
        iretq

section .note.GNU-stack noalloc noexec nowrite progbits
