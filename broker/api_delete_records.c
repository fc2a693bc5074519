/* broker/api_delete_records.c — DeleteRecords: raise the log start of partitions (KIP-107).
 *
 * Happy path: each partition's owner raises the start of its log and answers when that is on stable
 * storage; one reply at the end.  A partition named twice is asked once, for what was said last.
 *
 * Failures are answered per partition: beyond the high watermark OFFSET_OUT_OF_RANGE, a topic that
 * is only compacted POLICY_VIOLATION, one of the broker's own INVALID_TOPIC_EXCEPTION.  timeout.ms is not needed: the log always answers. */
#include "broker/broker.h"
#include "broker/scatter.h"
#include "broker/topics.h"
#include "core/table.h"
#include "replicate/metadata_image.h"
#include "replicate/replica_manager.h"
#include "wire/msg_delete_records.h"

#define HIGH_WATERMARK (-1)

struct delete_entry {
    struct rl_scatter_item item;
    struct rl_scatter_call *call;
    struct rl_delete_records_response_partition *answer;
    struct rl_uuid topic_id;
    int32_t partition_index;
    int64_t offset;
    int16_t error_code;
    struct rl_log_trim trim;
};

struct delete_topic {                   /* one of the answer */
    struct rl_slice name;
    int32_t asked_count;                /* partitions, repetitions included */
    struct rl_delete_records_response_topic *answer;
};

struct delete_records {
    struct rl_scatter scatter;
    struct rl_delete_records_response response;
    struct delete_topic *topics;
    int32_t topic_count;
};

/* ---- on the owner's shard ---- */

static void delete_release(struct rl_scatter_call *call)
{
    if (--call->outstanding == 0)
        rl_scatter_call_done(call);
}

static void on_trimmed(struct rl_log_trim *trim)
{
    struct delete_entry *e = trim->arg;
    e->error_code = rl_kafka_error_of(trim->status);
    delete_release(e->call);
}

static void delete_partition(struct delete_entry *e, struct rl_partition *p)
{
    e->error_code = rl_kafka_error_of(p == NULL ? RL_ENOTFOUND : rl_partition_check_epoch(p, -1));
    if (e->error_code != RL_KAFKA_NONE)
        return;
    if (!p->config.cleanup_delete) {
        e->error_code = RL_KAFKA_POLICY_VIOLATION;
        return;
    }
    int64_t offset = e->offset == HIGH_WATERMARK ? p->high_watermark : e->offset;
    if (offset < 0 || offset > p->high_watermark) {
        e->error_code = RL_KAFKA_OFFSET_OUT_OF_RANGE;
        return;
    }
    e->trim = (struct rl_log_trim){ .offset = offset, .done = on_trimmed, .arg = e };
    e->call->outstanding++;
    rl_log_trim(p->log, &e->trim);
}

static void delete_run(struct rl_scatter_call *call)
{
    call->outstanding = 1;
    for (struct rl_scatter_item *i = call->items; i != NULL; i = i->next) {
        struct delete_entry *e = RL_CONTAINER_OF(i, struct delete_entry, item);
        e->call = call;
        delete_partition(e, rl_replica_manager_find(call->owner, e->topic_id, e->partition_index));
    }
    delete_release(call);
}

/* ---- on the connection's shard ---- */

static void delete_done(struct rl_scatter *scatter)
{
    struct delete_records *d = RL_CONTAINER_OF(scatter, struct delete_records, scatter);
    for (struct rl_scatter_call *c = scatter->calls; c != NULL; c = c->next)
        for (struct rl_scatter_item *i = c->items; i != NULL; i = i->next) {
            struct delete_entry *e = RL_CONTAINER_OF(i, struct delete_entry, item);
            e->answer->error_code = e->error_code;
            if (e->error_code == RL_KAFKA_NONE)
                e->answer->low_watermark = e->trim.ret_log_start_offset;
        }
    rl_reply_message(scatter->request, &d->response);
}

/* While the request is taken apart.  The tables are not the arena's: they go when that may be gone. */
struct delete_plan {
    struct rl_request *request;
    struct delete_records *d;
    struct rl_table topics;             /* struct delete_topic by name */
    struct rl_table entries;            /* struct delete_entry by topic and partition */
};

static uint64_t plan_key(const struct delete_plan *plan, const struct delete_topic *topic, int32_t index)
{
    return (uint64_t)(topic - plan->d->topics) << 32 | (uint32_t)index;
}

