/* SPDX-License-Identifier: MIT
 * Reading a password. On a terminal every key arrives by itself, so that Ctrl-C can be a refusal
 * and not a signal that would leave the terminal without its echo. */
#include "app/command_password.h"

#include "base/alloc.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

enum { KEY_CANCEL = 3, KEY_END = 4, KEY_BACKSPACE = 8, KEY_CLEAR = 21, KEY_DELETE = 127 };

enum line { LINE_GOOD, LINE_CANCELLED, LINE_TOO_LONG, LINE_BROKEN };

void command_password_wipe(struct command_password *password)
{
    alloc_wipe(password, sizeof(*password));
}

/* One byte: 1, 0 at the end, -1 when reading failed. */
static ssize_t byte_read(int fd, char *ret)
{
    ssize_t got;

    do
        got = read(fd, ret, 1);
    while (got < 0 && errno == EINTR);
    return got;
}

/* The last character goes, all of its bytes. */
static void backspace(struct command_password *line)
{
    while (line->len > 0 && ((unsigned char)line->bytes[line->len - 1] & 0xC0) == 0x80)
        line->len--;
    if (line->len > 0)
        line->len--;
}

/* What a key of the terminal does; true when the line goes on. */
static bool edit(struct command_password *line, char key, enum line *ret)
{
    switch (key) {
    case KEY_CANCEL:
    case KEY_END:
        *ret = LINE_CANCELLED;
        return false;
    case KEY_BACKSPACE:
    case KEY_DELETE:
        backspace(line);
        return true;
    case KEY_CLEAR:
        line->len = 0;
        return true;
    default:
        if (line->len == sizeof(line->bytes)) {
            *ret = LINE_TOO_LONG;
            return false;
        }
        line->bytes[line->len++] = key;
        return true;
    }
}

static enum line line_read(int fd, bool terminal, struct command_password *line)
{
    enum line result = LINE_GOOD;
    char key;

    line->len = 0;
    for (;;) {
        ssize_t got = byte_read(fd, &key);

        if (got < 0)
            return LINE_BROKEN;
        if (got == 0 || key == '\n' || (terminal && key == '\r'))
            return got == 0 && terminal ? LINE_CANCELLED : LINE_GOOD;
        if (terminal) {
            if (!edit(line, key, &result))
                return result;
            continue;
        }
        if (line->len == sizeof(line->bytes))
            return LINE_TOO_LONG;
        line->bytes[line->len++] = key;
    }
}

/* A line without an echo. Signals that would end us wait until the terminal is as it was. */
static enum line line_ask(const struct command_io *io, const char *question,
                          struct command_password *line)
{
    struct termios before;
    struct termios quiet;
    sigset_t ending;
    sigset_t signals_before;
    enum line result = LINE_BROKEN;

    if (tcgetattr(io->in, &before) != 0)
        return LINE_BROKEN;
    quiet = before;
    quiet.c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | ISIG);
    quiet.c_cc[VMIN] = 1;
    quiet.c_cc[VTIME] = 0;
    (void)sigemptyset(&ending);
    (void)sigaddset(&ending, SIGINT);
    (void)sigaddset(&ending, SIGTERM);
    (void)sigaddset(&ending, SIGHUP);
    (void)sigaddset(&ending, SIGTSTP);
    (void)sigprocmask(SIG_BLOCK, &ending, &signals_before);
    if (tcsetattr(io->in, TCSAFLUSH, &quiet) == 0) { /* before the question: no key is lost */
        (void)fprintf(io->err, "%s", question);
        (void)fflush(io->err);
        result = line_read(io->in, true, line);
    }
    (void)tcsetattr(io->in, TCSAFLUSH, &before);
    (void)fprintf(io->err, "\n");
    (void)fflush(io->err);
    (void)sigprocmask(SIG_SETMASK, &signals_before, NULL);
    return result;
}

static enum command_exit refuse(const struct command_call *call, enum line why)
{
    switch (why) {
    case LINE_CANCELLED:
        command_tell(call, "cancelled");
        break;
    case LINE_TOO_LONG:
        command_tell(call, "a password has at most %d bytes", LIMIT_PASSWORD_BYTES_MAX);
        break;
    case LINE_GOOD:
    case LINE_BROKEN:
        command_tell(call, "cannot read the password");
        break;
    }
    return COMMAND_BAD;
}

static enum command_exit ask_twice(const struct command_call *call, struct command_password *ret)
{
    struct command_password again;
    enum line result = line_ask(call->io, "Password: ", ret);
    bool same;

    if (result != LINE_GOOD)
        return refuse(call, result);
    result = line_ask(call->io, "Once more: ", &again);
    same = result == LINE_GOOD &&
           span_equal_secret(command_password_span(ret), command_password_span(&again));
    command_password_wipe(&again);
    if (result != LINE_GOOD)
        return refuse(call, result);
    if (!same) {
        command_tell(call, "the two passwords differ");
        return COMMAND_BAD;
    }
    return COMMAND_GOOD;
}

enum command_exit command_line_read(const struct command_call *call, struct command_password *ret)
{
    enum line result = line_read(call->io->in, false, ret);

    if (result == LINE_GOOD && ret->len > 0 && ret->bytes[ret->len - 1] == '\r')
        ret->len--;
    if (result == LINE_GOOD)
        return COMMAND_GOOD;
    command_password_wipe(ret);
    return refuse(call, result);
}

enum command_exit command_password_read(const struct command_call *call,
                                        struct command_password *ret)
{
    enum command_exit answer;

    ret->len = 0;
    if (command_given(call, "--password-stdin"))
        return command_line_read(call, ret);
    if (isatty(call->io->in)) {
        answer = ask_twice(call, ret);
    } else {
        command_tell(call, "there is no terminal to ask for the password on, give it to "
                           "--password-stdin");
        answer = COMMAND_USAGE;
    }
    if (answer != COMMAND_GOOD)
        command_password_wipe(ret);
    return answer;
}
