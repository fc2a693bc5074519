/* cli/bench_report.c — what a load cost: the broker's processor time, latency, for people or scripts. */
#include "cli/bench.h"
#include "core/memory.h"
#include "io/process.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROC_BYTES_MAX ((size_t)64 << 10)
#define TICKS_PER_SECOND 100.0          /* USER_HZ, the same on every Linux */
#define PAGE_MIB (4096.0 / (1 << 20))

/* Kernel's proc(5): of /proc/PID/stat, what follows the name in parentheses. */
static bool read_process(int64_t process_id, struct rl_bench_usage *ret_usage)
{
    char path[64], *text;
    size_t bytes;
    snprintf(path, sizeof path, "/proc/%lld/stat", (long long)process_id);
    if (process_id <= 0 || rl_read_file(path, PROC_BYTES_MAX, &text, &bytes) != RL_OK)
        return false;
    unsigned long long user = 0, system = 0;
    long long pages = 0;
    int64_t cpu_ns;
    const char *rest = strrchr(text, ')');
    int fields = rest == NULL ? 0 : sscanf(rest + 2,
        "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %*d %*d %*d %*d %*d %*d %*u %*u %lld",
        &user, &system, &pages);
    rl_free(text);
    /* Ticks of 10 ms are coarse for a second of light load; the process's clock is not. */
    ret_usage->process_cpu_seconds = rl_process_cpu_ns(process_id, &cpu_ns)
        ? (double)cpu_ns / 1e9 : (double)(user + system) / TICKS_PER_SECOND;
    ret_usage->resident_mib = (double)pages * PAGE_MIB;
    return fields == 3;
}

static void read_machine(struct rl_bench_usage *ret_usage)
{
    char *text;
    size_t bytes;
    if (rl_read_file("/proc/stat", PROC_BYTES_MAX, &text, &bytes) != RL_OK)
        return;
    unsigned long long user, nice, system, idle, wait, interrupt, soft;
    if (sscanf(text, "cpu %llu %llu %llu %llu %llu %llu %llu", &user, &nice, &system, &idle, &wait,
               &interrupt, &soft) == 7)
        ret_usage->machine_busy_seconds = (double)(user + nice + system + interrupt + soft) / TICKS_PER_SECOND;
    rl_free(text);
}

void rl_bench_usage_read(int64_t process_id, struct rl_bench_usage *ret_usage)
{
    *ret_usage = (struct rl_bench_usage){ 0 };
    read_process(process_id, ret_usage);
    read_machine(ret_usage);
}

struct figure {
    const char *name, *unit;
    double value;
};
#define FIGURES_MAX 24

/* Of idle connections: what each costs the broker. */
static uint32_t figures_idle(const struct rl_bench_options *o, const struct rl_bench_result *r, struct figure *f)
{
    uint32_t n = 0;
    double count = (double)RL_MAX(r->requests, 1);
    f[n++] = (struct figure){ "connections", "", (double)r->requests };
    f[n++] = (struct figure){ "open_seconds", "s", r->seconds };
    f[n++] = (struct figure){ "latency_p50", "ms", (double)rl_histogram_percentile(&r->latency_ns, 50) / 1e6 };
    f[n++] = (struct figure){ "latency_p99", "ms", (double)rl_histogram_percentile(&r->latency_ns, 99) / 1e6 };
    if (o->process_id > 0) {
        double kib = (r->after.resident_mib - r->before.resident_mib) * 1024;
        f[n++] = (struct figure){ "broker_resident_before", "MiB", r->before.resident_mib };
        f[n++] = (struct figure){ "broker_resident", "MiB", r->after.resident_mib };
        f[n++] = (struct figure){ "broker_kib_per_connection", "KiB", kib / count };
    }
    return n;
}

