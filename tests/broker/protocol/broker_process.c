/* tests/broker/protocol/broker_process.c — start, stop and kill a real broker.
 *
 * The child gets its own output file, which is read for the ready line and shown when something
 * goes wrong.  It dies with the test (parent-death signal), so that a failed assertion leaves no
 * broker behind. */
#include "broker_process.h"
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define START_PATIENCE_MS 30000
#define STOP_PATIENCE_MS  30000
#define ARGUMENTS_MAX (16 + 2 * BROKER_SETTINGS_MAX)

static void pause_ms(long ms)
{
    nanosleep(&(struct timespec){ .tv_nsec = ms * 1000000 }, NULL);
}

static int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *walk)
{
    (void)info, (void)kind, (void)walk;
    return remove(path);
}

static void remove_tree(const char *path)
{
    nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

void broker_init(struct broker *b, uint32_t shards, const char *const *settings)
{
    *b = (struct broker){ .shards = shards };
    for (uint32_t i = 0; settings != NULL && settings[i] != NULL; i++) {
        cr_assert_lt(i, BROKER_SETTINGS_MAX);
        b->settings[i] = settings[i];
    }
    mkdir(RL_TEST_DATA_DIR, 0755);
    snprintf(b->data_dir, sizeof b->data_dir, "%s/%d-%u", RL_TEST_DATA_DIR, (int)getpid(), shards);
    snprintf(b->log_path, sizeof b->log_path, "%s.log", b->data_dir);
    remove_tree(b->data_dir);
    unlink(b->log_path);
}

static void show_log(const struct broker *b)
{
    char line[1024];
    FILE *log = fopen(b->log_path, "r");
    if (log == NULL)
        return;
    while (fgets(line, sizeof line, log) != NULL)
        fprintf(stderr, "    broker: %s", line);
    fclose(log);
}

static void broker_exec(const struct broker *b)
{
    char shards[16];
    const char *arguments[ARGUMENTS_MAX] = {
        RL_TEST_BROKER, "server", "--data-dir", b->data_dir, "--listeners",
        "PLAINTEXT://127.0.0.1:0", "--shards", shards,
    };
    size_t count = 8;
    snprintf(shards, sizeof shards, "%u", b->shards);
    for (int i = 0; i < BROKER_SETTINGS_MAX && b->settings[i] != NULL; i++) {
        arguments[count++] = "--set";
        arguments[count++] = b->settings[i];
    }
    const char *path = getenv("RL_TEST_FETCH_PATH");
    char fetch_path[64];
    if (path != NULL) {
        snprintf(fetch_path, sizeof fetch_path, "ringlog.fetch.path=%s", path);
        arguments[count++] = "--set";
        arguments[count++] = fetch_path;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int log = open(b->log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (log < 0 || dup2(log, STDOUT_FILENO) < 0 || dup2(log, STDERR_FILENO) < 0)
        _exit(126);
    execv(RL_TEST_BROKER, (char *const *)(uintptr_t)arguments);
    _exit(127);
}

/* The port of the ready line behind byte `from` of the log, 0 when it is not there yet. */
static uint16_t ready_port(const struct broker *b, long from)
{
    static const char mark[] = "ready address=PLAINTEXT://127.0.0.1:";
    char line[1024];
    int port = 0;
    FILE *log = fopen(b->log_path, "r");
    if (log == NULL)
        return 0;
    fseek(log, from, SEEK_SET);
    while (fgets(line, sizeof line, log) != NULL) {
        const char *at = strstr(line, mark);
        if (at != NULL && strchr(at, '\n') != NULL)
            port = (int)strtol(at + sizeof mark - 1, NULL, 10);
    }
    fclose(log);
    return (uint16_t)port;
}

void broker_start(struct broker *b)
{
    struct stat info;
    long from = stat(b->log_path, &info) == 0 ? (long)info.st_size : 0;
    cr_assert_eq(b->pid, 0);
    fflush(NULL);
    b->pid = fork();
    cr_assert_geq(b->pid, 0);
    if (b->pid == 0)
        broker_exec(b);
    b->port = 0;
    for (int waited_ms = 0; b->port == 0; waited_ms += 5) {
        if (waited_ms >= START_PATIENCE_MS) {
            show_log(b);
            cr_assert(false, "the broker is not ready after %d ms", START_PATIENCE_MS);
        }
        broker_expect_alive(b);
        pause_ms(5);
        b->port = ready_port(b, from);
    }
}

void broker_expect_alive(struct broker *b)
{
    int status = 0;
    pid_t pid = waitpid(b->pid, &status, WNOHANG);
    if (pid == 0)
        return;
    b->pid = 0;
    show_log(b);
    cr_assert(false, "the broker died, wait status %#x", (unsigned)status);
}

void broker_terminate(struct broker *b)
{
    broker_expect_alive(b);
    kill(b->pid, SIGTERM);
}

void broker_wait(struct broker *b)
{
    int status = 0;
    pid_t pid = 0;
    for (int waited_ms = 0; (pid = waitpid(b->pid, &status, WNOHANG)) == 0; waited_ms += 5) {
        if (waited_ms >= STOP_PATIENCE_MS) {
            show_log(b);
            cr_assert(false, "the broker does not stop within %d ms", STOP_PATIENCE_MS);
        }
        pause_ms(5);
    }
    b->pid = 0;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        show_log(b);
        cr_assert(false, "the broker left with wait status %#x", (unsigned)status);
    }
}

void broker_stop(struct broker *b)
{
    broker_terminate(b);
    broker_wait(b);
}

void broker_kill(struct broker *b)
{
    broker_expect_alive(b);
    kill(b->pid, SIGKILL);
    waitpid(b->pid, NULL, 0);
    b->pid = 0;
}

void broker_forget_mount(struct broker *b)
{
    char path[576];
    snprintf(path, sizeof path, "%s/ringlog.state", b->data_dir);
    cr_assert_eq(unlink(path), 0);
}

long broker_resident_kib(const struct broker *b)
{
    char path[64], line[256];
    long kib = 0;
    snprintf(path, sizeof path, "/proc/%d/status", (int)b->pid);
    FILE *file = fopen(path, "r");
    cr_assert_not_null(file);
    while (fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, "VmRSS:", 6) == 0)
            kib = strtol(line + 6, NULL, 10);
    fclose(file);
    return kib;
}

void broker_done(struct broker *b)
{
    remove_tree(b->data_dir);
    unlink(b->log_path);
}

void broker_run_test(uint32_t shards, const char *const *settings, void (*body)(struct broker *))
{
    struct broker b;
    const char *reference = getenv("RL_TEST_REFERENCE_PORT");
    if (reference != NULL) {
        b = (struct broker){ .port = (uint16_t)strtol(reference, NULL, 10) };
        body(&b);
        return;
    }
    broker_init(&b, shards, settings);
    broker_start(&b);
    body(&b);
    if (b.pid != 0)
        broker_stop(&b);
    broker_done(&b);
}
