/* cli/group_command.c — `ringlog group`: flags, and what came out. */
#include "cli/group_command.h"
#include "core/base.h"
#include "core/memory.h"
#include "wire/api_table.h"
#include "wire/msg_list_groups.h"
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_UNREACHABLE = 3, EXIT_PARTIAL = 4 };

#define LIST_GROUPS_VERSION 4
#define COLUMNS 10
#define STATE_WIDTH 19

static const char group_help[] =
    "usage: ringlog group list [options]\n"
    "       ringlog group describe GROUP... | --all [options]\n"
    "\n"
    "  list       the groups of all brokers\n"
    "  describe   what a group has committed, how far behind that is, and who reads it\n"
    "\n"
    "  --bootstrap HOST:PORT   any broker of the cluster; default 127.0.0.1:9092\n"
    "  --format table|json\n"
    "\n"
    "LAG is in records: the end of the log less what was committed.  LAG-SECONDS is how long ago the\n"
    "oldest unread record was made, by the time that stands in it: its producer's, or its broker's with\n"
    "message.timestamp.type=LogAppendTime.  `-` is not known, or does not apply.\n"
    "Exit code: 0 fine, 1 it failed, 2 these flags are wrong, 3 no broker there, 4 some groups failed.\n";

struct options {
    const char *bootstrap;
    bool json, all;
};

/* ---- text ---- */

/* Of what clients made up, nothing that a terminal would obey: control characters, up to U+009F, are a `?`.
 * width as of printf; negative: to the left.  Returns the bytes of text. */
static int print_text(FILE *out, int width, const char *text, size_t bytes)
{
    int blanks = RL_MAX(abs(width) - (int)bytes, 0);
    if (width > 0)
        fprintf(out, "%*s", blanks, "");
    for (size_t i = 0; i < bytes; i++) {
        uint8_t c = (uint8_t)text[i], before = i > 0 ? (uint8_t)text[i - 1] : 0;
        fputc(c < 0x20 || c == 0x7f || (c >= 0x80 && c < 0xa0 && (before == 0xc2 || before < 0x80)) ? '?' : c, out);
    }
    if (width < 0)
        fprintf(out, "%*s", blanks, "");
    return (int)bytes;
}

static int print_slice(FILE *out, int width, struct rl_slice text)
{
    return text.bytes > 0 ? print_text(out, width, (const char *)text.data, text.bytes) : print_text(out, width, "-", 1);
}

/* ---- list ---- */

struct listed {
    struct rl_slice group_id, state, protocol_type;
};

struct listing {
    struct listed *groups;
    size_t count;
};

static int compare_listed(const void *a, const void *b)
{
    return rl_slice_compare(((const struct listed *)a)->group_id, ((const struct listed *)b)->group_id);
}

static rl_status list_add(struct rl_kafka_client *client, int32_t node_id, struct listing *listing)
{
    struct rl_list_groups_request request;
    rl_list_groups_request_init(&request);
    const struct rl_list_groups_response *response =
        rl_kafka_ask(client, node_id, RL_API_LIST_GROUPS, LIST_GROUPS_VERSION, &request);
    if (response == NULL)
        return RL_EIO;
    if (response->error_code != 0)
        return rl_kafka_fail(client, response->error_code, "ListGroups, broker %d", node_id);
    listing->groups = rl_realloc(listing->groups, (listing->count + (size_t)response->groups_count + 1) *
                                                  sizeof *listing->groups);
    for (int32_t i = 0; i < response->groups_count; i++)
        listing->groups[listing->count++] = (struct listed){ response->groups[i].group_id,
                                                             response->groups[i].group_state,
                                                             response->groups[i].protocol_type };
    return RL_OK;
}

/* Of every broker, in order; groups is the caller's to rl_free, also on failure. */
static rl_status list(struct rl_kafka_client *client, struct listing *listing)
{
    rl_status status = RL_OK;
    for (uint32_t i = 0; i < client->node_count && status == RL_OK; i++)
        status = list_add(client, client->nodes[i].id, listing);
    if (listing->count > 0)
        qsort(listing->groups, listing->count, sizeof *listing->groups, compare_listed);
    return status;
}

