/* cli/bench_command.c — `ringlog bench`: flags of the load generator. */
#include "cli/bench.h"
#include "core/memory.h"
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXIT_USAGE 2
#define TOPIC_NAME_MAX 249              /* Kafka's */
#define SECONDS_DEFAULT 10

static const char bench_help[] =
    "usage: ringlog bench produce|consume|end-to-end|fanout|many|idle|sink [options]\n"
    "\n"
    "  produce      send batches; latency is from the intended moment to the acknowledgement\n"
    "  consume      read a topic from its beginning to its end\n"
    "  end-to-end   produce at a rate while consumers tail; latency is until delivery\n"
    "  fanout       the same with 8 consumers and 16 KB batches\n"
    "  many         produce small keyed requests over 1,000 partitions and 64 connections\n"
    "  idle         open connections and leave them alone: what each costs the broker\n"
    "  sink         be a broker that keeps nothing: what this generator itself can do\n"
    "\n"
    "  --bootstrap HOST:PORT   default 127.0.0.1:9092; of one broker that leads everything\n"
    "  --listen HOST:PORT      sink: where to listen (port 0: any), told on stdout\n"
    "  --file PATH             sink: check what is produced and write it there, as any broker must\n"
    "  --topic NAME            default bench; created when it is missing\n"
    "  --topic-config K=V,..   for the creation\n"
    "  --partitions N          --connections N   --consumers N   --in-flight N\n"
    "  --record-size BYTES     --batch-size BYTES   --fetch-size BYTES   --key   16-byte keys\n"
    "  --acks 0|1|all          --rate N   requests per second (default: as fast as it goes)\n"
    "  --seconds N             --bytes N   what ends the run; --warmup SECONDS before it counts\n"
    "  --each                  consume: every connection reads everything, instead of its share\n"
    "  --repeat                consume: begin again at the end, until --seconds are over\n"
    "  --pid N                 the broker's process: tell its CPU time and memory\n"
    "  --format table|json|csv --output kafka   --quiet\n"
    "\n"
    "Exit code: 0 fine, 1 the load failed, 2 these flags are wrong, 3 no broker there.\n";

enum { BOOTSTRAP = 1, LISTEN, TOPIC, TOPIC_CONFIG, ACKS, FORMAT, OUTPUT, KEY, EACH, REPEAT, QUIET, HELP, SINK_FILE,
       PARTITIONS, CONNECTIONS, CONSUMERS, IN_FLIGHT, RECORD_SIZE, BATCH_SIZE, FETCH_SIZE, RATE,
       SECONDS, BYTES, WARMUP, PID };

static const struct option bench_options[] = {
    { "bootstrap", required_argument, NULL, BOOTSTRAP }, { "listen", required_argument, NULL, LISTEN },
    { "topic", required_argument, NULL, TOPIC }, { "topic-config", required_argument, NULL, TOPIC_CONFIG },
    { "acks", required_argument, NULL, ACKS }, { "format", required_argument, NULL, FORMAT },
    { "output", required_argument, NULL, OUTPUT }, { "key", no_argument, NULL, KEY },
    { "each", no_argument, NULL, EACH }, { "repeat", no_argument, NULL, REPEAT }, { "quiet", no_argument, NULL, QUIET },
    { "help", no_argument, NULL, HELP }, { "file", required_argument, NULL, SINK_FILE },
    { "partitions", required_argument, NULL, PARTITIONS },
    { "connections", required_argument, NULL, CONNECTIONS },
    { "consumers", required_argument, NULL, CONSUMERS }, { "in-flight", required_argument, NULL, IN_FLIGHT },
    { "record-size", required_argument, NULL, RECORD_SIZE },
    { "batch-size", required_argument, NULL, BATCH_SIZE }, { "fetch-size", required_argument, NULL, FETCH_SIZE },
    { "rate", required_argument, NULL, RATE }, { "seconds", required_argument, NULL, SECONDS },
    { "bytes", required_argument, NULL, BYTES }, { "warmup", required_argument, NULL, WARMUP },
    { "pid", required_argument, NULL, PID }, { NULL, 0, NULL, 0 },
};

