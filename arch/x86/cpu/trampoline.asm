; SPDX-License-Identifier: MIT
;
; How an AP gets from real mode to ap_main(). smp.c copies this to a page below 1 MiB (any: nothing here is an
; absolute address), fills struct trampoline_data at offset 8 and names the page in the startup IPI.
; The page is mapped writable and executable, but only in the tables that the AP leaves right away.

default rel

section .trampoline progbits alloc noexec nowrite align=16

bits 16
trampoline:                             ; cs:ip = page:0
        cli
        cld
        jmp     start
        align   8, db 0
data:                                   ; struct trampoline_data
cr3_value:      dd 0
efer_value:     dd 0
stack_top:      dq 0
pcpu:           dq 0
entry:          dq 0
alive:          dd 0
long_mode_ptr:  dd long_mode - trampoline ; smp.c adds the page's address
                dw 0x08
gdt_ptr:        dw 3 * 8 - 1
                dd gdt - trampoline     ; here, too
                dd 0
apic_id:        dd ~0                   ; whom this is for
gdt:            dq 0
                dq 0x00af9b000000ffff   ; code, 64-bit
                dq 0x00cf93000000ffff   ; data

start:  mov     ax, cs
        mov     ds, ax
        mov     eax, 1
        cpuid
        shr     ebx, 24
        cmp     ebx, [apic_id - trampoline]
        jne     late
        mov     byte [alive - trampoline], 1
        o32 lgdt [gdt_ptr - trampoline]
        mov     eax, 0x20               ; CR4: PAE
        mov     cr4, eax
        mov     eax, [cr3_value - trampoline]
        mov     cr3, eax
        mov     ecx, 0xc0000080         ; EFER: as the boot CPU has it
        mov     eax, [efer_value - trampoline]
        xor     edx, edx
        wrmsr
        mov     eax, 0x80010033         ; CR0: PG, WP, NE, ET, MP, PE; caches on
        mov     cr0, eax
        jmp     dword far [long_mode_ptr - trampoline]

late:   hlt                             ; was given up, and another one's turn has come
        jmp     late

bits 64
long_mode:
        mov     eax, 0x10
        mov     ds, eax
        mov     es, eax
        mov     ss, eax
        xor     eax, eax
        mov     fs, eax
        mov     gs, eax
        mov     rsp, [stack_top]
        mov     rdi, [pcpu]
        mov     rax, [entry]
        xor     ebp, ebp
        call    rax
        ud2

section .note.GNU-stack noalloc noexec nowrite progbits
