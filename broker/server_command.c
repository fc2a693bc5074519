/* broker/server_command.c — `ringlog server`: flags, environment and file become one configuration.
 *
 * Warnings go to stderr and the broker starts; errors go to stderr, all of them at once, and it
 * does not (exit code 1; wrong usage: 2). */
#include "broker/config.h"
#include "broker/server.h"
#include "core/memory.h"
#include "io/limits.h"
#include "io/process.h"
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#define EXIT_USAGE 2

static const char server_help[] =
    "usage: ringlog server [options]\n"
    "\n"
    "Run a broker in the foreground until SIGTERM or Ctrl-C.\n"
    "\n"
    "  --config FILE        read Kafka's server.properties format\n"
    "  --data-dir DIR       where data lies (log.dirs; default ./ringlog-data)\n"
    "  --listeners LIST     e.g. PLAINTEXT://127.0.0.1:9092,PLAINTEXT2://[::1]:9093\n"
    "  --shards N           threads that own partitions (1 to 128; default CPUs - 1)\n"
    "  --io uring|posix     io_uring, or epoll and plain calls (ringlog.io; default: io_uring if\n"
    "                       this machine allows it)\n"
    "  --set KEY=VALUE      any configuration key; may be repeated\n"
    "  --help               this text\n"
    "\n"
    "Environment: KAFKA_LOG_DIRS sets log.dirs, RINGLOG_SHARDS sets ringlog.shards, and so on.\n"
    "A flag wins over the environment, the environment over the file, the file over the default.\n";

enum { OPTION_CONFIG = 1, OPTION_DATA_DIR, OPTION_LISTENERS, OPTION_SHARDS, OPTION_IO, OPTION_SET, OPTION_HELP };

static const struct option server_options[] = {
    { "config", required_argument, NULL, OPTION_CONFIG },
    { "data-dir", required_argument, NULL, OPTION_DATA_DIR },
    { "listeners", required_argument, NULL, OPTION_LISTENERS },
    { "shards", required_argument, NULL, OPTION_SHARDS },
    { "io", required_argument, NULL, OPTION_IO },
    { "set", required_argument, NULL, OPTION_SET },
    { "help", no_argument, NULL, OPTION_HELP },
    { NULL, 0, NULL, 0 },
};

static void print_lines(const struct rl_config_lines *lines, const char *kind)
{
    for (size_t i = 0; i < lines->count; i++)
        fprintf(stderr, "ringlog: %s: %s\n", kind, lines->lines[i]);
}

static bool load_file(struct rl_config *config, const char *path)
{
    char *text;
    size_t bytes;
    rl_status status = rl_read_file(path, RL_CONFIG_FILE_BYTES_MAX, &text, &bytes);
    if (status != RL_OK) {
        fprintf(stderr, "ringlog: cannot read the configuration file %s: %s\n", path, rl_status_text(status));
        return false;
    }
    rl_config_load_text(config, path, text, bytes);     /* its errors are collected */
    rl_free(text);
    return true;
}

/* Errors of single settings are collected in config and told together by rl_config_finish. */
static int read_flags(struct rl_config *config, int argc, char **argv)
{
    optind = 1;
    for (int option; (option = getopt_long(argc, argv, "", server_options, NULL)) != -1;) {
        switch (option) {
        case OPTION_CONFIG:
            if (!load_file(config, optarg))
                return RL_EXIT_START_FAILED;
            break;
        case OPTION_DATA_DIR:
            rl_config_set(config, "log.dirs", optarg, "--data-dir");
            break;
        case OPTION_LISTENERS:
            rl_config_set(config, "listeners", optarg, "--listeners");
            break;
        case OPTION_SHARDS:
            rl_config_set(config, "ringlog.shards", optarg, "--shards");
            break;
        case OPTION_IO:
            rl_config_set(config, "ringlog.io", optarg, "--io");
            break;
        case OPTION_SET:
            rl_config_set_pair(config, optarg, "--set");
            break;
        case OPTION_HELP:
            fputs(server_help, stdout);
            return -1;
        default:
            fputs("try: ringlog server --help\n", stderr);
            return EXIT_USAGE;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "ringlog: unexpected argument %s; try: ringlog server --help\n", argv[optind]);
        return EXIT_USAGE;
    }
    return 0;
}

int rl_server_command(int argc, char **argv, char **environment, int64_t started_ns)
{
    struct rl_config config;
    rl_config_init(&config, (int32_t)rl_cpu_count());
    rl_config_load_environment(&config, (const char *const *)environment);
    int code = read_flags(&config, argc, argv);
    if (code == 0) {
        rl_status status = rl_config_finish(&config);
        print_lines(&config.warnings, "warning");
        print_lines(&config.errors, "error");
        code = status == RL_OK ? rl_server_run(&config, started_ns) : RL_EXIT_START_FAILED;
    }
    rl_config_done(&config);
    return code == -1 ? RL_EXIT_OK : code;
}
