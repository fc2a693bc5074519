/* tests/core/test_logger.c — form of a line, levels, limits. */
#include "core/logger.h"
#include "core/text.h"
#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct rl_text lines;

static void keep(void *arg, enum rl_log_level level, const char *line, size_t bytes)
{
    (void)arg;
    (void)level;
    cr_assert_eq(line[bytes], '\0');
    rl_text_append(&lines, line, bytes);
}

static void setup(void)
{
    unsetenv("JOURNAL_STREAM");
    rl_logger_set_sink(keep, NULL);
}

static void teardown(void)
{
    rl_logger_set_sink(NULL, NULL);
    rl_text_done(&lines);
}

TestSuite(logger, .init = setup, .fini = teardown);

Test(logger, line_has_time_level_shard_module)
{
    rl_logger_tag("s3");
    RL_INFO("net", "msg key=%s", "value");
    cr_assert_eq(lines.bytes, strlen("2026-11-22T12:00:00.123Z INFO  [s3] net: msg key=value\n"));
    cr_assert_str_eq(lines.data + 24, " INFO  [s3] net: msg key=value\n");
    cr_assert_eq(lines.data[10], 'T');
    cr_assert_eq(lines.data[23], 'Z');
}

Test(logger, no_time_under_systemd)
{
    setenv("JOURNAL_STREAM", "8:12345", 1);
    RL_ERROR("log", "x");
    cr_assert_str_eq(rl_text_string(&lines), "ERROR log: x\n");
}

Test(logger, levels_filter)
{
    setenv("JOURNAL_STREAM", "8:12345", 1);
    RL_DEBUG("log", "hidden");
    enum rl_log_level level = RL_LOG_INFO;
    cr_assert(rl_logger_parse_level("Warn", &level));
    cr_assert_not(rl_logger_parse_level("loud", &level));
    rl_logger_set_level(level);
    RL_INFO("log", "hidden");
    RL_WARN("log", "shown");
    cr_assert_str_eq(rl_text_string(&lines), "WARN  log: shown\n");
}

Test(logger, nobody_forges_a_line)
{
    setenv("JOURNAL_STREAM", "8:12345", 1);
    RL_WARN("net", "client=%s", "a\nERROR b\x1b[0m\x7f");
    cr_assert_str_eq(rl_text_string(&lines), "WARN  net: client=a\\x0aERROR b\\x1b[0m\\x7f\n");
}

Test(logger, long_messages_are_cut)
{
    char *text = malloc(100001);

    memset(text, '\n', 100000);
    text[100000] = '\0';
    RL_WARN("net", "%s", text);
    cr_assert(lines.bytes < 4096 && lines.data[lines.bytes - 1] == '\n');
    cr_assert_eq(strchr(lines.data, '\n'), lines.data + lines.bytes - 1);
    free(text);
}

Test(logger, repeats_are_held_back_and_counted)
{
    setenv("JOURNAL_STREAM", "8:12345", 1);
    for (int i = 0; i < 10; i++)
        RL_WARN_EVERY(3600, "net", "again");
    cr_assert_str_eq(rl_text_string(&lines), "WARN  net: again\n");
    rl_text_clear(&lines);

    struct rl_log_limit limit = { 0 };
    uint32_t suppressed = 0;
    cr_assert(rl_log_limit_pass(&limit, 3600, &suppressed));
    cr_assert_not(rl_log_limit_pass(&limit, 3600, &suppressed));
    cr_assert_not(rl_log_limit_pass(&limit, 3600, &suppressed));
    limit.next_ms = 0;
    cr_assert(rl_log_limit_pass(&limit, 3600, &suppressed));
    cr_assert_eq(suppressed, 2);
}

/* ---- descriptor 2 ---- */

static int stderr_pipe[2], stderr_kept;

static void pipe_setup(void)
{
    setenv("JOURNAL_STREAM", "8:12345", 1);
    stderr_kept = dup(STDERR_FILENO);
    cr_assert_eq(pipe(stderr_pipe), 0);
    cr_assert_eq(dup2(stderr_pipe[1], STDERR_FILENO), STDERR_FILENO);
    cr_assert_eq(fcntl(stderr_pipe[0], F_SETFL, O_NONBLOCK), 0);
}

static void pipe_teardown(void)
{
    dup2(stderr_kept, STDERR_FILENO);
}

/* All that is in the pipe. */
static char *pipe_read(void)
{
    static char text[1 << 20];
    size_t bytes = 0;
    ssize_t got;

    while ((got = read(stderr_pipe[0], text + bytes, sizeof text - 1 - bytes)) > 0)
        bytes += (size_t)got;
    text[bytes] = '\0';
    return text;
}

static size_t count_lines(const char *text)
{
    size_t count = 0;

    for (; *text != '\0'; text++)
        count += *text == '\n';
    return count;
}

TestSuite(logger_pipe, .init = pipe_setup, .fini = pipe_teardown, .timeout = 20);

Test(logger_pipe, nobody_reads_and_nothing_waits)
{
    enum { LINES = 20000 };
    char expected[128];

    for (int i = 0; i < LINES; i++)
        RL_INFO("net", "line %d of many that are sent to somebody who is asleep", i);
    size_t taken = count_lines(pipe_read());
    cr_assert(taken > 100 && taken < LINES, "%zu lines", taken);
    RL_INFO("net", "awake");
    snprintf(expected, sizeof expected, "WARN  logger: %zu lines before this one are lost: "
             "stderr did not take them\nINFO  net: awake\n", LINES - taken);
    cr_assert_str_eq(pipe_read(), expected);
    RL_INFO("net", "again");
    cr_assert_str_eq(pipe_read(), "INFO  net: again\n");
}

Test(logger_pipe, a_reader_that_is_gone_stops_nobody)
{
    signal(SIGPIPE, SIG_IGN);
    close(stderr_pipe[0]);
    for (int i = 0; i < 1000; i++)
        RL_INFO("net", "line");
}
