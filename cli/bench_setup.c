/* cli/bench_setup.c — before the load: the topic is created, and where its partitions begin and end.
 *
 * A new topic's partitions may have no leader yet: asked again for two minutes, then the run fails
 * with the error and its partition. */
#include "cli/bench_run.h"
#include "core/memory.h"
#include "wire/api_table.h"
#include "wire/message_header.h"
#include "wire/msg_create_topics.h"
#include "wire/msg_list_offsets.h"
#include <stdio.h>
#include <string.h>

#define CREATE_VERSION 4
#define LIST_VERSION 2
#define RETRY_NS ((int64_t)50 * 1000000)
#define PATIENCE_NS ((int64_t)120 * 1000000000)    /* a thousand partitions on a slow machine */
#define OFFSET_LATEST (-1)
#define OFFSET_EARLIEST (-2)
#define TOPIC_ALREADY_EXISTS 36
#define CONFIGS_MAX 16

enum { STEP_CREATE, STEP_EARLIEST, STEP_LATEST };

static void setup_send(struct rl_bench_run *run, int16_t api_key, int16_t version, const void *message)
{
    struct rl_bench_slot *slot = rl_bench_connection_slot(&run->setup);
    rl_bench_slot_encode(slot, api_key, version, (int32_t)run->setup_step, message, (struct rl_slice){ 0 });
    rl_bench_connection_queue(&run->setup);
    rl_bench_connection_flush(&run->setup);
}

/* "key=value,key=value" as the configs of a new topic; splits `text` in place. */
static int32_t setup_configs(char *text, struct rl_create_topics_request_config *configs)
{
    int32_t count = 0;
    char *rest = text;
    for (char *pair; count < CONFIGS_MAX && (pair = strsep(&rest, ",")) != NULL;) {
        char *value = strchr(pair, '=');
        if (value == NULL)
            continue;
        *value++ = 0;
        configs[count++] = (struct rl_create_topics_request_config){ rl_slice_of_string(pair),
                                                                     rl_slice_of_string(value) };
    }
    return count;
}

static void setup_create(struct rl_bench_run *run)
{
    const struct rl_bench_options *o = run->options;
    struct rl_create_topics_request_config configs[CONFIGS_MAX];
    char *text = rl_strdup(o->topic_config != NULL ? o->topic_config : "");
    struct rl_create_topics_request_topic topic;
    rl_create_topics_request_topic_init(&topic);
    topic.name = rl_slice_of_string(o->topic);
    topic.num_partitions = o->partitions;
    topic.replication_factor = 1;
    topic.configs = configs;
    topic.configs_count = setup_configs(text, configs);
    struct rl_create_topics_request request;
    rl_create_topics_request_init(&request);
    request.topics = &topic;
    request.topics_count = 1;
    request.timeout_ms = 30000;
    run->setup_step = STEP_CREATE;
    setup_send(run, RL_API_CREATE_TOPICS, CREATE_VERSION, &request);
    rl_free(text);
}

static void setup_offsets(struct rl_bench_run *run)
{
    int32_t count = run->options->partitions;
    struct rl_list_offsets_request_partition *partitions = rl_alloc_zero((size_t)count, sizeof *partitions);
    for (int32_t i = 0; i < count; i++) {
        rl_list_offsets_request_partition_init(&partitions[i]);
        partitions[i].partition_index = i;
        partitions[i].timestamp = run->setup_step == STEP_EARLIEST ? OFFSET_EARLIEST : OFFSET_LATEST;
    }
    struct rl_list_offsets_request_topic topic = { .name = rl_slice_of_string(run->options->topic),
                                                   .partitions = partitions, .partitions_count = count };
    struct rl_list_offsets_request request;
    rl_list_offsets_request_init(&request);
    request.replica_id = -1;
    request.topics = &topic;
    request.topics_count = 1;
    setup_send(run, RL_API_LIST_OFFSETS, LIST_VERSION, &request);
    rl_free(partitions);
}

static void on_retry(struct rl_timer *timer)
{
    setup_offsets(timer->arg);
}

