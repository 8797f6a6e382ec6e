/* SPDX-License-Identifier: MIT */
/*
 * wire.c - serves the host's requests (public/wire.h) on the second serial port: commands, files
 * and domains' consoles. It owns the session in which the host's commands run. While one runs, the
 * loop calls wire_service again from within: then only a cancellation is heard, and a new request
 * waits until the one that it ends is over.
 */
#include "control.h"
#include "com2.h"

#include <tarn/wire.h>

#define ARGC_MAX 128
#define LINE_MAX 16384u
#define FILE_MAX (256u << 20)
#define ALIVE_EVERY (500 * MS)
#define ALIVE_BYTES 16384u /* of a file */
#define BUSY_FOR (100 * MS)
#define BUSY_LOOK (1 * MS)
#define IDLE_LOOK (20 * MS)
#define BUDGET (5 * MS) /* of one call, then the others have their turn */

struct request {
    uint8_t type;
    uint32_t seq;
    uint16_t length;
    uint8_t payload[WIRE_PAYLOAD_MAX];
};

/* A file that is on its way. */
struct upload {
    uint32_t seq, size, used, told;
    char *name;
    uint8_t *data;
};

/* A command's words that came so far. */
struct words {
    uint32_t seq, used;
    char *text;
};

static void wire_write(struct session *s, int stream, const char *text, size_t len);
static void hear(void);

/* The host's session. */
static struct session wire_session = { .write = wire_write };

/* All that this file knows. */
static struct {
    bool present; /* there is a second serial port */
    bool running; /* a command, of this seq */
    bool waiting; /* `next` waits for the command to end */
    bool gone;    /* the host takes no replies any more, until its next request */
    uint32_t seq;
    uint64_t heard, told; /* when something last came, and when a frame went */
    struct wire_decoder decoder;
    uint8_t in[256], frame[WIRE_FRAME_MAX];
    const uint8_t *in_at;
    size_t in_left;
    struct request next;
    struct upload upload;
    struct words words;
    int stream; /* of the text that is kept back to make whole frames */
    size_t text_used;
    char text[WIRE_PAYLOAD_MAX];
} wire;

void wire_init(void)
{
    wire.present = com2_init();
}

/* ---- replies ---- */

static void send(uint8_t type, uint32_t seq, const void *payload, size_t len)
{
    size_t n = wire_encode(wire.frame, type, seq, payload, len);

    if (wire.gone || !n) {
        return;
    }
    wire.told = clock_now();
    if (!com2_write(wire.frame, n)) {
        wire.gone = true;
        wire_session.cancelled = true;
    }
}

static void flush(void)
{
    size_t n = wire.text_used;

    wire.text_used = 0;
    if (n && !wire_session.cancelled) {
        send(wire.stream == STREAM_ERROR ? WIRE_ERR : WIRE_OUT, wire.seq, wire.text, n);
    }
}

static void wire_write(struct session *s, int stream, const char *text, size_t len)
{
    (void)s;
    if (stream != wire.stream) {
        flush();
        wire.stream = stream;
    }
    while (len) {
        size_t n = MIN(len, sizeof(wire.text) - wire.text_used);

        memcpy(wire.text + wire.text_used, text, n);
        wire.text_used += n;
        text += n;
        len -= n;
        if (wire.text_used == sizeof(wire.text)) {
            flush();
            trace_service(); /* it may say a lot about this text */
            hear();          /* a long text can be cancelled, too */
        }
    }
}

static void send_exit(uint32_t seq, uint32_t status)
{
    uint8_t payload[4];

    wire_put32(payload, status);
    send(WIRE_EXIT, seq, payload, sizeof(payload));
}

static void refuse(uint32_t seq, const char *why)
{
    send(WIRE_REFUSED, seq, why, strlen(why));
}

/* ---- requests ---- */

static void words_forget(void)
{
    release(wire.words.text);
    wire.words = (struct words){ .seq = 0 };
}

static void upload_forget(void)
{
    release(wire.upload.name);
    release(wire.upload.data);
    wire.upload = (struct upload){ .seq = 0 };
}

static void hello(const struct request *r)
{
    static const char name[] = "tarn control domain";
    uint8_t payload[4 + sizeof(name) - 1];

    if (r->length != 4 || wire_get32(r->payload) != WIRE_VERSION) {
        refuse(r->seq, "the control domain speaks another version of the protocol");
        return;
    }
    wire_put32(payload, WIRE_VERSION);
    memcpy(payload + 4, name, sizeof(name) - 1);
    send(WIRE_DATA, r->seq, payload, sizeof(payload));
    send_exit(r->seq, 0);
}

