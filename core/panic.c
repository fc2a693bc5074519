/* core/panic.c — the end of the process, with enough said to find out why.
 *
 * A panic prints one line of what and where, one line of what the thread was doing, and a
 * backtrace, straight to descriptor 2.
 * Failures: a second fault while reporting the first dies at once by the default action. */
#include "core/base.h"
#include <execinfo.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PANIC_FRAMES 64

static _Thread_local rl_panic_context_fn *context_fn;
static _Thread_local void *context_arg;
static _Atomic uint64_t never_count;
static atomic_flag reported = ATOMIC_FLAG_INIT;

static void panic_write(const char *text, size_t bytes)
{
    while (bytes > 0) {
        ssize_t written = write(STDERR_FILENO, text, bytes);
        if (written <= 0)
            return;
        text += written;
        bytes -= (size_t)written;
    }
}

static void panic_line(const char *text)
{
    panic_write(text, strlen(text));
    panic_write("\n", 1);
}

/* What the thread was doing, and how it came here. */
static void panic_report_thread(void)
{
    char line[512];

    if (context_fn != NULL) {
        rl_panic_context_fn *fn = context_fn;
        context_fn = NULL;              /* a fault in fn must not come back here */
        line[0] = '\0';
        fn(context_arg, line, sizeof line);
        panic_line(line);
    }
    void *frames[PANIC_FRAMES];
    int count = backtrace(frames, PANIC_FRAMES);
    backtrace_symbols_fd(frames, count, STDERR_FILENO);
}

noreturn void rl_panic(const char *file, int line, const char *format, ...)
{
    char text[1024];
    int at = snprintf(text, sizeof text, "PANIC %s:%d: ", file, line);
    va_list args;

    va_start(args, format);
    vsnprintf(text + at, sizeof text - (size_t)at, format, args);
    va_end(args);
    panic_line(text);
    if (!atomic_flag_test_and_set(&reported))
        panic_report_thread();
    abort();
}

void rl_panic_context(rl_panic_context_fn *fn, void *arg)
{
    context_fn = fn;
    context_arg = arg;
}

static void panic_on_signal(int number, siginfo_t *info, void *ucontext)
{
    (void)ucontext;
    /* SA_RESETHAND has restored the default action: the raise below, or a fault in here, kills. */
    if (!atomic_flag_test_and_set(&reported)) {
        char text[128];
        snprintf(text, sizeof text, "PANIC signal %d (%s) at address %p", number,
                 strsignal(number), info->si_addr);
        panic_line(text);
        panic_report_thread();
    }
    raise(number);
}

void rl_panic_install(void)
{
    static const int signals[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT };
    struct sigaction action = { .sa_sigaction = panic_on_signal,
                                .sa_flags = SA_SIGINFO | SA_RESETHAND };
    void *frame[1];

    backtrace(frame, 1);                /* loads libgcc now: a handler must not allocate */
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < RL_ARRAY_COUNT(signals); i++)
        sigaction(signals[i], &action, NULL);
}

bool rl_never_happened(const char *file, int line, const char *what)
{
    uint64_t before = atomic_fetch_add_explicit(&never_count, 1, memory_order_relaxed);

    if (before < 16) {                  /* the count goes on, the log is not flooded */
        char text[512];
        snprintf(text, sizeof text, "NEVER %s:%d: %s", file, line, what);
        panic_line(text);
    }
    return true;
}

uint64_t rl_never_count(void)
{
    return atomic_load_explicit(&never_count, memory_order_relaxed);
}
