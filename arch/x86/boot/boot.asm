; SPDX-License-Identifier: MIT
;
; Power-on: the boot loader enters here in 32-bit protected mode, paging off. We build page tables that
; hold until paging_init() makes the real ones, switch to long mode and call boot_main(magic, info).
;
; Boot tables: the first 4 GiB identity mapped, at the image's address and at the direct map; only the first
; GiB where the CPU has no pages of 1 GiB. boot_mapped says which.

default rel

MB1_MAGIC    equ 0x1badb002
MB1_FLAGS    equ 0x00000003              ; page-aligned modules, memory map
MB2_MAGIC    equ 0xe85250d6

extern IMAGE_OFFSET, __boot_phys_stack_end, __boot_stack_end ; linker.ld
extern boot_main, boot_mapped, __bss_start, __bss_end, __stack_chk_guard

section .boot.header progbits alloc noexec nowrite align=8
        align 8
mb1_header:
        dd MB1_MAGIC, MB1_FLAGS, -(MB1_MAGIC + MB1_FLAGS)
        align 8
mb2_header:
        dd MB2_MAGIC, 0, mb2_header_end - mb2_header
        dd 0x100000000 - (MB2_MAGIC + (mb2_header_end - mb2_header))
        dw 1, 0                         ; information request, required:
        dd 16
        dd 6, 8                         ; memory map; the rest comes anyway
        dw 6, 1                         ; modules page aligned
        dd 8
        dw 0, 0                         ; end
        dd 8
mb2_header_end:

section .boot.text progbits alloc exec nowrite align=16
bits 32
; in: eax = magic, ebx = information structure (machine address)
global boot_entry32
boot_entry32:
        cli
        cld
        mov     esp, __boot_phys_stack_end
        mov     ebp, eax                ; kept: magic
        mov     edi, ebx                ; kept: information (cpuid takes ebx)

        mov     eax, 0x80000000         ; is there long mode?
        cpuid
        cmp     eax, 0x80000001
        jb      .no_long_mode
        mov     eax, 0x80000001
        cpuid
        bt      edx, 29
        jnc     .no_long_mode
        mov     esi, edx                ; kept: features (bit 20: NX, bit 26: pages of 1 GiB)

        mov     eax, 0xe3               ; present, writable, accessed, dirty, large
        xor     ecx, ecx
.l2:    mov     [boot_l2 + ecx * 8], eax
        add     eax, 1 << 21
        inc     ecx
        cmp     ecx, 512
        jb      .l2
        mov     eax, boot_l2 + 0x63
        mov     [boot_l3], eax
        bt      esi, 26
        jnc     .image
        mov     eax, 0xe3
        xor     ecx, ecx
.l3:    mov     [boot_l3 + ecx * 8], eax
        add     eax, 1 << 30
        inc     ecx
        cmp     ecx, 4
        jb      .l3
        mov     eax, 0xe3
.image: mov     [boot_l3 + 320 * 8], eax ; one L3 serves all three
        mov     dword [boot_l4], boot_l3 + 0x63
        mov     dword [boot_l4 + 261 * 8], boot_l3 + 0x63
        mov     dword [boot_l4 + 262 * 8], boot_l3 + 0x63

        mov     eax, boot_l4
        mov     cr3, eax
        mov     eax, 0x20               ; CR4: PAE
        mov     cr4, eax
        mov     ecx, 0xc0000080         ; EFER: LME, NXE where there is NX
        rdmsr
        or      eax, 0x100
        bt      esi, 20
        jnc     .no_nx
        or      eax, 0x800
.no_nx: wrmsr
        mov     eax, 0x80010033         ; CR0: PG, WP, NE, ET, MP, PE
        mov     cr0, eax
        lgdt    [boot_gdt_ptr]
        jmp     0x08:boot_entry64

.no_long_mode:
        mov     esi, no_long_mode_text
        mov     edx, 0x3f8
.put:   lodsb
        test    al, al
        jz      .stop
        out     dx, al
        jmp     .put
.stop:  hlt
        jmp     .stop

bits 64
boot_entry64:
        mov     eax, 0x10
        mov     ds, eax
        mov     es, eax
        mov     ss, eax
        xor     eax, eax
        mov     fs, eax
        mov     gs, eax
        mov     rax, boot_high
        jmp     rax                     ; edi, esi, ebp as above

section .boot.data progbits alloc noexec write align=8
boot_gdt:
        dq 0
        dq 0x00af9b000000ffff           ; code, 64-bit
        dq 0x00cf93000000ffff           ; data
boot_gdt_ptr:
        dw $ - boot_gdt - 1
        dd boot_gdt
no_long_mode_text:
        db "(tarn) this CPU has no 64-bit mode", 13, 10, 0

section .boot.bss nobits alloc noexec write align=4096
boot_l4:        resb 4096
boot_l3:        resb 4096
boot_l2:        resb 4096

; From here on at the image's own address.
section .text
boot_high:
        mov     rsp, __boot_stack_end
        mov     eax, 1 << 30
        bt      esi, 26
        jnc     .mapped
        shl     rax, 2
.mapped:
        mov     [boot_mapped], rax
        mov     esi, edi
        rdtsc                           ; a canary that differs from boot to boot
        shl     rdx, 32
        or      rax, rdx
        mov     rdx, 0x9e3779b97f4a7c15
        imul    rax, rdx
        shl     rax, 8                  ; its lowest byte is 0: it ends a string
        mov     [__stack_chk_guard], rax
        mov     edi, ebp
        xor     ebp, ebp
        call    boot_main
        ud2

section .note.GNU-stack noalloc noexec nowrite progbits