/* Into argv; 0: too many, or the last one does not end. */
static int words_cut(char *text, uint32_t used, char **argv)
{
    int argc = 0;

    if (!used || text[used - 1]) {
        return 0;
    }
    for (uint32_t at = 0; at < used; at += (uint32_t)strlen(text + at) + 1) {
        if (argc == ARGC_MAX) {
            return 0;
        }
        argv[argc++] = text + at;
    }
    argv[argc] = NULL;
    return argc;
}

static void run(uint32_t seq, struct words *words)
{
    static char *argv[ARGC_MAX + 1]; /* one command at a time */
    int argc = words_cut(words->text, words->used, argv), status;

    if (!argc) {
        refuse(seq, "the command's words are malformed or too many");
        return;
    }
    wire.running = true;
    wire.seq = seq;
    wire_session.cancelled = false;
    status = command_run(&wire_session, argc, argv);
    flush();
    wire.running = false;
    send_exit(seq, wire_session.cancelled ? WIRE_STATUS_CANCELLED : (uint32_t)status);
}

static void exec(const struct request *r)
{
    struct words *w = &wire.words, mine;

    if (w->text && w->seq != r->seq) {
        words_forget();
    }
    if (!w->text) {
        w->seq = r->seq;
        w->text = allocate(LINE_MAX);
    }
    if (!w->text || r->length > LINE_MAX - w->used) {
        refuse(r->seq, w->text ? "the command is too long" : "out of memory");
        words_forget();
        return;
    }
    memcpy(w->text + w->used, r->payload, r->length);
    w->used += r->length;
    if (r->type == WIRE_EXEC) {
        mine = *w;
        *w = (struct words){ .seq = 0 };
        run(r->seq, &mine);
        release(mine.text);
    }
}

static void upload_end(void)
{
    struct upload u = wire.upload;
    long rc = file_put(u.name, u.data, u.size);

    if (rc == 0) {
        wire.upload.data = NULL; /* the archive's now */
        send_exit(u.seq, 0);
    } else {
        refuse(u.seq, error_text(rc));
    }
    upload_forget();
}

static void put_name(const struct request *r)
{
    struct upload *u = &wire.upload;
    uint32_t len = r->length - 4u;

    upload_forget();
    if (r->length < 5 || len > 255) {
        refuse(r->seq, "a file without a name, or with a long one");
        return;
    }
    u->seq = r->seq;
    u->size = wire_get32(r->payload);
    u->name = allocate(len + 1);
    u->data = u->size <= FILE_MAX ? allocate(u->size ? u->size : 1) : NULL;
    if (!u->name || !u->data) {
        refuse(r->seq, "out of memory");
        upload_forget();
        return;
    }
    memcpy(u->name, r->payload + 4, len);
    if (!u->size) {
        upload_end();
    }
}

static void put(const struct request *r)
{
    struct upload *u = &wire.upload;
    uint32_t len = r->length - 4u;

    if (!u->data || u->seq != r->seq) {
        return; /* of a file that was refused: what was sent before the host knew */
    }
    if (r->length < 5 || wire_get32(r->payload) != u->used || len > u->size - u->used) {
        refuse(r->seq, "a piece of the file is missing");
        upload_forget();
        return;
    }
    memcpy(u->data + u->used, r->payload + 4, len);
    u->used += len;
    if (u->used == u->size) {
        upload_end();
    } else if (u->used - u->told >= ALIVE_BYTES || clock_now() - wire.told > ALIVE_EVERY) {
        u->told = u->used;
        send(WIRE_ALIVE, r->seq, NULL, 0);
    }
}

/* What a domain printed from a position on; returns the position after it. d is NULL: of one that
 * is gone. */
static uint64_t send_output(uint32_t seq, const struct domain *d, domid_t domid, uint64_t position)
{
    static char payload[WIRE_PAYLOAD_MAX];
    size_t n;

    for (size_t sent = 0; sent < SCROLLBACK; sent += n) {
        n = d ? console_read(d, &position, payload + 8, sizeof(payload) - 8)
              : console_read_closed(domid, &position, payload + 8, sizeof(payload) - 8);
        if (!n) {
            break;
        }
        wire_put64((uint8_t *)payload, position);
        send(WIRE_DATA, seq, payload, 8 + n);
        position += n;
    }
    return position;
}

static void console_reply(const struct request *r, uint64_t position, size_t taken)
{
    uint8_t reply[14];

    wire_put32(reply, 0);
    wire_put64(reply + 4, position);
    wire_put16(reply + 12, (uint16_t)taken);
    send(WIRE_EXIT, r->seq, reply, sizeof(reply));
}

