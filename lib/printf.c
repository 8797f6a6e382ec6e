/* SPDX-License-Identifier: MIT */
/*
 * Formatted text into a buffer: %d %i %u %x %X %o %c %s %p %% as C99 has them, without
 * floating point, wide characters and %n. A conversion that is not known is copied as it stands,
 * since a wrong message is worth more than none. Pure; no locks.
 */
#include <tarn/lib.h>

#define DIGITS_MAX 24 /* 64 bits in octal are 22 */

struct out {
    char *buf;
    size_t size;
    size_t len; /* of the whole text */
};

/* One conversion specification. */
struct spec {
    bool left, zero, plus, space, alt;
    int width;
    int precision; /* -1: none given */
    u8 bytes;      /* of an integer argument */
    char conv;
};

static void put(struct out *o, char c)
{
    if (o->len + 1 < o->size) {
        o->buf[o->len] = c;
    }
    o->len++;
}

static void put_n(struct out *o, const char *s, size_t n)
{
    while (n--) {
        put(o, *s++);
    }
}

static void pad(struct out *o, char c, int n)
{
    while (n-- > 0) {
        put(o, c);
    }
}

/* Saturates: no width of ours is near the limit. */
static int parse_number(const char **fmt)
{
    int n = 0;

    for (; **fmt >= '0' && **fmt <= '9'; ++*fmt) {
        n = MIN(n * 10 + (**fmt - '0'), 99999);
    }
    return n;
}

static const char *parse_flags(const char *fmt, struct spec *s)
{
    for (;; fmt++) {
        switch (*fmt) {
        case '-':
            s->left = true;
            break;
        case '0':
            s->zero = true;
            break;
        case '+':
            s->plus = true;
            break;
        case ' ':
            s->space = true;
            break;
        case '#':
            s->alt = true;
            break;
        default:
            return fmt;
        }
    }
}

static const char *parse_length(const char *fmt, struct spec *s)
{
    s->bytes = sizeof(int);
    switch (*fmt) {
    case 'h':
        s->bytes = fmt[1] == 'h' ? sizeof(char) : sizeof(short);
        return fmt + (fmt[1] == 'h' ? 2 : 1);
    case 'l':
        s->bytes = sizeof(long);
        return fmt + (fmt[1] == 'l' ? 2 : 1);
    case 'z':
    case 't':
    case 'j':
        s->bytes = sizeof(long);
        return fmt + 1;
    default:
        return fmt;
    }
}

static void set_width(struct spec *s, int width)
{
    width = MAX(MIN(width, 99999), -99999);
    s->left |= width < 0;
    s->width = width < 0 ? -width : width;
}

/* `ap` is a pointer, since a va_list passed on can't be used afterwards by the one who passed it.
 */
struct args {
    va_list ap;
};

/* Behind the '%'; returns behind the conversion's letter. */
static const char *parse_spec(const char *fmt, struct spec *s, struct args *args)
{
    *s = (struct spec){ .precision = -1 };
    fmt = parse_flags(fmt, s);
    if (*fmt == '*') {
        fmt++;
        set_width(s, va_arg(args->ap, int));
    } else {
        s->width = parse_number(&fmt);
    }
    if (*fmt == '.') {
        fmt++;
        if (*fmt == '*') {
            fmt++;
            s->precision = va_arg(args->ap, int);
            s->precision = MAX(s->precision, -1);
        } else {
            s->precision = parse_number(&fmt);
        }
    }
    fmt = parse_length(fmt, s);
    s->conv = *fmt;
    return *fmt ? fmt + 1 : fmt;
}

static u64 unsigned_arg(const struct spec *s, struct args *args)
{
    u64 v = s->bytes == sizeof(long) ? va_arg(args->ap, u64) : va_arg(args->ap, u32);

    return s->bytes < sizeof(int) ? v & ((1UL << (8 * s->bytes)) - 1) : v;
}

static s64 signed_arg(const struct spec *s, struct args *args)
{
    s64 v = s->bytes == sizeof(long) ? va_arg(args->ap, s64) : va_arg(args->ap, int);

    switch (s->bytes) {
    case sizeof(s8):
        return (s8)v;
    case sizeof(s16):
        return (s16)v;
    default:
        return v;
    }
}