static json_t *text_json(struct rl_slice text)
{
    if (text.data == NULL)
        return json_null();
    json_t *json = json_stringn((const char *)text.data, text.bytes);
    return json != NULL ? json : json_string("(not UTF-8)");
}

static void print_json(json_t *json)
{
    json_dumpf(json, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(15));
    printf("\n");
    json_decref(json);
}

static void list_print(const struct listing *listing, bool json)
{
    json_t *array = json ? json_array() : NULL;
    int width = (int)strlen("GROUP");
    for (size_t i = 0; i < listing->count; i++)
        width = RL_MAX(width, (int)listing->groups[i].group_id.bytes);
    if (!json)
        printf("%-*s  %-*s  PROTOCOL-TYPE\n", width, "GROUP", STATE_WIDTH, "STATE");
    for (size_t i = 0; i < listing->count; i++) {
        const struct listed *g = &listing->groups[i];
        if (json) {
            json_array_append_new(array, json_pack("{s:o, s:o, s:o}", "group", text_json(g->group_id), "state",
                                                   text_json(g->state), "protocol_type",
                                                   text_json(g->protocol_type)));
            continue;
        }
        print_slice(stdout, -width, g->group_id);
        printf("  ");
        print_slice(stdout, -STATE_WIDTH, g->state);
        printf("  ");
        print_slice(stdout, 0, g->protocol_type);
        printf("\n");
    }
    if (json)
        print_json(array);
}

static int list_command(struct rl_kafka_client *client, const struct options *o)
{
    struct listing listing = { 0 };
    rl_status status = list(client, &listing);
    if (status == RL_OK)
        list_print(&listing, o->json);
    else
        fprintf(stderr, "ringlog: %s\n", client->failure);
    rl_free(listing.groups);
    return status == RL_OK ? 0 : client->unreachable ? EXIT_UNREACHABLE : EXIT_FAILED;
}

/* ---- describe ---- */

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Milliseconds since the oldest unread record was made; 0: none is unread.  False: not known. */
static bool row_unread_ms(const struct rl_group_row *row, int64_t *ret_ms)
{
    int64_t lag;
    if (!rl_group_row_lag(row, &lag))
        return false;
    bool nothing = lag <= 0 || (row->log_start_offset >= 0 && row->log_start_offset >= row->log_end_offset);
    if (!nothing && row->unread_ms < 0)
        return false;
    *ret_ms = nothing ? 0 : RL_MAX(now_ms() - row->unread_ms, 0);
    return true;
}

static json_t *number_json(bool known, int64_t number)
{
    return known ? json_integer(number) : json_null();
}

static json_t *row_json(const struct rl_group_row *row)
{
    int64_t lag = 0, unread_ms = 0;
    bool lag_known = rl_group_row_lag(row, &lag), unread_known = row_unread_ms(row, &unread_ms);
    return json_pack("{s:o, s:i, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "topic", text_json(row->topic),
                     "partition", row->partition, "committed_offset",
                     number_json(row->committed_offset >= 0, row->committed_offset), "log_start_offset",
                     number_json(row->log_start_offset >= 0, row->log_start_offset), "log_end_offset",
                     number_json(row->log_end_offset >= 0, row->log_end_offset), "lag",
                     number_json(lag_known, lag), "lag_seconds",
                     unread_known ? json_real((double)unread_ms / 1000) : json_null(), "member_id",
                     text_json(row->member_id), "host", text_json(row->client_host), "client_id",
                     text_json(row->client_id), "problem",
                     row->problem != NULL ? json_string(row->problem) : json_null());
}

