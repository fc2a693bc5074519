/* cli/log_command.c — `ringlog log`: flags. */
#include "cli/log_command.h"
#include "core/base.h"
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXIT_USAGE 2

static const char log_help[] =
    "usage: ringlog log verify PATH... [--records] [--format table|json]\n"
    "       ringlog log dump PATH... [--records] [--offset N] [--limit N] [--format table|json]\n"
    "\n"
    "  verify   is everything in the files what it should be?  PATH: a data directory, a\n"
    "           partition's directory, or one .log file.  Nothing is changed.\n"
    "  dump     what is in them: batches of .log files; entries of .index and .timeindex;\n"
    "           .snapshot and ringlog.checkpoint.  PATH: one of these, or a partition's directory.\n"
    "\n"
    "  --records          verify: open every batch, too; dump: with every record\n"
    "  --offset N         dump: from the batch that holds this offset on\n"
    "  --limit N          dump: at most so many batches or entries of each file\n"
    "  --format table|json\n"
    "\n"
    "Best while no broker runs on the directory: what one writes meanwhile may look torn.\n"
    "Exit code: 0 all is well, 1 something is wrong, 2 these flags are wrong, 3 it cannot be read.\n";

enum { RECORDS = 1, OFFSET, LIMIT, FORMAT, HELP };

static const struct option log_options[] = {
    { "records", no_argument, NULL, RECORDS }, { "offset", required_argument, NULL, OFFSET },
    { "limit", required_argument, NULL, LIMIT }, { "format", required_argument, NULL, FORMAT },
    { "help", no_argument, NULL, HELP }, { NULL, 0, NULL, 0 },
};

static bool read_number(const char *name, const char *text, int64_t *ret_number)
{
    char *end;
    long long number = strtoll(text, &end, 10);

    if (end == text || *end != 0 || number < 0) {
        fprintf(stderr, "ringlog: --%s %s: a number from 0 on is needed\n", name, text);
        return false;
    }
    *ret_number = number;
    return true;
}

static bool read_format(const char *text, bool *ret_json)
{
    *ret_json = strcmp(text, "json") == 0;
    if (*ret_json || strcmp(text, "table") == 0)
        return true;
    fprintf(stderr, "ringlog: --format %s: table or json is needed\n", text);
    return false;
}

static bool read_option(struct rl_log_command_options *o, int option)
{
    switch (option) {
    case RECORDS:
        o->records = true;
        return true;
    case OFFSET:
        return read_number("offset", optarg, &o->offset);
    case LIMIT:
        return read_number("limit", optarg, &o->limit);
    case FORMAT:
        return read_format(optarg, &o->json);
    default:
        return false;
    }
}

static int dump_all(char *const *paths, int count, const struct rl_log_command_options *o)
{
    int worst = 0;

    for (int i = 0; i < count; i++) {
        int code = rl_log_dump(paths[i], o);
        worst = RL_MAX(worst, code);
    }
    return worst;
}

int rl_log_command(int argc, char **argv)
{
    struct rl_log_command_options o = { .limit = INT64_MAX };
    const char *what = argc > 1 ? argv[1] : "--help";

    if (strcmp(what, "--help") == 0 || strcmp(what, "help") == 0) {
        fputs(log_help, stdout);
        return 0;
    }
    bool verify = strcmp(what, "verify") == 0;
    if (!verify && strcmp(what, "dump") != 0) {
        fprintf(stderr, "ringlog log: unknown command %s; there are verify and dump\n", what);
        return EXIT_USAGE;
    }
    argc--;
    argv++;
    for (int option; (option = getopt_long(argc, argv, "", log_options, NULL)) != -1;) {
        if (option == HELP) {
            fputs(log_help, stdout);
            return 0;
        }
        if (!read_option(&o, option))
            return EXIT_USAGE;
    }
    if (optind == argc) {
        fprintf(stderr, "ringlog log %s: a file or a directory is needed; see ringlog log --help\n", what);
        return EXIT_USAGE;
    }
    return verify ? rl_log_verify(argv + optind, argc - optind, &o)
                  : dump_all(argv + optind, argc - optind, &o);
}