/* Whose console was asked for last: when the domain is gone its last words are still told, once. */
static char last_name[NAME_SIZE + 1];
static domid_t last_domid;

static bool last_words(const struct request *r, const char *name)
{
    uint64_t asked = wire_get64(r->payload), position;

    if (strcmp(name, last_name) != 0) {
        return false;
    }
    position = send_output(r->seq, NULL, last_domid, asked);
    last_name[0] = 0;
    if (position == asked) {
        return false;
    }
    console_reply(r, position, 0);
    return true;
}

static void console(const struct request *r)
{
    uint32_t name_len = r->length >= 10 ? wire_get16(r->payload + 8) : 0;
    char name[NAME_SIZE + 1] = "";
    struct domain *d;
    size_t taken = 0, input = r->length - 10u - name_len;

    if (!name_len || name_len > r->length - 10u || name_len > NAME_SIZE) {
        refuse(r->seq, "whose console?");
        return;
    }
    memcpy(name, r->payload + 10, name_len);
    d = domain_lookup(name);
    if (!d || !d->console) {
        if (d || !last_words(r, name)) {
            refuse(r->seq, d ? "this domain has no console" : "no such domain");
        }
        return;
    }
    str_copy(last_name, name, sizeof(last_name));
    last_domid = d->domid;
    if (input) {
        taken = console_type(d, (const char *)r->payload + 10 + name_len, input);
    }
    console_reply(r, send_output(r->seq, d, d->domid, wire_get64(r->payload)), taken);
}

static void cancel(uint32_t seq)
{
    if (wire.running && seq == wire.seq) {
        wire_session.cancelled = true;
    } else if (wire.upload.data && seq == wire.upload.seq) {
        upload_forget();
        send_exit(seq, WIRE_STATUS_CANCELLED);
    } else if (wire.words.text && seq == wire.words.seq) {
        words_forget();
        send_exit(seq, WIRE_STATUS_CANCELLED);
    }
}

static void serve(const struct request *r)
{
    wire.gone = false;
    switch (r->type) {
    case WIRE_HELLO:
        hello(r);
        break;
    case WIRE_EXEC_MORE:
    case WIRE_EXEC:
        exec(r);
        break;
    case WIRE_PUT_NAME:
        put_name(r);
        break;
    case WIRE_PUT:
        put(r);
        break;
    case WIRE_CONSOLE:
        console(r);
        break;
    case WIRE_CANCEL:
        cancel(r->seq);
        break;
    default:
        refuse(r->seq, "unknown request");
        break;
    }
}

/* ---- the line ---- */

/* The next frame into `next`; false: none is there yet. */
static bool receive(void)
{
    struct wire_frame f;

    for (;;) {
        if (wire_next(&wire.decoder, &wire.in_at, &wire.in_left, &f)) {
            wire.next = (struct request){ .type = f.type, .seq = f.seq, .length = f.length };
            memcpy(wire.next.payload, f.payload, f.length);
            return true;
        }
        wire.in_at = wire.in;
        wire.in_left = com2_read(wire.in, sizeof(wire.in), wire_missing(&wire.decoder));
        if (!wire.in_left) {
            return false;
        }
        wire.heard = clock_now();
    }
}

/* While a command runs: it is told of a cancellation, by its own host or by a newer request. */
static void hear(void)
{
    while (!wire.waiting && receive()) {
        if (wire.next.type == WIRE_CANCEL) {
            cancel(wire.next.seq);
        } else {
            wire.waiting = true;
            wire_session.cancelled = true;
        }
    }
}

static void keep_alive(void)
{
    hear();
    flush();
    if (clock_now() - wire.told > ALIVE_EVERY) {
        send(WIRE_ALIVE, wire.seq, NULL, 0);
    }
}

/* True: time was up before all was served. */
static bool serve_all(uint64_t deadline)
{
    static struct request r; /* `next` may be replaced while it is served */

    while (wire.waiting || receive()) {
        wire.waiting = false;
        r = wire.next;
        serve(&r);
        if (clock_now() > deadline) {
            return true;
        }
    }
    return false;
}

void wire_service(void)
{
    uint64_t now = clock_now();
    bool more = false, busy;

    if (!wire.present) {
        return;
    }
    if (wire.running) {
        keep_alive();
    } else {
        more = serve_all(now + BUDGET);
    }
    now = clock_now();
    busy = wire.running || now - wire.heard < BUSY_FOR;
    loop_look_at(more ? now : now + (busy ? BUSY_LOOK : IDLE_LOOK));
}