static json_t *group_json(const struct rl_group_description *group)
{
    json_t *rows = json_array();
    for (uint32_t i = 0; i < group->row_count; i++)
        json_array_append_new(rows, row_json(&group->rows[i]));
    return json_pack("{s:o, s:o, s:o, s:o, s:i, s:i, s:o}", "group", text_json(group->group_id), "state",
                     text_json(group->state), "protocol_type", text_json(group->protocol_type), "protocol",
                     text_json(group->protocol), "coordinator", group->coordinator_id, "members",
                     group->member_count, "partitions", rows);
}

/* A cell, or its width where out is NULL; numbers stand to the right. */
static int number_cell(FILE *out, int width, bool known, int64_t number)
{
    char text[32];
    int bytes = known ? snprintf(text, sizeof text, "%" PRId64, number) : snprintf(text, sizeof text, "-");
    return out != NULL ? print_text(out, width, text, (size_t)bytes) : bytes;
}

static int text_cell(FILE *out, int width, struct rl_slice text)
{
    return out != NULL ? print_slice(out, -width, text) : RL_MAX((int)text.bytes, 1);
}

static int row_cell(FILE *out, int width, const struct rl_group_description *group, const struct rl_group_row *row,
                    int column)
{
    int64_t number = 0;
    bool known;
    switch (column) {
    case 0:  return text_cell(out, width, group->group_id);
    case 1:  return text_cell(out, width, row->topic);
    case 2:  return number_cell(out, width, true, row->partition);
    case 3:  return number_cell(out, width, row->committed_offset >= 0, row->committed_offset);
    case 4:  return number_cell(out, width, row->log_end_offset >= 0, row->log_end_offset);
    case 5:
        known = rl_group_row_lag(row, &number);
        return number_cell(out, width, known, number);
    case 6:
        known = row_unread_ms(row, &number);
        return number_cell(out, width, known, (number + 500) / 1000);
    case 7:  return text_cell(out, width, row->member_id);
    case 8:  return text_cell(out, width, row->client_host);
    default: return text_cell(out, 0, row->client_id);
    }
}

static const char *const heads[COLUMNS] = { "GROUP", "TOPIC", "PARTITION", "CURRENT-OFFSET", "LOG-END-OFFSET", "LAG",
                                            "LAG-SECONDS", "CONSUMER-ID", "HOST", "CLIENT-ID" };

static void group_print(const struct rl_group_description *group)
{
    int width[COLUMNS];
    for (int c = 0; c < COLUMNS; c++) {
        width[c] = (int)strlen(heads[c]);
        for (uint32_t i = 0; i < group->row_count; i++)
            width[c] = RL_MAX(width[c], row_cell(NULL, 0, group, &group->rows[i], c));
    }
    for (int c = 0; c < COLUMNS; c++)
        printf(c >= 2 && c <= 6 ? "%*s%s" : "%-*s%s", c + 1 < COLUMNS ? width[c] : 0, heads[c],
               c + 1 < COLUMNS ? "  " : "\n");
    for (uint32_t i = 0; i < group->row_count; i++)
        for (int c = 0; c < COLUMNS; c++) {
            row_cell(stdout, width[c], group, &group->rows[i], c);
            printf("%s", c + 1 < COLUMNS ? "  " : "\n");
        }
    for (uint32_t i = 0; i < group->row_count; i++)
        if (group->rows[i].problem != NULL) {
            fprintf(stderr, "ringlog: ");
            print_slice(stderr, 0, group->rows[i].topic);
            fprintf(stderr, "-%d: %s\n", group->rows[i].partition, group->rows[i].problem);
        }
}

struct describe_run {
    struct rl_kafka_client *client;
    const struct options *options;
    json_t *array;
    uint32_t done, failed;
};

static void describe_one(struct describe_run *run, struct rl_slice group_id)
{
    struct rl_group_description group;
    if (run->client->unreachable)
        return;
    if (rl_group_describe(run->client, group_id, &group) != RL_OK) {
        fprintf(stderr, "ringlog: group ");
        print_slice(stderr, 0, group_id);
        fprintf(stderr, ": %s\n", run->client->failure);
        run->failed++;
        return;
    }
    if (run->options->json)
        json_array_append_new(run->array, group_json(&group));
    else
        printf("%s", run->done > 0 ? "\n" : "");
    if (!run->options->json)
        group_print(&group);
    run->done++;
}