/* Topics named several times become one.  False: connection closed. */
static bool plan_topics(struct delete_plan *plan, const struct rl_delete_records_request *asked)
{
    struct delete_records *d = plan->d;
    d->topics = rl_request_alloc(plan->request, (size_t)asked->topics_count, sizeof *d->topics);
    if (d->topics == NULL)
        return false;
    for (int32_t i = 0; i < asked->topics_count; i++) {
        if (asked->topics[i].partitions_count == 0)
            continue;
        struct delete_topic *topic = rl_table_find(&plan->topics, asked->topics[i].name);
        if (topic == NULL) {
            topic = &d->topics[d->topic_count++];
            topic->name = asked->topics[i].name;
            rl_table_put(&plan->topics, topic->name, topic);
        }
        topic->asked_count += asked->topics[i].partitions_count;
    }
    return true;
}

/* Room for the answer.  False: connection closed. */
static bool plan_answer(struct delete_plan *plan)
{
    struct delete_records *d = plan->d;
    d->response.topics = rl_request_alloc(plan->request, (size_t)d->topic_count,
                                          sizeof *d->response.topics);
    if (d->response.topics == NULL)
        return false;
    d->response.topics_count = d->topic_count;
    for (int32_t i = 0; i < d->topic_count; i++) {
        struct rl_delete_records_response_topic *answer = &d->response.topics[i];
        rl_delete_records_response_topic_init(answer);
        answer->name = d->topics[i].name;
        answer->partitions = rl_request_alloc(plan->request, (size_t)d->topics[i].asked_count,
                                              sizeof *answer->partitions);
        if (answer->partitions == NULL)
            return false;
        d->topics[i].answer = answer;
    }
    return true;
}

/* False: connection closed. */
static bool plan_partition(struct delete_plan *plan, struct delete_topic *to,
                           const struct rl_delete_records_request_partition *asked)
{
    uint64_t key = plan_key(plan, to, asked->partition_index);
    struct delete_entry *e = rl_table_find_number(&plan->entries, key);
    if (e != NULL) {
        e->offset = asked->offset;
        return true;
    }
    e = rl_request_alloc(plan->request, 1, sizeof *e);
    if (e == NULL)
        return false;
    e->answer = &to->answer->partitions[to->answer->partitions_count++];
    rl_delete_records_response_partition_init(e->answer);
    e->answer->partition_index = e->partition_index = asked->partition_index;
    e->answer->low_watermark = -1;
    e->offset = asked->offset;
    rl_table_put_number(&plan->entries, key, e);
    return true;
}

/* Every partition of the answer to its owner.  False: connection closed. */
static bool plan_send(struct delete_plan *plan, const struct delete_topic *from)
{
    const struct rl_shard *shard = rl_request_shard(plan->request);
    const struct rl_topic *topic = rl_image_find(rl_image_current(shard), from->name);
    for (int32_t i = 0; i < from->answer->partitions_count; i++) {
        int32_t index = from->answer->partitions[i].partition_index;
        struct delete_entry *e = rl_table_find_number(&plan->entries, plan_key(plan, from, index));
        if (topic == NULL || index < 0 || index >= topic->partition_count) {
            e->answer->error_code = RL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
            continue;
        }
        if (rl_topics_is_internal(from->name)) {
            e->answer->error_code = RL_KAFKA_INVALID_TOPIC_EXCEPTION;
            continue;
        }
        e->topic_id = topic->id;
        uint32_t home = rl_partition_home(topic->id, index, shard->count);
        if (rl_scatter_add(&plan->d->scatter, home, &e->item) != RL_OK) {
            rl_request_close(plan->request);
            return false;
        }
    }
    return true;
}

static bool plan_make(struct delete_plan *plan, const struct rl_delete_records_request *asked)
{
    if (!plan_topics(plan, asked) || !plan_answer(plan))
        return false;
    for (int32_t i = 0; i < asked->topics_count; i++)
        for (int32_t p = 0; p < asked->topics[i].partitions_count; p++)
            if (!plan_partition(plan, rl_table_find(&plan->topics, asked->topics[i].name),
                                &asked->topics[i].partitions[p]))
                return false;
    for (int32_t i = 0; i < plan->d->topic_count; i++)
        if (!plan_send(plan, &plan->d->topics[i]))
            return false;
    return true;
}

void rl_api_delete_records(struct rl_request *request, const void *message)
{
    struct delete_records *d = rl_request_alloc(request, 1, sizeof *d);
    if (d == NULL)
        return;
    rl_scatter_init(&d->scatter, request, delete_run, delete_done);
    rl_delete_records_response_init(&d->response);
    struct delete_plan plan = { .request = request, .d = d };
    rl_table_init(&plan.topics, rl_shard_random(rl_request_shard(request)));
    rl_table_init(&plan.entries, rl_shard_random(rl_request_shard(request)));
    bool planned = plan_make(&plan, message);
    rl_table_done(&plan.topics);
    rl_table_done(&plan.entries);
    if (planned)
        rl_scatter_start(&d->scatter);
}