/* A number within bounds; false and a line otherwise. */
static bool read_number(const char *name, const char *text, double min, double max, double *ret_value)
{
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end != 0 || !(value >= min && value <= max)) {
        fprintf(stderr, "ringlog: --%s %s: a number from %.0f to %.0f is needed\n", name, text, min, max);
        return false;
    }
    *ret_value = value;
    return true;
}

static bool read_address(struct rl_bench_options *o, const char *name, const char *text, uint16_t port_min)
{
    const char *colon = strrchr(text, ':');
    double port;
    if (colon == NULL || (size_t)(colon - text) >= sizeof o->host) {
        fprintf(stderr, "ringlog: --%s %s: HOST:PORT is needed\n", name, text);
        return false;
    }
    snprintf(o->host, sizeof o->host, "%.*s", (int)(colon - text), text);
    if (!read_number(name, colon + 1, port_min, UINT16_MAX, &port))
        return false;
    o->port = (uint16_t)port;
    return true;
}

static bool read_word(const char *name, const char *text, const char *const *words, int *ret_index)
{
    for (int i = 0; words[i] != NULL; i++)
        if (strcmp(words[i], text) == 0) {
            *ret_index = i;
            return true;
        }
    fprintf(stderr, "ringlog: --%s %s: not known; see ringlog bench --help\n", name, text);
    return false;
}

static bool read_topic(struct rl_bench_options *o, const char *text)
{
    o->topic = text;
    if (text[0] != 0 && strlen(text) <= TOPIC_NAME_MAX)
        return true;
    fprintf(stderr, "ringlog: --topic: 1 to %d characters are needed\n", TOPIC_NAME_MAX);
    return false;
}

static bool read_text_option(struct rl_bench_options *o, int option, const char *name, const char *text)
{
    static const char *const formats[] = { "table", "json", "csv", NULL };
    static const char *const outputs[] = { "kafka", NULL };
    static const char *const acks[] = { "0", "1", "all", "-1", NULL };
    int word = 0;
    switch (option) {
    case BOOTSTRAP:    return read_address(o, name, text, 1);
    case LISTEN:       return read_address(o, name, text, 0);
    case TOPIC:        return read_topic(o, text);
    case TOPIC_CONFIG: o->topic_config = text; return true;
    case KEY:          o->keyed = true; return true;
    case EACH:         o->each = true; return true;
    case REPEAT:       o->repeat = true; return true;
    case QUIET:        o->progress = false; return true;
    case SINK_FILE:    o->sink_file = text; return true;
    case FORMAT:
        if (!read_word(name, text, formats, &word))
            return false;
        o->format = (enum rl_bench_format)word;
        return true;
    case OUTPUT:
        o->format = RL_BENCH_KAFKA;
        return read_word(name, text, outputs, &word);
    case ACKS:
        if (!read_word(name, text, acks, &word))
            return false;
        o->acks = word >= 2 ? -1 : (int16_t)word;
        return true;
    }
    return false;
}

static const struct { double min, max; } number_bounds[] = {
    [PARTITIONS] = { 1, 100000 }, [CONNECTIONS] = { 1, RL_BENCH_CONNECTIONS_MAX },
    [CONSUMERS] = { 1, RL_BENCH_CONNECTIONS_MAX }, [IN_FLIGHT] = { 1, RL_BENCH_IN_FLIGHT_MAX },
    [RECORD_SIZE] = { 8, 64e6 }, [BATCH_SIZE] = { 1, 100e6 }, [FETCH_SIZE] = { 1, 2e9 },
    [RATE] = { 0, 1e9 }, [SECONDS] = { 0, 1e9 }, [BYTES] = { 0, 1e18 }, [WARMUP] = { 0, 1e9 },
    [PID] = { 1, 1e9 },
};

