/* SPDX-License-Identifier: MIT */
/*
 * The protocol between the host program `tarn` and the control domain, over the machine's second
 * serial port (COM2, 115200 8n1; QEMU keeps back what the receiver has no room for). Frames, both
 * ways, little endian:
 *
 *   offset 0  u8  0xa5           WIRE_MAGIC0
 *          1  u8  0x7e           WIRE_MAGIC1
 *          2  u8  type           WIRE_*
 *          3  u8  flags          0
 *          4  u32 seq            of the request; a reply carries its request's
 *          8  u16 length         of the payload, 0..WIRE_PAYLOAD_MAX
 *         10  u16 header check   low half of the CRC-32 of bytes 0..9
 *         12      payload
 *          +  u32 CRC-32         of the payload (IEEE 802.3, reflected, as zlib's)
 *
 * A receiver that meets anything else drops one byte and looks for the next frame; where only the
 * payload is damaged, it drops the frame. One request is served at a time; one with a new sequence
 * number ends the one before. Sequence numbers are random: nobody who gets text into a frame can
 * guess one. Every request is answered by any number of OUT, ERR, DATA and ALIVE frames and then by
 * exactly one EXIT or REFUSED. All frames of a request have its sequence number: EXEC_MORE frames
 * and their EXEC, a PUT_NAME and all PUTs of the file, which come in the order of their offsets.
 */
#pragma once

#include <stdint.h>

#define WIRE_MAGIC0 0xa5
#define WIRE_MAGIC1 0x7e
#define WIRE_HEADER 12u
#define WIRE_TRAILER 4u
#define WIRE_PAYLOAD_MAX 1024u
#define WIRE_VERSION 1u

/* Requests */
#define WIRE_HELLO                                                                   \
    1 /* payload: u32 version. DATA: u32 version, then the machine's name for itself \
         ("tarn ...") */
#define WIRE_EXEC                                                                  \
    2 /* words of a command, each ended by a NUL, from `argv[0]` on; a longer line \
         comes in several EXEC_MORE and a last EXEC of the same seq */
#define WIRE_EXEC_MORE 3 /* no answer of its own */
#define WIRE_PUT 4       /* u32 offset, then file contents from there; see WIRE_PUT_NAME */
#define WIRE_PUT_NAME                                                            \
    5 /* u32 size, then the name: a file begins. It is kept when all bytes of it \
         came, which EXIT tells, and then replaces one of that name. */
#define WIRE_CONSOLE                                                                  \
    6 /* u64 position (~0: as far back as there is), u16 length of the domain's name, \
         name, then input for it. DATA: u64 position of what follows, bytes;          \
         EXIT's payload after the status: u64 next position, u16 how much of the      \
         input was taken */
#define WIRE_CANCEL \
    7 /* ends the request of this seq, if it runs: EXIT with WIRE_STATUS_CANCELLED */

/* Replies */
#define WIRE_OUT 16 /* bytes of standard output */
#define WIRE_ERR 17 /* bytes of standard error */
#define WIRE_DATA 18
#define WIRE_ALIVE 19   /* still at it, at least once a second */
#define WIRE_EXIT 20    /* u32 status */
#define WIRE_REFUSED 21 /* text: why the request was not understood; nothing was done */

#define WIRE_STATUS_CANCELLED 130u
