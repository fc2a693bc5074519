/* io/limits.c — descriptors and processors.
 *
 * A container's quota is in its cgroup: version 2 keeps "QUOTA PERIOD" or "max PERIOD" in
 * cpu.max of the group and of every group above it; version 1 has two files.  What cannot be
 * read does not limit. */
#include "io/limits.h"
#include "core/memory.h"
#include "io/process.h"
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

rl_status rl_raise_descriptor_limit(uint64_t *ret_before, uint64_t *ret_now)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return rl_status_from_errno(errno);
    *ret_before = *ret_now = limit.rlim_cur;
    if (limit.rlim_cur >= limit.rlim_max)
        return RL_OK;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        return rl_status_from_errno(errno);
    *ret_now = limit.rlim_cur;
    return RL_OK;
}

static uint32_t limits_affinity(void)
{
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof set, &set) == 0)
        return (uint32_t)CPU_COUNT(&set);
    long online = sysconf(_SC_NPROCESSORS_ONLN);        /* more than CPU_SETSIZE processors */
    return online > 0 ? (uint32_t)online : 1;
}

/* Processors that quota/period is worth, rounded up; UINT32_MAX for no limit. */
static uint32_t limits_quota(long long quota, long long period)
{
    if (quota <= 0 || period <= 0)
        return UINT32_MAX;
    long long count = (quota + period - 1) / period;
    return count < UINT32_MAX ? (uint32_t)count : UINT32_MAX;
}

static uint32_t limits_cgroup_v2_file(const char *path)
{
    char *text;
    size_t bytes;
    long long quota = 0, period = 0;

    if (rl_read_file(path, 4096, &text, &bytes) != RL_OK)
        return UINT32_MAX;
    if (sscanf(text, "%lld %lld", &quota, &period) != 2)        /* "max 100000" */
        quota = 0;
    rl_free(text);
    return limits_quota(quota, period);
}

/* The group itself and every group above: the tightest counts. */
static uint32_t limits_cgroup_v2(char *group)
{
    uint32_t count = UINT32_MAX;

    for (;;) {
        char *path = rl_asprintf("/sys/fs/cgroup%s/cpu.max", group);
        count = RL_MIN(count, limits_cgroup_v2_file(path));
        rl_free(path);
        char *slash = strrchr(group, '/');
        if (slash == NULL)
            return count;
        *slash = '\0';
    }
}

static long long limits_number_of(const char *path)
{
    char *text;
    size_t bytes;

    if (rl_read_file(path, 4096, &text, &bytes) != RL_OK)
        return 0;
    long long number = strtoll(text, NULL, 10);
    rl_free(text);
    return number;
}

static uint32_t limits_cgroup(void)
{
    char *text;
    size_t bytes;
    uint32_t count = limits_quota(limits_number_of("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"),
                                  limits_number_of("/sys/fs/cgroup/cpu/cpu.cfs_period_us"));

    if (rl_read_file("/proc/self/cgroup", 65536, &text, &bytes) != RL_OK)
        return count;
    /* Lines are "ID:CONTROLLERS:PATH"; version 2 has ID 0 and no controllers. */
    char *group = strncmp(text, "0::", 3) == 0 ? text : strstr(text, "\n0::");
    if (group != NULL) {
        group = strchr(group, '/');
        if (group != NULL) {
            group[strcspn(group, "\n")] = '\0';
            count = RL_MIN(count, limits_cgroup_v2(group));
        }
    }
    rl_free(text);
    return count;
}

uint32_t rl_cpu_count(void)
{
    return RL_MAX(RL_MIN(limits_affinity(), limits_cgroup()), 1);
}
