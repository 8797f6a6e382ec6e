/* SPDX-License-Identifier: MIT */
/*
 * session.c - text from commands to whoever gave them. `session` is set by the shell while a
 * command runs; what is said without one is news for the console. One text is cut at TEXT_SIZE_MAX.
 */
#include "shell.h"

#define TEXT_SIZE_MAX 2048

struct session *session;

static void say_bytes(int stream, const char *text, size_t len)
{
    if (!len) {
        return;
    }
    if (session) {
        session->write(session, stream, text, len);
    } else {
        shell_notice(text, len);
    }
}

static void say(int stream, const char *format, va_list args)
{
    static char text[TEXT_SIZE_MAX];
    int n = fmt_vsnprintf(text, sizeof(text), format, args);

    say_bytes(stream, text, MIN((size_t)n, sizeof(text) - 1));
}

void out(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    say(STREAM_OUT, format, args);
    va_end(args);
}

void out_bytes(const char *text, size_t len)
{
    say_bytes(STREAM_OUT, text, len);
}

void err(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    say(STREAM_ERROR, format, args);
    va_end(args);
}

/* "error: command: " */
static void say_who(void)
{
    const char *command = session ? session->command : NULL;

    err(command ? "error: %s: " : "error: ", command);
}

int fail(const char *format, ...)
{
    va_list args;

    say_who();
    va_start(args, format);
    say(STREAM_ERROR, format, args);
    va_end(args);
    err("\n");
    return 1;
}

int fail_errno(long rc, const char *what, ...)
{
    va_list args;

    say_who();
    va_start(args, what);
    say(STREAM_ERROR, what, args);
    va_end(args);
    err(": %s (%s)\n", error_text(rc), error_name(rc));
    return 1;
}
