/* core/logger.c — log lines, one write each.
 *
 * A line is built on the caller's stack and written at once.  If descriptor 2 does not take it,
 * it is lost, and the next one that is taken says how many were: a broker does not stop for its
 * log, neither at an error nor at a pipe or terminal that nobody reads. */
#include "core/logger.h"
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#define LOGGER_LINE_BYTES 4096

static _Atomic int logger_level = RL_LOG_INFO;
static rl_logger_sink_fn *logger_sink;
static void *logger_sink_arg;
static _Atomic uint32_t logger_lost;    /* lines since the last one that was taken */
static _Thread_local char logger_tag[16];

static const char *const level_names[] = { "DEBUG", "INFO", "WARN", "ERROR" };

void rl_logger_set_level(enum rl_log_level level)
{
    atomic_store_explicit(&logger_level, (int)level, memory_order_relaxed);
}

enum rl_log_level rl_logger_level(void)
{
    return (enum rl_log_level)atomic_load_explicit(&logger_level, memory_order_relaxed);
}

bool rl_logger_parse_level(const char *name, enum rl_log_level *ret_level)
{
    for (size_t i = 0; i < RL_ARRAY_COUNT(level_names); i++) {
        if (strcasecmp(name, level_names[i]) == 0) {
            *ret_level = (enum rl_log_level)i;
            return true;
        }
    }
    return false;
}

void rl_logger_tag(const char *tag)
{
    snprintf(logger_tag, sizeof logger_tag, "%s", tag != NULL ? tag : "");
}

void rl_logger_set_sink(rl_logger_sink_fn *sink, void *arg)
{
    logger_sink = sink;
    logger_sink_arg = arg;
}

/* "2026-11-22T12:00:00.123Z ", or nothing under systemd.  Returns the length. */
static size_t logger_time(char *line, size_t bytes)
{
    struct timespec now;
    struct tm utc;

    if (getenv("JOURNAL_STREAM") != NULL)
        return 0;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    size_t at = strftime(line, bytes, "%Y-%m-%dT%H:%M:%S", &utc);
    return at + (size_t)snprintf(line + at, bytes - at, ".%03ldZ ", now.tv_nsec / 1000000);
}

/* Copy text so that it stays one line; returns the new length of the line. */
static size_t logger_escape(char *line, size_t at, size_t bytes, const char *text)
{
    static const char digits[] = "0123456789abcdef";

    for (; *text != '\0' && at + 5 < bytes; text++) {
        unsigned char c = (unsigned char)*text;
        if (c >= 0x20 && c != 0x7f) {
            line[at++] = (char)c;
        } else {
            line[at++] = '\\';
            line[at++] = 'x';
            line[at++] = digits[c >> 4];
            line[at++] = digits[c & 15];
        }
    }
    return at;
}

/* All in front of the message.  Returns the length. */
static size_t logger_head(char *line, size_t bytes, enum rl_log_level level, const char *module)
{
    size_t at = logger_time(line, bytes);

    at += (size_t)snprintf(line + at, bytes - at, "%-5s ", level_names[level]);
    if (logger_tag[0] != '\0')
        at += (size_t)snprintf(line + at, bytes - at, "[%s] ", logger_tag);
    return at + (size_t)snprintf(line + at, bytes - at, "%.64s: ", module);
}

/* Would a line of at most PIPE_BUF bytes go out without waiting?  Of several threads that find the
 * last room in a pipe at the same moment one may still wait: no write to a pipe that others have
 * open, too, can be told not to (O_NONBLOCK is theirs as well) on every kernel we run on. */
static bool stderr_has_room(void)
{
    struct pollfd stream = { .fd = STDERR_FILENO, .events = POLLOUT };

    return poll(&stream, 1, 0) == 1 && (stream.revents & POLLOUT) != 0;
}

static bool stderr_take(const char *line, size_t bytes)
{
    return stderr_has_room() && write(STDERR_FILENO, line, bytes) == (ssize_t)bytes;
}

static void stderr_write(const char *line, size_t bytes)
{
    if (atomic_load_explicit(&logger_lost, memory_order_relaxed) != 0 && stderr_has_room()) {
        char told[256];
        uint32_t lost = atomic_exchange_explicit(&logger_lost, 0, memory_order_relaxed);
        size_t at = logger_head(told, sizeof told, RL_LOG_WARN, "logger");
        at += (size_t)snprintf(told + at, sizeof told - at,
                               "%u lines before this one are lost: stderr did not take them\n", lost);
        if (lost > 0 && !stderr_take(told, at))         /* 0: another thread tells of them */
            atomic_fetch_add_explicit(&logger_lost, lost, memory_order_relaxed);
    }
    if (!stderr_take(line, bytes))
        atomic_fetch_add_explicit(&logger_lost, 1, memory_order_relaxed);
}

void rl_logger_write(enum rl_log_level level, const char *module, const char *format, ...)
{
    char line[LOGGER_LINE_BYTES], message[LOGGER_LINE_BYTES];
    va_list args;

    size_t at = logger_head(line, sizeof line, level, module);
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    at = logger_escape(line, at, sizeof line - 1, message);
    line[at++] = '\n';
    line[at] = '\0';
    if (logger_sink != NULL)
        logger_sink(logger_sink_arg, level, line, at);
    else
        stderr_write(line, at);
}

bool rl_log_limit_pass(struct rl_log_limit *limit, int64_t seconds, uint32_t *ret_suppressed)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    int64_t now_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    int64_t next_ms = atomic_load_explicit(&limit->next_ms, memory_order_relaxed);
    /* Of several threads at the same place one wins the exchange and logs. */
    if (now_ms < next_ms ||
        !atomic_compare_exchange_strong(&limit->next_ms, &next_ms, now_ms + seconds * 1000)) {
        atomic_fetch_add_explicit(&limit->suppressed, 1, memory_order_relaxed);
        return false;
    }
    *ret_suppressed = atomic_exchange_explicit(&limit->suppressed, 0, memory_order_relaxed);
    return true;
}
