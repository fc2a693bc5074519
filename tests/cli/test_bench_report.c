/* tests/cli/test_bench_report.c — the four formats of a result, and the figures in them. */
#include "cli/bench.h"
#include "core/memory.h"
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdlib.h>
#include <string.h>

static struct rl_bench_options options = { .mode = RL_BENCH_PRODUCE, .process_id = 1, .record_bytes = 1000 };
static struct rl_bench_result result;

/* 2 s, 1,000 requests of 10 records of 1,000 B, latencies 1 to 1,000 us; 3 s of the broker's CPU. */
static void fill(void)
{
    memset(&result, 0, sizeof result);
    result.seconds = 2;
    result.requests = 1000;
    result.records = 10000;
    result.value_bytes = 10000000;
    for (uint64_t i = 1; i <= 1000; i++)
        rl_histogram_record(&result.latency_ns, i * 1000);
    result.after = (struct rl_bench_usage){ .process_cpu_seconds = 3, .machine_busy_seconds = 4, .resident_mib = 20 };
}

/* Lent until the next report. */
static const char *report(enum rl_bench_format format)
{
    static char text[16384];
    FILE *to = fmemopen(text, sizeof text, "w");
    options.format = format;
    rl_bench_report(to, &options, &result);
    fclose(to);
    return text;
}

static double json_number(const char *text, const char *name)
{
    char wanted[64];
    snprintf(wanted, sizeof wanted, "\"%s\": ", name);
    const char *at = strstr(text, wanted);
    cr_assert(ne(ptr, (void *)(uintptr_t)at, NULL), "%s is missing in %s", name, text);
    return strtod(at + strlen(wanted), NULL);
}

Test(bench_report, json_has_the_figures_per_unit, .init = fill)
{
    const char *text = report(RL_BENCH_JSON);
    cr_assert(epsilon_eq(dbl, json_number(text, "mb_per_second"), 5, 1e-6));
    cr_assert(epsilon_eq(dbl, json_number(text, "requests_per_second"), 500, 1e-6));
    cr_assert(epsilon_eq(dbl, json_number(text, "broker_cpu_seconds_per_gb"), 300, 1e-6));
    cr_assert(epsilon_eq(dbl, json_number(text, "broker_cpu_us_per_request"), 3000, 1e-6));
    cr_assert(epsilon_eq(dbl, json_number(text, "broker_cpu_seconds_per_million"), 300, 1e-6));
    cr_assert(epsilon_eq(dbl, json_number(text, "broker_cores"), 1.5, 1e-6));
    cr_assert(epsilon_eq(dbl, json_number(text, "machine_cpu_seconds_per_gb"), 400, 1e-6));
    cr_assert(epsilon_eq(dbl, json_number(text, "latency_p50"), 0.5, 0.02));
    cr_assert(epsilon_eq(dbl, json_number(text, "latency_max"), 1, 1e-9));
}

Test(bench_report, the_broker_is_left_out_when_its_process_is_unknown, .init = fill)
{
    options.process_id = 0;
    const char *text = report(RL_BENCH_JSON);
    cr_assert(strstr(text, "broker_") == NULL);
}

Test(bench_report, csv_has_as_many_values_as_names, .init = fill)
{
    const char *text = report(RL_BENCH_CSV);
    int names = 0, values = 0;
    const char *end = strchr(text, '\n');
    for (const char *p = text; *p != 0; p++)
        *(p < end ? &names : &values) += *p == ',';
    cr_assert(gt(int, names, 10));
    cr_assert(eq(int, names, values));
}

Test(bench_report, the_line_of_kafkas_own_tool, .init = fill)
{
    const char *text = report(RL_BENCH_KAFKA);
    const char *begin = "10000 records sent, 5000.0 records/sec (4.77 MB/sec), 0.50 ms avg latency, 1.00 ms max latency, ";
    cr_assert(eq(int, strncmp(text, begin, strlen(begin)), 0), "%s", text);
    cr_assert(strstr(text, "ms 99.9th.\n") != NULL);
}

Test(bench_report, idle_connections_tell_memory_each, .init = fill)
{
    options.mode = RL_BENCH_IDLE;
    const char *text = report(RL_BENCH_JSON);
    cr_assert(epsilon_eq(dbl, json_number(text, "broker_kib_per_connection"), 20 * 1024.0 / 1000, 1e-6));
}

Test(bench_report, an_empty_run_divides_by_nothing)
{
    memset(&result, 0, sizeof result);
    const char *text = report(RL_BENCH_JSON);
    cr_assert(strstr(text, "nan") == NULL);
    cr_assert(strstr(text, "inf") == NULL);
}
