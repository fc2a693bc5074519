/* core/base.h — the words every file of ringlog uses: assertions, bounds, containers.
 *
 * Assertions are for our own mistakes and stay on in release; input from outside is never
 * asserted, it gets a status.  A failed assertion prints where, what the shard was doing
 * (rl_panic_context) and a backtrace, then aborts. */
#ifndef RL_CORE_BASE_H
#define RL_CORE_BASE_H

#include <stdalign.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdnoreturn.h>

#define RL_LIKELY(x)   __builtin_expect(!!(x), 1)
#define RL_UNLIKELY(x) __builtin_expect(!!(x), 0)
#define RL_PRINTF(format_index, first) __attribute__((format(printf, format_index, first)))
#define RL_MUST_USE __attribute__((warn_unused_result))

#define RL_ARRAY_COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define RL_MIN(a, b) ((a) < (b) ? (a) : (b))
#define RL_MAX(a, b) ((a) > (b) ? (a) : (b))
#define RL_BIT(n) (1u << (n))
/* The object of type `type` whose field `field` is at `p`. */
#define RL_CONTAINER_OF(p, type, field) ((type *)((char *)(p) - offsetof(type, field)))

#define RL_CACHE_LINE_BYTES 64

/* Report a broken assertion and abort.  Any thread. */
noreturn void rl_panic(const char *file, int line, const char *format, ...) RL_PRINTF(3, 4);

/* A function that describes what the calling thread is doing, one line, for crash reports.
 * Set once per thread; NULL removes it.  `buffer` has `bytes` bytes; it must not allocate. */
typedef void rl_panic_context_fn(void *arg, char *buffer, size_t bytes);
void rl_panic_context(rl_panic_context_fn *fn, void *arg);

/* Install handlers for SIGSEGV, SIGBUS, SIGFPE, SIGILL and SIGABRT that print the context and
 * a backtrace and die by the same signal.  Main thread, once, before shards start. */
void rl_panic_install(void);

#define RL_ASSERT(x) \
    (RL_LIKELY(x) ? (void)0 : rl_panic(__FILE__, __LINE__, "assertion failed: %s", #x))

/* For checks whose cost a benchmark has shown; off unless RL_ASSERT_HOT_ENABLED. */
#ifdef RL_ASSERT_HOT_ENABLED
#define RL_ASSERT_HOT(x) RL_ASSERT(x)
#else
#define RL_ASSERT_HOT(x) ((void)0)
#endif

/* A survivable "never": true is counted (rl_never_count) and the caller handles it. */
bool rl_never_happened(const char *file, int line, const char *what);
uint64_t rl_never_count(void);
#define RL_NEVER(x) (RL_UNLIKELY(x) && rl_never_happened(__FILE__, __LINE__, #x))

/* First line of every function that takes a long-lived object: it is there and of its type. */
#define RL_OBJ(p, TYPE) \
    (RL_ASSERT((p) != NULL), RL_ASSERT((p)->magic == RL_##TYPE##_MAGIC))

#endif
