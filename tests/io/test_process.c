/* tests/io/test_process.c — signals, limits, small files, the probe. */
#include "core/memory.h"
#include "io/limits.h"
#include "io/probe.h"
#include "io/process.h"
#include "remote.h"
#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

struct heard {
    sem_t event;
    int number;
    struct rl_shard *shard;
};

static void on_signal(struct rl_shard *shard, int number, void *arg)
{
    struct heard *heard = arg;

    heard->number = number;
    heard->shard = shard;
    cr_assert_eq(rl_self, shard);
    sem_post(&heard->event);
}

Test(process, signals_are_messages)
{
    static const int numbers[] = { SIGTERM, SIGHUP };
    struct rl_signals *signals;
    struct heard heard = { .number = 0 };

    sem_init(&heard.event, 0, 0);
    rl_signals_block(numbers, 2);
    kill(getpid(), SIGHUP);             /* before anybody listens: it waits */
    struct rl_shard_set *set = remote_set(2, remote_backend());
    cr_assert_eq(rl_shard_set_start(set, NULL, NULL), RL_OK);
    cr_assert_eq(rl_signals_start(rl_shard_set_get(set, 1), numbers, 2, on_signal, &heard, &signals),
                 RL_OK);
    while (sem_wait(&heard.event) != 0)
        ;
    cr_assert_eq(heard.number, SIGHUP);
    kill(getpid(), SIGTERM);
    while (sem_wait(&heard.event) != 0)
        ;
    cr_assert_eq(heard.number, SIGTERM);
    cr_assert_eq(heard.shard->index, 1);
    rl_signals_stop(signals);
    rl_signals_stop(NULL);
    remote_end(set, NULL, NULL);
}

Test(process, processor_time_is_that_of_all_threads)
{
    int64_t before_ns, after_ns;

    cr_assert(rl_process_cpu_ns(getpid(), &before_ns));
    do
        cr_assert(rl_process_cpu_ns(getpid(), &after_ns));
    while (after_ns - before_ns < 1000000);     /* it grows, or the test ends by its timeout */
    cr_assert(rl_process_cpu_ns(1, &before_ns));
    cr_assert_not(rl_process_cpu_ns(0, &before_ns));
    cr_assert_not(rl_process_cpu_ns(INT64_MAX, &before_ns));
}

Test(process, small_files_are_read_whole_or_refused)
{
    char path[] = "/tmp/ringlog-file-XXXXXX", content[10000], *data;
    size_t bytes;
    int fd = mkstemp(path);

    memset(content, 'x', sizeof content);
    cr_assert_eq(write(fd, content, sizeof content), (ssize_t)sizeof content);
    close(fd);
    cr_assert_eq(rl_read_file(path, sizeof content, &data, &bytes), RL_OK);
    cr_assert_eq(bytes, sizeof content);
    cr_assert_eq(strlen(data), sizeof content);
    rl_free(data);
    cr_assert_eq(rl_read_file(path, sizeof content - 1, &data, &bytes), RL_ETOOLARGE);
    unlink(path);
    cr_assert_eq(rl_read_file(path, 10, &data, &bytes), RL_ENOTFOUND);
    cr_assert_eq(rl_read_file("/tmp", 10, &data, &bytes), RL_EINVAL);
    cr_assert_eq(rl_read_file("/proc/self/stat", 65536, &data, &bytes), RL_OK);
    cr_assert_gt(bytes, 10);
    rl_free(data);
}

Test(process, limits)
{
    uint64_t before, now;

    cr_assert_eq(rl_raise_descriptor_limit(&before, &now), RL_OK);
    cr_assert_geq(now, before);
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    cr_assert(rl_cpu_count() >= 1 && rl_cpu_count() <= (uint32_t)online);
}

Test(process, the_probe_names_what_it_found)
{
    struct rl_text text = { 0 };
    char reason[256] = "";
    rl_status status = rl_probe_check(reason, sizeof reason);

    rl_probe_text(&text);
    cr_assert_not_null(strstr(rl_text_string(&text), "kernel: Linux"));
    if (status == RL_OK)
        cr_assert_not_null(strstr(rl_text_string(&text), "io_uring opcodes: 0 to"));
    else
        cr_assert_gt(strlen(reason), 20);
    cr_log_info("%s", rl_text_string(&text));
    rl_text_done(&text);
}
