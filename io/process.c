/* io/process.c — signals as messages, a file read whole.
 *
 * A thread sleeps in poll on a signalfd and on an eventfd that ends it.  Each signal number has
 * one message; while that is on its way, more of the same signal are the same news. */
#include "io/process.h"
#include "core/memory.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct signal_message {
    struct rl_msg msg;
    struct rl_signals *signals;
    int number;
    _Atomic bool posted;
};

struct rl_signals {
    struct rl_shard *to;
    rl_signal_fn *fn;
    void *arg;
    int signal_fd, stop_fd;
    pthread_t thread;
    uint32_t count;
    struct signal_message messages[];
};

static void signals_set(const int *numbers, uint32_t count, sigset_t *ret_set)
{
    sigemptyset(ret_set);
    for (uint32_t i = 0; i < count; i++)
        sigaddset(ret_set, numbers[i]);
}

void rl_signals_block(const int *numbers, uint32_t count)
{
    sigset_t set;

    signals_set(numbers, count, &set);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
}

/* On the shard. */
static void signals_handle(struct rl_shard *shard, struct rl_msg *msg)
{
    struct signal_message *message = RL_CONTAINER_OF(msg, struct signal_message, msg);

    atomic_store(&message->posted, false);      /* from here on a signal is news again */
    message->signals->fn(shard, message->number, message->signals->arg);
}

static void signals_post(struct rl_signals *signals, int number)
{
    for (uint32_t i = 0; i < signals->count; i++) {
        struct signal_message *message = &signals->messages[i];
        if (message->number == number && !atomic_exchange(&message->posted, true))
            rl_shard_post_foreign(signals->to, &message->msg);
    }
}

static void *signals_main(void *arg)
{
    struct rl_signals *signals = arg;
    struct pollfd fds[] = { { .fd = signals->signal_fd, .events = POLLIN },
                            { .fd = signals->stop_fd, .events = POLLIN } };

    pthread_setname_np(pthread_self(), "rl-signals");
    while (poll(fds, RL_ARRAY_COUNT(fds), -1) >= 0 || errno == EINTR) {
        struct signalfd_siginfo info;
        if (fds[1].revents != 0)
            break;
        if (fds[0].revents != 0 && read(signals->signal_fd, &info, sizeof info) == sizeof info)
            signals_post(signals, (int)info.ssi_signo);
    }
    return NULL;
}

static void signals_free(struct rl_signals *signals)
{
    if (signals->signal_fd >= 0)
        close(signals->signal_fd);
    if (signals->stop_fd >= 0)
        close(signals->stop_fd);
    rl_free(signals);
}

rl_status rl_signals_start(struct rl_shard *to, const int *numbers, uint32_t count,
                           rl_signal_fn *fn, void *arg, struct rl_signals **ret_signals)
{
    struct rl_signals *signals =
        rl_alloc_zero(1, sizeof *signals + count * sizeof signals->messages[0]);
    sigset_t set;

    signals_set(numbers, count, &set);
    *signals = (struct rl_signals){ .to = to, .fn = fn, .arg = arg, .count = count };
    for (uint32_t i = 0; i < count; i++) {
        signals->messages[i].msg.handle = signals_handle;
        signals->messages[i].signals = signals;
        signals->messages[i].number = numbers[i];
    }
    signals->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    signals->stop_fd = eventfd(0, EFD_CLOEXEC);
    if (signals->signal_fd < 0 || signals->stop_fd < 0) {
        signals_free(signals);
        return RL_EMFILE;
    }
    if (pthread_create(&signals->thread, NULL, signals_main, signals) != 0) {
        signals_free(signals);
        return RL_EBUSY;
    }
    *ret_signals = signals;
    return RL_OK;
}

void rl_signals_stop(struct rl_signals *signals)
{
    const uint64_t one = 1;

    if (signals == NULL)
        return;
    (void)!write(signals->stop_fd, &one, sizeof one);
    pthread_join(signals->thread, NULL);
    signals_free(signals);
}

static rl_status read_all(int fd, size_t bytes_max, char **ret_data, size_t *ret_bytes)
{
    size_t capacity = RL_MIN(bytes_max, 4096) + 1, bytes = 0;
    char *data = rl_alloc(capacity);

    /* The size is not asked first: files of /proc have none. */
    for (;;) {
        ssize_t got = read(fd, data + bytes, capacity - bytes);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            rl_free(data);
            return rl_status_from_errno(errno);
        }
        bytes += (size_t)got;
        if (bytes > bytes_max) {
            rl_free(data);
            return RL_ETOOLARGE;
        }
        if (got == 0)
            break;
        if (bytes == capacity) {
            capacity = RL_MIN(capacity * 2, bytes_max + 1);
            data = rl_realloc(data, capacity);
        }
    }
    data = rl_realloc(data, bytes + 1);
    data[bytes] = '\0';
    *ret_data = data;
    *ret_bytes = bytes;
    return RL_OK;
}

rl_status rl_read_file(const char *path, size_t bytes_max, char **ret_data, size_t *ret_bytes)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return rl_status_from_errno(errno);
    rl_status status = read_all(fd, bytes_max, ret_data, ret_bytes);
    close(fd);
    return status;
}

bool rl_process_cpu_ns(int64_t process_id, int64_t *ret_ns)
{
    clockid_t clock;
    struct timespec used;

    if (process_id <= 0 || process_id > INT32_MAX ||
        clock_getcpuclockid((pid_t)process_id, &clock) != 0 || clock_gettime(clock, &used) != 0)
        return false;
    *ret_ns = (int64_t)used.tv_sec * 1000000000 + used.tv_nsec;
    return true;
}

uint32_t rl_process_user_id(void)
{
    return (uint32_t)geteuid();
}

bool rl_path_owner(const char *path, uint32_t *ret_user_id)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return false;
    *ret_user_id = (uint32_t)st.st_uid;
    return true;
}

rl_status rl_process_random(void *arg, void *data, size_t bytes)
{
    (void)arg;
    for (size_t done = 0; done < bytes;) {
        ssize_t got = getrandom((uint8_t *)data + done, bytes - done, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return RL_EIO;
        done += (size_t)got;
    }
    return RL_OK;
}

void rl_process_sleep(int64_t ns)
{
    struct timespec duration = { .tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000 };
    while (nanosleep(&duration, &duration) != 0 && errno == EINTR)
        ;
}
