// The same as launcher-x86_64.S, which explains it, for aarch64: x19 is the step.

        .text
        .globl  _start
_start:
        ldr     x19, first
step:   ldr     x8, [x19]
        ldp     x0, x1, [x19, 8]
        ldp     x2, x3, [x19, 24]
        ldp     x4, x5, [x19, 40]
        tbnz    x8, 63, away
        svc     0
        ldp     x9, x10, [x19, 56]
        cmp     x0, x9
        b.lt    fail
        mov     x19, x10
        b       step

away:   mov     sp, x0
        mov     x0, x1
        mov     x30, xzr
        br      x2

fail:   neg     x20, x0
        cmp     x20, 40
        csel    x20, x20, xzr, ls
        mov     x9, 40
        ldr     x10, reasons
        madd    x20, x20, x9, x10
        ldp     x1, x2, [x19, 72]
        ldr     x0, [x19, 88]
        mov     x8, 64                  // write
        svc     0
        ldrb    w2, [x20]
        add     x1, x20, 1
        ldr     x0, [x19, 88]
        svc     0
        mov     x0, 1
        mov     x8, 94                  // exit_group
        svc     0

first   = .
reasons = . + 8
