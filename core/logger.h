/* core/logger.h — log lines for people and for grep.
 *
 *     2026-11-22T12:00:00.123Z INFO  [s3] net: connection closed peer=10.0.0.7:4711
 *
 * One line is one write(2) to descriptor 2, so lines of several threads never mix.  A line that
 * would have to wait there is lost and counted; the next one that is taken tells of it.  Under
 * systemd (JOURNAL_STREAM is set) the time is left out: the journal has its own. */
#ifndef RL_CORE_LOGGER_H
#define RL_CORE_LOGGER_H

#include "core/base.h"
#include <stdatomic.h>

enum rl_log_level { RL_LOG_DEBUG, RL_LOG_INFO, RL_LOG_WARN, RL_LOG_ERROR };

/* Lines below this level are dropped; INFO at first.  Any thread. */
void rl_logger_set_level(enum rl_log_level level);
enum rl_log_level rl_logger_level(void);
/* "debug", "info", "warn", "error" in any case; false when it is none of them. */
bool rl_logger_parse_level(const char *name, enum rl_log_level *ret_level);
/* What stands in brackets for lines of the calling thread, at most 15 characters; NULL: nothing. */
void rl_logger_tag(const char *tag);

/* Where lines go instead of descriptor 2: line ends with a newline and a NUL behind it.  Runs on
 * the thread that logs.  NULL brings descriptor 2 back.  Before other threads start. */
typedef void rl_logger_sink_fn(void *arg, enum rl_log_level level, const char *line, size_t bytes);
void rl_logger_set_sink(rl_logger_sink_fn *sink, void *arg);

/* Write one line.  module: the folder or program part.  Bytes below 0x20 in the message appear
 * as \xNN, so nothing from outside can forge a line.  Long messages are cut at 4 KiB. */
void rl_logger_write(enum rl_log_level level, const char *module, const char *format, ...)
    RL_PRINTF(3, 4);

/* One per place in the code, static and zeroed. */
struct rl_log_limit {
    _Atomic int64_t next_ms;
    _Atomic uint32_t suppressed;
};
/* May this place log now?  ret_suppressed: lines it kept back since the last one. */
bool rl_log_limit_pass(struct rl_log_limit *limit, int64_t seconds, uint32_t *ret_suppressed);

#define RL_LOG(level, module, ...) \
    do { \
        if ((level) >= rl_logger_level()) \
            rl_logger_write((level), (module), __VA_ARGS__); \
    } while (0)
#define RL_DEBUG(module, ...) RL_LOG(RL_LOG_DEBUG, module, __VA_ARGS__)
#define RL_INFO(module, ...)  RL_LOG(RL_LOG_INFO, module, __VA_ARGS__)
#define RL_WARN(module, ...)  RL_LOG(RL_LOG_WARN, module, __VA_ARGS__)
#define RL_ERROR(module, ...) RL_LOG(RL_LOG_ERROR, module, __VA_ARGS__)

/* The same, at most one line per `seconds` from this place; the next line is followed by one
 * that says how many were kept back. */
#define RL_LOG_EVERY(level, seconds, module, ...) \
    do { \
        static struct rl_log_limit limit_; \
        uint32_t suppressed_ = 0; \
        if ((level) >= rl_logger_level() && \
            rl_log_limit_pass(&limit_, (seconds), &suppressed_)) { \
            rl_logger_write((level), (module), __VA_ARGS__); \
            if (suppressed_ != 0) \
                rl_logger_write((level), (module), "%u lines like this were left out", \
                                suppressed_); \
        } \
    } while (0)
#define RL_WARN_EVERY(seconds, module, ...)  RL_LOG_EVERY(RL_LOG_WARN, seconds, module, __VA_ARGS__)
#define RL_ERROR_EVERY(seconds, module, ...) RL_LOG_EVERY(RL_LOG_ERROR, seconds, module, __VA_ARGS__)

#endif
