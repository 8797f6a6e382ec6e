/* SPDX-License-Identifier: MIT */
/*
 * com2.c - polled driver of a 16550 at 0x2f8. Each access to a port is emulated by the hypervisor
 * and costs a thousand instructions, so bytes are moved through the FIFOs by REP INSB and OUTSB:
 * the interrupt identification tells that 14 bytes wait, an empty transmitter takes 16. No
 * interrupt ever comes: OUT2 is off.
 */
#include "guest.h"
#include "com2.h"

#include <tarn/lib.h>
#include <xen/physdev.h>

enum {
    COM2 = 0x2f8,
    DATA = COM2,
    IER = COM2 + 1,
    IIR = COM2 + 2, /* read */
    FCR = COM2 + 2, /* written */
    LCR = COM2 + 3,
    MCR = COM2 + 4,
    LSR = COM2 + 5,
    SCRATCH = COM2 + 7,
};

#define IER_DATA 0x01
#define IIR_CAUSE 0x0f
#define IIR_TRIGGER 0x04 /* as many bytes as FCR says */
#define IIR_TIMEOUT 0x0c /* some bytes */
#define FCR_SET 0xc7     /* FIFOs on and empty, trigger at 14 */
#define TRIGGER 14
#define LCR_8N1 0x03
#define LCR_DIVISOR 0x80
#define MCR_DTR_RTS 0x03
#define LSR_DATA 0x01
#define LSR_CAN_SEND 0x20
#define FIFO 16

#define STUCK (1 * SEC)
#define MORE_WAIT (2 * MS)
#define NAP (5 * US)

static uint8_t in(uint16_t port)
{
    uint8_t value;

    asm volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static void put(uint16_t port, uint8_t value)
{
    asm volatile("outb %0, %1" ::"a"(value), "Nd"(port));
}

static void in_many(uint8_t *buf, size_t n)
{
    asm volatile("rep insb" : "+D"(buf), "+c"(n) : "d"((uint16_t)DATA) : "memory");
}

static void out_many(const uint8_t *buf, size_t n)
{
    asm volatile("rep outsb" : "+S"(buf), "+c"(n) : "d"((uint16_t)DATA) : "memory");
}

static bool present(void)
{
    put(SCRATCH, 0x5a);
    if (in(SCRATCH) != 0x5a) {
        return false;
    }
    put(SCRATCH, 0xa5);
    return in(SCRATCH) == 0xa5;
}

/* Ports are the kernel's only with an I/O privilege level of 1. */
static bool take_ports(void)
{
    struct physdev_set_iopl op = { .iopl = 1 };

    return hypercall2(__HYPERVISOR_physdev_op, PHYSDEVOP_set_iopl, ARG(&op)) == 0;
}

bool com2_init(void)
{
    if (!take_ports() || !present()) {
        return false;
    }
    put(IER, 0);
    put(LCR, LCR_DIVISOR | LCR_8N1);
    put(DATA, 1); /* 115200 */
    put(IER, 0);
    put(LCR, LCR_8N1);
    put(FCR, FCR_SET);
    put(MCR, MCR_DTR_RTS);
    put(IER, IER_DATA); /* or else IIR would not tell */
    return true;
}

/* How many bytes can be read now; 1 stands for some. */
static size_t waiting(void)
{
    uint8_t cause = in(IIR)&IIR_CAUSE;

    if (cause == IIR_TRIGGER) {
        return TRIGGER;
    }
    return cause == IIR_TIMEOUT || (in(LSR)&LSR_DATA) ? 1 : 0;
}

static void nap(void)
{
    struct sched_poll poll = { .nr_ports = 0, .timeout = clock_now() + NAP };

    sched_op(SCHEDOP_poll, &poll);
}

/*
 * The same, but gives them a moment to become many when many are to come. To nap beats to spin: an
 * emulator refills the port in a thread of its own, which needs the processor and to be woken.
 */
static size_t await(size_t more)
{
    uint64_t deadline = clock_now() + MORE_WAIT;
    size_t n = waiting();

    while (n < TRIGGER && more >= TRIGGER && clock_now() < deadline) {
        nap();
        n = waiting();
    }
    return n;
}

size_t com2_read(uint8_t *buf, size_t size, size_t more)
{
    size_t used = 0, n;

    while (used < size && (n = await(more > used ? more - used : 0)) != 0) {
        n = MIN(n, size - used);
        in_many(buf + used, n);
        used += n;
    }
    return used;
}

static bool can_send(void)
{
    uint64_t deadline = 0;

    while (!(in(LSR)&LSR_CAN_SEND)) {
        deadline = deadline ? deadline : clock_now() + STUCK;
        if (clock_now() > deadline) {
            return false;
        }
        sched_op(SCHEDOP_yield, NULL);
    }
    return true;
}

bool com2_write(const uint8_t *data, size_t len)
{
    while (len) {
        size_t n = MIN(len, (size_t)FIFO);

        if (!can_send()) {
            return false;
        }
        out_many(data, n);
        data += n;
        len -= n;
    }
    return true;
}
