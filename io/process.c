/* io/process.c — what main needs from the kernel around the shards. */
#include "io/process.h"
#include "core/logger.h"
#include "core/memory.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

rl_status rl_read_file(const char *path, size_t bytes_max, char **ret_text, size_t *ret_bytes)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return rl_status_from_errno(errno);
    char *text = rl_alloc(bytes_max + 2);
    size_t bytes = 0;
    ssize_t got;
    while ((got = read(fd, text + bytes, bytes_max + 1 - bytes)) > 0)
        bytes += (size_t)got;
    rl_status status = got < 0 ? rl_status_from_errno(errno) : bytes > bytes_max ? RL_ETOOLARGE : RL_OK;
    close(fd);
    if (status != RL_OK) {
        rl_free(text);
        return status;
    }
    text[bytes] = 0;
    *ret_text = text;
    *ret_bytes = bytes;
    return RL_OK;
}

/* CPUs' worth of the cgroup's quota, 0 when there is none. */
static uint32_t cgroup_cpu_count(void)
{
    FILE *f = fopen("/sys/fs/cgroup/cpu.max", "re");
    if (f == NULL)
        return 0;
    long long quota, period;
    int fields = fscanf(f, "%lld %lld", &quota, &period);       /* "max 100000": no quota */
    fclose(f);
    if (fields != 2 || quota <= 0 || period <= 0)
        return 0;
    return (uint32_t)RL_MAX(1, quota / period);
}

uint32_t rl_cpu_count(void)
{
    cpu_set_t set;
    uint32_t count = 1;
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        count = (uint32_t)RL_MAX(1, CPU_COUNT(&set));
    uint32_t quota = cgroup_cpu_count();
    return quota != 0 ? RL_MIN(count, quota) : count;
}

int64_t rl_process_now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

uint32_t rl_process_user_id(void)
{
    return (uint32_t)geteuid();
}

/* ---- signals ---- */

static struct {
    struct rl_shard_set *set;
    void (*stop)(struct rl_shard *shard, void *arg);
    void *arg;
    struct rl_msg msg;
} signals;

static sigset_t signals_waited_for(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    return set;
}

static void on_stop_message(struct rl_shard *shard, struct rl_msg *msg)
{
    (void)msg;
    signals.stop(shard, signals.arg);
}

static void *signals_thread(void *arg)
{
    (void)arg;
    sigset_t set = signals_waited_for();
    for (bool stopping = false;;) {
        int number = 0;
        if (sigwait(&set, &number) != 0)
            continue;
        if (number == SIGHUP) {
            RL_INFO("io", "SIGHUP: configuration is read at start only; restart to change it");
        } else if (stopping) {
            RL_WARN("io", "second signal: leaving at once, the next start will recover");
            _exit(2);
        } else {
            stopping = true;
            signals.msg.handle = on_stop_message;
            rl_shard_post_foreign(rl_shard_set_get(signals.set, 0), &signals.msg);
        }
    }
    return NULL;
}

void rl_signals_block(void)
{
    sigset_t set = signals_waited_for();
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
}

void rl_signals_start(struct rl_shard_set *set, void (*stop)(struct rl_shard *shard, void *arg), void *arg)
{
    signals.set = set;
    signals.stop = stop;
    signals.arg = arg;
    pthread_t thread;
    int error = pthread_create(&thread, NULL, signals_thread, NULL);
    RL_ASSERT(error == 0);
    pthread_detach(thread);
}
