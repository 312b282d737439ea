# The first and only code of an spt process that is not the guest's: walks a list of system calls, then jumps.
# What the calls are is decided in table.ts; what a step looks like is in launcher.ts:
#
#   @0 number, or -1 to jump   @8 six arguments (to jump: stack pointer, first argument, address)
#   @56 the least result that is a success   @64 address of the next step
#   @72 address and @80 length of what to say on failure   @88 the descriptor to say it on
#
# There is no stack and no data to write to: everything is in registers, r15 is the step.
# `bun test tests/tender/spt` assembles this file with gas and compares it with the bytes in launcher.ts.

        .intel_syntax noprefix
        .text
        .globl  _start
_start:
        mov     r15, [rip + first]
step:   mov     rax, [r15]
        mov     rdi, [r15 + 8]
        mov     rsi, [r15 + 16]
        mov     rdx, [r15 + 24]
        mov     r10, [r15 + 32]
        mov     r8, [r15 + 40]
        mov     r9, [r15 + 48]
        test    rax, rax
        js      away
        syscall
        cmp     rax, [r15 + 56]
        jl      fail
        mov     r15, [r15 + 64]
        jmp     step

away:   mov     rsp, rdi
        mov     rdi, rsi
        jmp     rdx

# Says what failed, and why: result -n picks the text n of the reasons, 40 bytes each, the first of which is the
# text's length. A result that is no error number of the list (a call that did less than it should) picks text 0.
fail:   neg     rax
        cmp     rax, 40
        jbe     known
        xor     eax, eax
known:  imul    r14d, eax, 40
        add     r14, [rip + reasons]
        mov     edi, [r15 + 88]
        mov     rsi, [r15 + 72]
        mov     edx, [r15 + 80]
        mov     eax, 1                  # write
        syscall
        movzx   edx, byte ptr [r14]
        lea     rsi, [r14 + 1]
        mov     eax, 1
        syscall
        mov     edi, 1
        mov     eax, 231                # exit_group
        syscall

# Two addresses follow the code; launcher.ts puts them there.
first   = .
reasons = . + 8
