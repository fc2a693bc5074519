/* io/probe.c — what this machine's io_uring can do, and why it refuses when it does.
 *
 * A small ring is opened with the backend's own flags, and a ring of provided buffers registered
 * in it: what the kernel accepts is what it has.  Refusals are told apart by errno and by the
 * sysctl kernel.io_uring_disabled (6.6 and later). */
#include "io/probe.h"
#include "core/memory.h"
#include "io/process.h"
#include "io/uring_compat.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

static bool probe_kernel_is_old(const struct utsname *name)
{
    int major = 0, minor = 0;

    return sscanf(name->release, "%d.%d", &major, &minor) == 2 &&
           (major < 6 || (major == 6 && minor < 1));
}

/* 0: allowed; 1: for privileged processes; 2: nobody; -1: no such setting. */
static int probe_disabled(void)
{
    char *text;
    size_t bytes;

    if (rl_read_file("/proc/sys/kernel/io_uring_disabled", 64, &text, &bytes) != RL_OK)
        return -1;
    int value = (int)strtol(text, NULL, 10);
    rl_free(text);
    return value;
}

static void probe_explain(int error, const struct utsname *name, char *reason, size_t bytes)
{
    int disabled = probe_disabled();

    if (error == EPERM && disabled > 0)
        snprintf(reason, bytes, "io_uring is switched off by the system: sysctl "
                 "kernel.io_uring_disabled is %d, 0 allows it", disabled);
    else if (error == EPERM)
        snprintf(reason, bytes, "io_uring is forbidden to this process, most likely by a container's "
                 "seccomp profile: allow io_uring_setup, io_uring_enter and io_uring_register");
    else if (error == ENOSYS)
        snprintf(reason, bytes, "this kernel (%s) has no io_uring, or a sandbox hides it",
                 name->release);
    else if (probe_kernel_is_old(name))
        snprintf(reason, bytes, "this kernel (%s) is too old for io_uring as ringlog uses it: Linux 6.1 or newer is needed",
                 name->release);
    else if (error == ENOMEM)
        snprintf(reason, bytes, "not enough lockable memory for io_uring: raise the memlock limit "
                 "(ulimit -l) or the container's memory");
    else
        snprintf(reason, bytes, "io_uring does not start: %s", strerror(error));
}

/* Opens a ring like the backend's; 0 or an errno. */
static int probe_open(struct io_uring *ring, struct io_uring_params *ret_params)
{
    struct io_uring_params params = { .flags = RL_URING_SETUP_FLAGS, .cq_entries = 16 };
    int result = io_uring_queue_init_params(4, ring, &params);

    *ret_params = params;
    return -result;
}

static int probe_buffer_ring(struct io_uring *ring)
{
    size_t bytes = 4096;
    void *memory = rl_alloc_aligned(4096, bytes);
    struct io_uring_buf_reg registration = { .ring_addr = (uintptr_t)memory, .ring_entries = 4 };

    memset(memory, 0, bytes);
    int result = io_uring_register_buf_ring(ring, &registration, 0);
    if (result == 0)
        io_uring_unregister_buf_ring(ring, 0);
    rl_free(memory);
    return -result;
}

rl_status rl_probe_check(char *reason, size_t bytes)
{
    struct io_uring_params params;
    struct io_uring ring;
    struct utsname name;

    uname(&name);
    int error = probe_open(&ring, &params);
    if (error == 0) {
        error = probe_buffer_ring(&ring);
        io_uring_queue_exit(&ring);
    }
    if (error == 0)
        return RL_OK;
    probe_explain(error, &name, reason, bytes);
    return RL_EUNSUPPORTED;
}

const struct rl_backend *rl_probe_backend(char *reason, size_t bytes)
{
    reason[0] = '\0';
    return rl_probe_check(reason, bytes) == RL_OK ? &rl_backend_uring : &rl_backend_posix;
}

static const char *const probe_feature_names[] = {
    "single_mmap", "nodrop", "submit_stable", "rw_cur_pos", "cur_personality", "fast_poll",
    "poll_32bits", "sqpoll_nonfixed", "ext_arg", "native_workers", "rsrc_tags", "cqe_skip",
    "linked_file", "reg_reg_ring", "recvsend_bundle", "min_timeout", "rw_attr", "no_iowait",
};

static void probe_print_features(struct rl_text *text, uint32_t features)
{
    rl_text_append_string(text, "io_uring features:");
    for (uint32_t bit = 0; bit < 32; bit++) {
        if ((features & RL_BIT(bit)) == 0)
            continue;
        if (bit < RL_ARRAY_COUNT(probe_feature_names))
            rl_text_printf(text, " %s", probe_feature_names[bit]);
        else
            rl_text_printf(text, " bit%u", bit);
    }
    rl_text_append_char(text, '\n');
}

static void probe_print_opcodes(struct rl_text *text, struct io_uring *ring)
{
    struct io_uring_probe *probe = io_uring_get_probe_ring(ring);
    uint32_t missing = 0;

    if (probe == NULL)
        return;
    rl_text_printf(text, "io_uring opcodes: 0 to %d", probe->last_op);
    for (int op = 0; op < probe->ops_len; op++) {
        if ((probe->ops[op].flags & IO_URING_OP_SUPPORTED) == 0)
            rl_text_printf(text, "%s %d", missing++ == 0 ? ", without" : "", op);
    }
    rl_text_append_char(text, '\n');
    io_uring_free_probe(probe);
}

void rl_probe_text(struct rl_text *text)
{
    struct io_uring_params params;
    struct io_uring ring;
    struct utsname name;
    char reason[256];

    uname(&name);
    rl_text_printf(text, "kernel: %s %s %s\n", name.sysname, name.release, name.machine);
    if (rl_probe_check(reason, sizeof reason) != RL_OK) {
        rl_text_printf(text, "io_uring: not usable: %s\nringlog goes on with epoll (io=posix)\n", reason);
        return;
    }
    if (probe_open(&ring, &params) != 0)
        return;
    rl_text_append_string(text, "io_uring: usable (single issuer, deferred task work, "
                                "provided buffers)\n");
    probe_print_features(text, params.features);
    probe_print_opcodes(text, &ring);
    io_uring_queue_exit(&ring);
}
