/* From the Multiboot loader's 32-bit protected mode to 64-bit C, with all of 4 GiB mapped to itself. */

#define HEADER_MAGIC 0x1badb002
/* Modules page aligned, memory map wanted, addresses given below because this is a 64-bit ELF file. */
#define HEADER_FLAGS 0x00010003

#define PRESENT_WRITABLE 0x003
#define BIG_PAGE 0x080

#define CR0_PE 0x00000001
#define CR0_MP 0x00000002
#define CR0_NE 0x00000020
#define CR0_WP 0x00010000
#define CR0_PG 0x80000000
#define CR4_PAE 0x020
#define CR4_SSE 0x600
#define MSR_EFER 0xc0000080
#define EFER_LME 0x100

    .section .multiboot, "a"
    .balign 4
header:
    .long HEADER_MAGIC
    .long HEADER_FLAGS
    .long -(HEADER_MAGIC + HEADER_FLAGS)
    .long header
    .long image_start
    .long loaded_end
    .long _end
    .long _start

    .section .bss
    .balign 4096
pml4:
    .skip 4096
pdpt:
    .skip 4096
directories:
    .skip 4 * 4096
first_pages:
    .skip 4096
stack:
    .skip 64 * 1024
stack_end:

    /* The CPU marks entries as accessed. */
    .data
    .balign 8
gdt:
    .quad 0
    .quad 0x00af9b000000ffff
    .quad 0x00cf93000000ffff
gdt_pointer:
    .word . - gdt - 1
    .long gdt

    .text
    .code32
    .globl _start
_start:
    cli
    cld
    mov $stack_end, %esp
    /* Kept for C: the second argument is the loader's magic, the first its information. */
    mov %eax, %esi
    mov %ebx, %ebp

    movl $pdpt + PRESENT_WRITABLE, pml4
    mov $directories + PRESENT_WRITABLE, %eax
    xor %ecx, %ecx
1:  mov %eax, pdpt(, %ecx, 8)
    add $0x1000, %eax
    inc %ecx
    cmp $4, %ecx
    jb 1b

    mov $PRESENT_WRITABLE | BIG_PAGE, %eax
    xor %ecx, %ecx
1:  mov %eax, directories(, %ecx, 8)
    add $0x200000, %eax
    inc %ecx
    cmp $2048, %ecx
    jb 1b

    /* The first 2 MiB in small pages, to leave out page 0: a null pointer must fault. */
    movl $first_pages + PRESENT_WRITABLE, directories
    mov $0x1000 | PRESENT_WRITABLE, %eax
    mov $1, %ecx
1:  mov %eax, first_pages(, %ecx, 8)
    add $0x1000, %eax
    inc %ecx
    cmp $512, %ecx
    jb 1b

    mov $CR4_PAE | CR4_SSE, %eax
    mov %eax, %cr4
    mov $pml4, %eax
    mov %eax, %cr3
    mov $MSR_EFER, %ecx
    rdmsr
    or $EFER_LME, %eax
    wrmsr
    mov $CR0_PG | CR0_WP | CR0_NE | CR0_MP | CR0_PE, %eax
    mov %eax, %cr0
    lgdt gdt_pointer
    ljmp $8, $1f

    .code64
1:  mov $0x10, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    xor %eax, %eax
    mov %eax, %fs
    mov %eax, %gs
    mov %ebp, %edi
    mov %esi, %esi
    call virtio_start
    hlt

    .section .note.GNU-stack, "", @progbits