static void on_created(struct rl_bench_run *run, struct rl_reader *r)
{
    struct rl_create_topics_response response;
    rl_status status = rl_create_topics_response_decode(r, CREATE_VERSION, &run->arena, &response);
    if (status != RL_OK || response.topics_count != 1) {
        rl_bench_finish(run, "CreateTopics", status);
        return;
    }
    int16_t error = response.topics[0].error_code;
    if (error != 0 && error != TOPIC_ALREADY_EXISTS) {
        snprintf(run->result->failure, sizeof run->result->failure, "CreateTopics: error %d", error);
        rl_bench_finish(run, run->result->failure, RL_OK);
        return;
    }
    run->setup_step = STEP_EARLIEST;
    setup_offsets(run);
}

/* Take what was told; the number of partitions that are missing, the first of them and its error. */
static int32_t take_offsets(struct rl_bench_run *run, const struct rl_list_offsets_response *response,
                            int32_t *ret_partition, int16_t *ret_error)
{
    int64_t *offsets = run->setup_step == STEP_EARLIEST ? run->offsets_first : run->offsets;
    int32_t missing = run->options->partitions;
    for (int32_t i = 0; i < response->topics[0].partitions_count; i++) {
        const struct rl_list_offsets_response_partition *p = &response->topics[0].partitions[i];
        if (p->partition_index < 0 || p->partition_index >= run->options->partitions)
            continue;
        if (p->error_code == 0) {
            offsets[p->partition_index] = p->offset;
            missing--;
        } else {
            *ret_partition = p->partition_index;
            *ret_error = p->error_code;
        }
    }
    return missing;
}

static void on_offsets(struct rl_bench_run *run, struct rl_reader *r)
{
    struct rl_list_offsets_response response;
    rl_status status = rl_list_offsets_response_decode(r, LIST_VERSION, &run->arena, &response);
    if (status != RL_OK || response.topics_count != 1) {
        rl_bench_finish(run, "ListOffsets", status);
        return;
    }
    int32_t partition = -1;
    int16_t error = 0;
    if (take_offsets(run, &response, &partition, &error) > 0) {
        if (run->shard->now_ns - run->setup_start_ns > PATIENCE_NS) {
            snprintf(run->result->failure, sizeof run->result->failure,
                     "ListOffsets of partition %d: error %d for two minutes", partition, error);
            rl_bench_finish(run, run->result->failure, RL_OK);
            return;
        }
        run->retry_timer = (struct rl_timer){ .done = on_retry, .arg = run };
        rl_timer_start(run->shard, &run->retry_timer, run->shard->now_ns + RETRY_NS);
    } else if (run->setup_step == STEP_EARLIEST) {
        run->setup_step = STEP_LATEST;
        setup_offsets(run);
    } else {
        rl_bench_open_all(run);
    }
}

static void on_setup_answer(struct rl_bench_connection *c, struct rl_bench_slot *slot, struct rl_slice frame)
{
    (void)slot;
    struct rl_bench_run *run = c->arg;
    struct rl_reader r = rl_rd_of(frame);
    rl_rd_i32(&r);                      /* correlation id: a connection answers in order */
    rl_bench_answered(run);
    rl_arena_reset(&run->arena);
    if (run->setup_step == STEP_CREATE)
        on_created(run, &r);
    else
        on_offsets(run, &r);
}

static void on_setup_ready(struct rl_bench_connection *c)
{
    setup_create(c->arg);
}

static void on_setup_failed(struct rl_bench_connection *c, const char *what, rl_status status)
{
    rl_bench_finish(c->arg, what, status);
}

void rl_bench_setup(struct rl_bench_run *run)
{
    run->offsets = rl_alloc_zero((size_t)run->options->partitions, sizeof *run->offsets);
    run->offsets_first = rl_alloc_zero((size_t)run->options->partitions, sizeof *run->offsets_first);
    run->setup_start_ns = run->shard->now_ns;
    run->setup.arg = run;
    run->setup.stopped = &run->finished;
    run->setup.on_ready = on_setup_ready;
    run->setup.on_answer = on_setup_answer;
    run->setup.on_failed = on_setup_failed;
    rl_bench_connection_open(&run->setup, run->shard, run->options->host, run->options->port, 1,
                             RL_BENCH_IN_BYTES);
}