static uint32_t figures_of(const struct rl_bench_options *o, const struct rl_bench_result *r, struct figure *f)
{
    uint32_t n = 0;
    double seconds = r->seconds > 0 ? r->seconds : 1e-9;
    double gigabytes = RL_MAX((double)r->value_bytes / 1e9, 1e-12);
    double cpu = r->after.process_cpu_seconds - r->before.process_cpu_seconds;
    double busy = r->after.machine_busy_seconds - r->before.machine_busy_seconds;
    if (o->mode == RL_BENCH_IDLE)
        return figures_idle(o, r, f);
    f[n++] = (struct figure){ "seconds", "s", r->seconds };
    f[n++] = (struct figure){ "requests", "", (double)r->requests };
    f[n++] = (struct figure){ "records", "", (double)r->records };
    f[n++] = (struct figure){ "value_bytes", "B", (double)r->value_bytes };
    f[n++] = (struct figure){ "requests_per_second", "/s", (double)r->requests / seconds };
    f[n++] = (struct figure){ "records_per_second", "/s", (double)r->records / seconds };
    f[n++] = (struct figure){ "mb_per_second", "MB/s", (double)r->value_bytes / 1e6 / seconds };
    static const double percents[] = { 50, 95, 99, 99.9, 99.99 };
    static const char *const names[] = { "latency_p50", "latency_p95", "latency_p99", "latency_p999", "latency_p9999" };
    for (size_t i = 0; i < RL_ARRAY_COUNT(percents); i++)
        f[n++] = (struct figure){ names[i], "ms", (double)rl_histogram_percentile(&r->latency_ns, percents[i]) / 1e6 };
    f[n++] = (struct figure){ "latency_max", "ms", (double)r->latency_ns.value_max / 1e6 };
    f[n++] = (struct figure){ "machine_cpu_seconds_per_gb", "s/GB", busy / gigabytes };
    if (o->rate > 0)
        f[n++] = (struct figure){ "requests_behind", "", (double)r->behind };
    if (o->process_id > 0) {
        f[n++] = (struct figure){ "broker_cpu_seconds", "s", cpu };
        f[n++] = (struct figure){ "broker_cpu_seconds_per_gb", "s/GB", cpu / gigabytes };
        f[n++] = (struct figure){ "broker_cpu_us_per_request", "us", cpu * 1e6 / (double)RL_MAX(r->requests, 1) };
        f[n++] = (struct figure){ "broker_cpu_seconds_per_million", "s", cpu * 1e6 / (double)RL_MAX(r->records, 1) };
        f[n++] = (struct figure){ "broker_cores", "", cpu / seconds };
        f[n++] = (struct figure){ "broker_resident", "MiB", r->after.resident_mib };
    }
    RL_ASSERT(n <= FIGURES_MAX);
    return n;
}

/* The line that scripts around Kafka's own perf tools look for. */
static void report_kafka(FILE *to, const struct rl_bench_result *r)
{
    double seconds = r->seconds > 0 ? r->seconds : 1e-9;
    const struct rl_histogram *h = &r->latency_ns;
    fprintf(to, "%llu records sent, %.1f records/sec (%.2f MB/sec), %.2f ms avg latency, %.2f ms max latency, "
           "%.0f ms 50th, %.0f ms 95th, %.0f ms 99th, %.0f ms 99.9th.\n",
           (unsigned long long)r->records, (double)r->records / seconds,
           (double)r->value_bytes / (1 << 20) / seconds,
           h->count > 0 ? (double)h->sum / (double)h->count / 1e6 : 0.0, (double)h->value_max / 1e6,
           (double)rl_histogram_percentile(h, 50) / 1e6, (double)rl_histogram_percentile(h, 95) / 1e6,
           (double)rl_histogram_percentile(h, 99) / 1e6, (double)rl_histogram_percentile(h, 99.9) / 1e6);
}

void rl_bench_report(FILE *to, const struct rl_bench_options *options, const struct rl_bench_result *result)
{
    struct figure figures[FIGURES_MAX];
    uint32_t count = figures_of(options, result, figures);
    switch (options->format) {
    case RL_BENCH_KAFKA:
        report_kafka(to, result);
        break;
    case RL_BENCH_TABLE:
        for (uint32_t i = 0; i < count; i++)
            fprintf(to, "%-32s %16.4f %s\n", figures[i].name, figures[i].value, figures[i].unit);
        break;
    case RL_BENCH_JSON:
        for (uint32_t i = 0; i < count; i++)
            fprintf(to, "%s\"%s\": %.9g", i == 0 ? "{" : ", ", figures[i].name, figures[i].value);
        fputs("}\n", to);
        break;
    case RL_BENCH_CSV:
        for (uint32_t i = 0; i < count; i++)
            fprintf(to, "%s%s", i == 0 ? "" : ",", figures[i].name);
        for (uint32_t i = 0; i < count; i++)
            fprintf(to, "%s%.9g", i == 0 ? "\n" : ",", figures[i].value);
        fputc('\n', to);
        break;
    }
}
