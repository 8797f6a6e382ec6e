; SPDX-License-Identifier: MIT
;
; start.asm - what a PV guest must say in assembly: the ELF notes that make a
; loader take the image for a PV kernel, the hypercall page, the entries of the
; first and of further vcpus, and the stubs that turn the frames which the
; hypervisor pushes into a struct frame (guest.h) for the C handlers.
; It owns the stacks: one of STACK_SIZE bytes a vcpu, aligned to its size, so
; that a vcpu can tell its number from rsp.

bits 64
default rel

%define VIRT_BASE   0xffffffff80000000
%define STACK_SIZE  0x4000              ; the same as in guest.h
%define MAX_VCPUS   64                  ; the same as in guest.h
%define HYPERCALL_iret 23
%define VEC_UPCALL  256                 ; the same as in guest.h
%define VEC_SYSCALL 257
%define VEC_FAILSAFE 258

; %1 note type, %2 string
%macro NOTE_STR 2
    dd 4, %%end - %%str, %1
    db "Xen", 0
%%str:
    db %2, 0
%%end:
    align 4, db 0
%endmacro

; %1 note type, %2 number
%macro NOTE_NUM 2
    dd 4, 8, %1
    db "Xen", 0
    dq %2
%endmacro

section .note.Xen note alloc noexec nowrite align=4
    NOTE_STR 6, "tarn-guest"            ; GUEST_OS
    NOTE_STR 7, "1"                     ; GUEST_VERSION
    NOTE_STR 5, "xen-3.0"               ; XEN_VERSION: the PV ABI's own name
    NOTE_STR 8, "generic"               ; LOADER
    NOTE_NUM 3, VIRT_BASE               ; VIRT_BASE
    NOTE_NUM 4, 0                       ; PADDR_OFFSET: virtual = physical + VIRT_BASE
    NOTE_NUM 1, guest_entry             ; ENTRY
    NOTE_NUM 2, hypercall_page          ; HYPERCALL_PAGE

section .text.hypercall progbits alloc exec nowrite align=4096
global hypercall_page
hypercall_page:
    times 4096 db 0xcc                  ; filled by whoever loads the guest

section .bss.stacks nobits alloc noexec write align=16384
global guest_stacks
guest_stacks:
    resb MAX_VCPUS * STACK_SIZE

section .bss nobits alloc noexec write
alignb 8
global guest_entry_tsc
guest_entry_tsc:
    resq 1

section .text

; First instruction of the guest. In: rsi = start_info, upcalls masked.
global guest_entry
guest_entry:
    rdtsc
    shl     rdx, 32
    or      rax, rdx
    mov     [guest_entry_tsc], rax
    cld
    lea     rsp, [guest_stacks + STACK_SIZE]
    xor     ebp, ebp
    mov     rdi, rsi
    extern  guest_start
    call    guest_start
    ud2

; First instruction of a further vcpu. In: rdi = function, rsp = top of stack.
global guest_ap_entry
guest_ap_entry:
    cld
    xor     ebp, ebp
    extern  vcpu_run
    call    vcpu_run
    ud2

; Every entry below starts with the hypervisor's frame at rsp: rcx, r11,
; [error code], rip, cs, rflags, rsp, ss. The stubs replace the first two by
; (vector, error code) and join at entry_common.

; %1 vector; the frame has no error code
%macro STUB_PLAIN 1
    mov     rcx, [rsp]
    mov     r11, [rsp + 8]
    mov     qword [rsp + 8], 0
    mov     qword [rsp], %1
    jmp     entry_common
%endmacro

; %1 vector; the frame has an error code
%macro STUB_ERROR 1
    mov     rcx, [rsp]
    mov     r11, [rsp + 8]
    add     rsp, 8
    mov     qword [rsp], %1
    jmp     entry_common
%endmacro

; Exception stubs, found through trap_stubs[vector].
%assign v 0
%rep 32
trap_stub_%+v:
%if v = 8 || (v >= 10 && v <= 14) || v = 17 || v = 21 || v = 29 || v = 30
    STUB_ERROR v
%else
    STUB_PLAIN v
%endif
%assign v v + 1
%endrep

; int 0x80
trap_stub_128:
    STUB_PLAIN 128

global upcall_entry
upcall_entry:
    STUB_PLAIN VEC_UPCALL

global syscall_entry
syscall_entry:
    STUB_PLAIN VEC_SYSCALL

; rcx, r11, ds, es, fs, gs, rip...: a return to the guest failed. Never returns.
global failsafe_entry
failsafe_entry:
    mov     rcx, [rsp]
    mov     r11, [rsp + 8]
    add     rsp, 32
    mov     qword [rsp + 8], 0
    mov     qword [rsp], VEC_FAILSAFE
    ; fall through

; In: rsp -> vector, error code, rip, cs, rflags, rsp, ss; all else as it was.
; Calls entry_dispatch(frame) and returns by the iret hypercall, which takes
; the upcall mask from the frame's IF.
entry_common:
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
    cld
    mov     rdi, rsp
    mov     rbp, rsp
    and     rsp, -16
    extern  entry_dispatch
    call    entry_dispatch
    mov     rsp, rbp
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
    add     rsp, 8                      ; the vector
    mov     qword [rsp], 0              ; the error code's slot holds iret's flags
    jmp     hypercall_page + HYPERCALL_iret * 32

section .rodata align=8
global trap_stubs
trap_stubs:
%assign v 0
%rep 32
    dq trap_stub_%+v
%assign v v + 1
%endrep
global trap_stub_int80
trap_stub_int80:
    dq trap_stub_128

section .note.GNU-stack noalloc noexec nowrite progbits