static int describe_command(struct rl_kafka_client *client, const struct options *o, char *const *names, int count)
{
    struct describe_run run = { .client = client, .options = o, .array = json_array() };
    struct listing listing = { 0 };
    if (o->all && list(client, &listing) != RL_OK) {
        fprintf(stderr, "ringlog: %s\n", client->failure);
        run.failed++;
    }
    for (size_t i = 0; i < listing.count; i++)
        describe_one(&run, listing.groups[i].group_id);
    for (int i = 0; i < count; i++)
        describe_one(&run, rl_slice_of_string(names[i]));
    if (o->json)
        print_json(run.array);
    else
        json_decref(run.array);
    rl_free(listing.groups);
    return run.failed == 0 ? 0 : client->unreachable ? EXIT_UNREACHABLE : run.done > 0 ? EXIT_PARTIAL : EXIT_FAILED;
}

/* ---- flags ---- */

enum { BOOTSTRAP = 1, FORMAT, ALL, HELP };

static const struct option group_options[] = {
    { "bootstrap", required_argument, NULL, BOOTSTRAP }, { "format", required_argument, NULL, FORMAT },
    { "all", no_argument, NULL, ALL }, { "help", no_argument, NULL, HELP }, { NULL, 0, NULL, 0 },
};

static bool read_option(struct options *o, int option)
{
    switch (option) {
    case BOOTSTRAP:
        o->bootstrap = optarg;
        return true;
    case ALL:
        o->all = true;
        return true;
    case FORMAT:
        o->json = strcmp(optarg, "json") == 0;
        if (o->json || strcmp(optarg, "table") == 0)
            return true;
        fprintf(stderr, "ringlog: --format %s: table or json is needed\n", optarg);
        return false;
    default:
        return false;
    }
}

static int run_command(bool lists, const struct options *o, char *const *names, int count)
{
    struct rl_kafka_client client;
    rl_status status = rl_kafka_open(&client, o->bootstrap);
    int code = EXIT_USAGE;
    if (status != RL_OK)
        fprintf(stderr, "ringlog: %s\n", client.failure);
    if (status == RL_OK)
        code = lists ? list_command(&client, o) : describe_command(&client, o, names, count);
    else if (status != RL_EINVAL)
        code = client.unreachable ? EXIT_UNREACHABLE : EXIT_FAILED;
    rl_kafka_close(&client);
    if (fflush(stdout) == 0 && !ferror(stdout))
        return code;
    fprintf(stderr, "ringlog: the output cannot be written: %s\n", strerror(errno));
    return code == 0 ? EXIT_FAILED : code;
}

int rl_group_command(int argc, char **argv)
{
    struct options o = { .bootstrap = "127.0.0.1:9092" };
    const char *what = argc > 1 ? argv[1] : "--help";
    if (strcmp(what, "--help") == 0 || strcmp(what, "help") == 0) {
        fputs(group_help, stdout);
        return 0;
    }
    bool lists = strcmp(what, "list") == 0;
    if (!lists && strcmp(what, "describe") != 0) {
        fprintf(stderr, "ringlog group: unknown command %s; there are list and describe\n", what);
        return EXIT_USAGE;
    }
    argc--;
    argv++;
    for (int option; (option = getopt_long(argc, argv, "", group_options, NULL)) != -1;) {
        if (option == HELP) {
            fputs(group_help, stdout);
            return 0;
        }
        if (!read_option(&o, option))
            return EXIT_USAGE;
    }
    if ((lists && (optind < argc || o.all)) || (!lists && (optind < argc) == o.all)) {
        fprintf(stderr, "ringlog group %s: %s; see ringlog group --help\n", what,
                lists ? "takes no group" : "names of groups are needed, or --all");
        return EXIT_USAGE;
    }
    return run_command(lists, &o, argv + optind, argc - optind);
}
