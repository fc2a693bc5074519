/* broker/main.c — the ringlog command. */
#include "broker/server.h"
#include "cli/bench.h"
#include "cli/group_command.h"
#include "cli/log_command.h"
#include "core/base.h"
#include "core/clock.h"
#include "io/probe.h"
#include "io/send_path.h"
#include <stdio.h>
#include <string.h>

#ifndef RL_VERSION
#define RL_VERSION "0.0.0"
#endif

static const char usage[] =
    "usage: ringlog <command> [options]\n"
    "\n"
    "  server     run a broker; see ringlog server --help\n"
    "  bench      put load on a broker and measure it; see ringlog bench --help\n"
    "  group      consumer groups, and how far behind they are; see ringlog group --help\n"
    "  log        look at a log's files, offline; see ringlog log --help\n"
    "  version    version, and what this machine's kernel offers; --probe also measures\n"
    "             which way from a file to a consumer is the cheapest (ringlog.fetch.path)\n"
    "  help       this text\n";

extern char **environ;

static int version_command(int argc, char **argv)
{
    bool probe = argc == 2 && strcmp(argv[1], "--probe") == 0;
    struct rl_text text = { 0 };
    struct rl_send_costs costs;

    if (argc > 1 && !probe) {
        fprintf(stderr, "ringlog version: unknown option %s; there is --probe\n", argv[1]);
        return 2;
    }
    rl_probe_text(&text);
    if (probe) {
        (void)rl_send_path_measure(&costs);
        rl_send_path_text(&costs, &text);
    }
    printf("ringlog %s\n%s", RL_VERSION, rl_text_string(&text));
    rl_text_done(&text);
    return 0;
}

int main(int argc, char **argv)
{
    int64_t started_ns = rl_clock_monotonic_ns();
    const char *command = argc > 1 ? argv[1] : "help";
    rl_panic_install();
    if (strcmp(command, "server") == 0)
        return rl_server_command(argc - 1, argv + 1, environ, started_ns);
    if (strcmp(command, "bench") == 0)
        return rl_bench_command(argc - 1, argv + 1);
    if (strcmp(command, "group") == 0)
        return rl_group_command(argc - 1, argv + 1);
    if (strcmp(command, "log") == 0)
        return rl_log_command(argc - 1, argv + 1);
    if (strcmp(command, "version") == 0 || strcmp(command, "--version") == 0)
        return version_command(argc - 1, argv + 1);
    if (strcmp(command, "help") == 0 || strcmp(command, "--help") == 0) {
        fputs(usage, stdout);
        return 0;
    }
    fprintf(stderr, "ringlog: unknown command %s\n%s", command, usage);
    return 2;
}