static bool read_option(struct rl_bench_options *o, int option, const char *name, const char *text)
{
    if (option < PARTITIONS)
        return read_text_option(o, option, name, text);
    double number;
    if (!read_number(name, text, number_bounds[option].min, number_bounds[option].max, &number))
        return false;
    switch (option) {
    case PARTITIONS:  o->partitions = (int32_t)number; break;
    case CONNECTIONS: o->connections = (uint32_t)number; break;
    case CONSUMERS:   o->consumers = (uint32_t)number; break;
    case IN_FLIGHT:   o->in_flight = (uint32_t)number; break;
    case RECORD_SIZE: o->record_bytes = (size_t)number; break;
    case BATCH_SIZE:  o->batch_bytes = (size_t)number; break;
    case FETCH_SIZE:  o->fetch_bytes = (size_t)number; break;
    case RATE:        o->rate = number; break;
    case SECONDS:     o->seconds = number; break;
    case BYTES:       o->bytes_total = (uint64_t)number; break;
    case WARMUP:      o->warmup_seconds = number; break;
    case PID:         o->process_id = (int64_t)number; break;
    }
    return true;
}

static const struct rl_bench_options defaults = {
    .host = "127.0.0.1", .port = 9092, .topic = "bench", .partitions = 1, .connections = 1, .consumers = 1,
    .in_flight = 5, .record_bytes = 1024, .batch_bytes = 16384, .fetch_bytes = 1048576, .acks = 1,
    .progress = true,
};

static bool read_mode(const char *name, struct rl_bench_options *o)
{
    *o = defaults;
    if (strcmp(name, "produce") == 0) {
        o->mode = RL_BENCH_PRODUCE;
    } else if (strcmp(name, "consume") == 0) {
        o->mode = RL_BENCH_CONSUME;
    } else if (strcmp(name, "end-to-end") == 0) {
        o->mode = RL_BENCH_END_TO_END;
        o->batch_bytes = 1;             /* a record a request: linger 0 */
        o->rate = 1000;
    } else if (strcmp(name, "fanout") == 0) {
        o->mode = RL_BENCH_END_TO_END;
        o->consumers = 8;
        o->rate = 610;                  /* of 16 KB: 10 MB/s */
    } else if (strcmp(name, "many") == 0) {
        o->mode = RL_BENCH_PRODUCE;
        o->partitions = 1000;
        o->connections = 64;
        o->record_bytes = 100;
        o->batch_bytes = 1000;
        o->in_flight = 1;
        o->keyed = true;
    } else if (strcmp(name, "idle") == 0) {
        o->mode = RL_BENCH_IDLE;
        o->connections = 10000;
    } else if (strcmp(name, "sink") == 0) {
        o->mode = RL_BENCH_SINK;
    } else {
        return false;
    }
    return true;
}

/* Returns false when the exit code is known already. */
static bool read_flags(int argc, char **argv, struct rl_bench_options *o, int *ret_code)
{
    *ret_code = EXIT_USAGE;
    if (argc < 2 || !read_mode(argv[1], o)) {
        bool asked = argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0);
        fputs(bench_help, asked ? stdout : stderr);
        *ret_code = asked ? 0 : EXIT_USAGE;
        return false;
    }
    optind = 2;
    int index = 0;
    for (int option; (option = getopt_long(argc, argv, "", bench_options, &index)) != -1;) {
        if (option == HELP) {
            fputs(bench_help, stdout);
            *ret_code = 0;
            return false;
        }
        if (option == '?' || !read_option(o, option, bench_options[index].name, optarg))
            return false;
    }
    if (optind < argc) {
        fprintf(stderr, "ringlog: bench: %s: not known; see ringlog bench --help\n", argv[optind]);
        return false;
    }
    return true;
}

int rl_bench_command(int argc, char **argv)
{
    struct rl_bench_options o;
    int code;
    if (!read_flags(argc, argv, &o, &code))
        return code;
    if (o.mode == RL_BENCH_SINK)
        return rl_bench_sink_run(&o);
    bool ends = o.mode == RL_BENCH_IDLE || (o.mode == RL_BENCH_CONSUME && !o.repeat);
    if (o.seconds == 0 && o.bytes_total == 0 && !ends)
        o.seconds = SECONDS_DEFAULT;
    struct rl_bench_result *result = rl_alloc_zero(1, sizeof *result);
    code = rl_bench_run(&o, result);
    if (code == 0)
        rl_bench_report(stdout, &o, result);
    else
        fprintf(stderr, "ringlog: bench %s against %s:%u: %s\n", argv[1], o.host, o.port, result->failure);
    rl_free(result);
    return code;
}