/* Sign or base, zeros and digits, padded to the width. */
static void put_number(struct out *o, const struct spec *s, u64 v, u32 base, const char *prefix)
{
    const char *digit = s->conv == 'X' ? "0123456789ABCDEF" : "0123456789abcdef";
    char text[DIGITS_MAX];
    int n = 0, zeros, blanks, prefix_len = (int)strlen(prefix);

    for (; v; v /= base) {
        text[DIGITS_MAX - ++n] = digit[v % base];
    }
    zeros = (s->precision < 0 ? 1 : s->precision) - n;
    if (s->conv == 'o' && s->alt && zeros <= 0) {
        zeros = 1;
    }
    zeros = MAX(zeros, 0);
    blanks = s->width - prefix_len - zeros - n;
    if (s->zero && !s->left && s->precision < 0 && blanks > 0) {
        zeros += blanks;
        blanks = 0;
    }
    pad(o, ' ', s->left ? 0 : blanks);
    put_n(o, prefix, (size_t)prefix_len);
    pad(o, '0', zeros);
    put_n(o, text + DIGITS_MAX - n, (size_t)n);
    pad(o, ' ', s->left ? blanks : 0);
}

static void put_signed(struct out *o, const struct spec *s, s64 v)
{
    const char *sign = v < 0 ? "-" : s->plus ? "+" : s->space ? " " : "";

    put_number(o, s, v < 0 ? -(u64)v : (u64)v, 10, sign);
}

static void put_hex(struct out *o, const struct spec *s, u64 v)
{
    put_number(o, s, v, 16, !s->alt || !v ? "" : s->conv == 'X' ? "0X" : "0x");
}

static void put_string(struct out *o, const struct spec *s, const char *text, size_t n)
{
    int blanks = n < (size_t)s->width ? s->width - (int)n : 0;

    pad(o, ' ', s->left ? 0 : blanks);
    put_n(o, text, n);
    pad(o, ' ', s->left ? blanks : 0);
}

static void put_text(struct out *o, const struct spec *s, const char *text)
{
    if (!text) {
        text = "(null)";
    }
    put_string(o, s, text, strnlen(text, s->precision < 0 ? SIZE_MAX : (size_t)s->precision));
}

static void put_char(struct out *o, const struct spec *s, int c)
{
    char text = (char)c;

    put_string(o, s, &text, 1);
}

/* False: not a conversion of ours. */
static bool convert(struct out *o, const struct spec *s, struct args *args)
{
    switch (s->conv) {
    case 'd':
    case 'i':
        put_signed(o, s, signed_arg(s, args));
        return true;
    case 'u':
        put_number(o, s, unsigned_arg(s, args), 10, "");
        return true;
    case 'o':
        put_number(o, s, unsigned_arg(s, args), 8, "");
        return true;
    case 'x':
    case 'X':
        put_hex(o, s, unsigned_arg(s, args));
        return true;
    case 'p':
        put_number(o, s, (uintptr_t)va_arg(args->ap, void *), 16, "0x");
        return true;
    case 'c':
        put_char(o, s, va_arg(args->ap, int));
        return true;
    case 's':
        put_text(o, s, va_arg(args->ap, const char *));
        return true;
    case '%':
        put(o, '%');
        return true;
    default:
        return false;
    }
}

int fmt_vsnprintf(char *buf, size_t size, const char *fmt, va_list ap)
{
    struct out o = { buf, size, 0 };
    struct args args;

    va_copy(args.ap, ap);
    while (*fmt) {
        const char *start = fmt;
        struct spec s;

        if (*fmt != '%') {
            put(&o, *fmt++);
            continue;
        }
        fmt = parse_spec(fmt + 1, &s, &args);
        if (!convert(&o, &s, &args)) {
            put_n(&o, start, (size_t)(fmt - start));
        }
    }
    va_end(args.ap);
    if (size) {
        buf[MIN(o.len, size - 1)] = '\0';
    }
    return (int)MIN(o.len, (size_t)INT32_MAX);
}

int fmt_snprintf(char *buf, size_t size, const char *fmt, ...)
{
    va_list ap;
    int len;

    va_start(ap, fmt);
    len = fmt_vsnprintf(buf, size, fmt, ap);
    va_end(ap);
    return len;
}
