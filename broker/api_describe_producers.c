/* broker/api_describe_producers.c — DescribeProducers: whom partitions remember (KIP-664).
 *
 * Happy path: the owners say how many idempotent producers each partition knows, room for them is
 * made in the request's memory, and the owners fill it.  Two rounds, so that nothing is allocated
 * that the request may not hold; producers that come between them are left out.
 *
 * Failures are answered per partition. */
#include "broker/broker.h"
#include "broker/scatter.h"
#include "broker/topics.h"
#include "replicate/metadata_image.h"
#include "replicate/replica_manager.h"
#include "wire/msg_describe_producers.h"

struct producers_entry {                /* one partition of the request */
    struct rl_scatter_item item;
    struct rl_describe_producers_response_partition *answer;
    struct rl_uuid topic_id;
    int32_t partition_index;
    uint32_t home;
    rl_status status;
    uint32_t producer_count;
    struct rl_log_producer *producers;
    struct producers_entry *next;
};

struct describe_producers {
    struct rl_scatter count, fill;
    struct rl_describe_producers_response response;
    struct producers_entry *entries;
};

/* ---- on the owner's shard ---- */

static struct rl_partition *entry_partition(struct rl_scatter_call *call, struct producers_entry *e)
{
    struct rl_partition *p = rl_replica_manager_find(call->owner, e->topic_id, e->partition_index);
    e->status = p == NULL ? RL_ENOTFOUND : rl_partition_check_epoch(p, -1);
    return e->status == RL_OK ? p : NULL;
}

static void count_run(struct rl_scatter_call *call)
{
    for (struct rl_scatter_item *i = call->items; i != NULL; i = i->next) {
        struct producers_entry *e = RL_CONTAINER_OF(i, struct producers_entry, item);
        const struct rl_partition *p = entry_partition(call, e);
        e->producer_count = p != NULL ? rl_log_producer_count(p->log) : 0;
    }
    rl_scatter_call_done(call);
}

static void fill_run(struct rl_scatter_call *call)
{
    for (struct rl_scatter_item *i = call->items; i != NULL; i = i->next) {
        struct producers_entry *e = RL_CONTAINER_OF(i, struct producers_entry, item);
        const struct rl_partition *p = entry_partition(call, e);
        e->producer_count = p != NULL ? rl_log_producers(p->log, e->producers, e->producer_count) : 0;
    }
    rl_scatter_call_done(call);
}

/* ---- on the connection's shard ---- */

static void entry_answer(struct producers_entry *e)
{
    e->answer->error_code = rl_kafka_error_of(e->status);
    e->answer->active_producers_count = (int32_t)e->producer_count;
    for (uint32_t i = 0; i < e->producer_count; i++) {
        struct rl_describe_producers_response_active_producer *to = &e->answer->active_producers[i];
        rl_describe_producers_response_active_producer_init(to);
        to->producer_id = e->producers[i].producer_id;
        to->producer_epoch = e->producers[i].producer_epoch;
        to->last_sequence = e->producers[i].last_sequence;
        to->last_timestamp = e->producers[i].last_timestamp_ms;
        to->coordinator_epoch = -1;     /* no transactions yet */
    }
}

static void fill_done(struct rl_scatter *scatter)
{
    struct describe_producers *d = RL_CONTAINER_OF(scatter, struct describe_producers, fill);
    for (struct producers_entry *e = d->entries; e != NULL; e = e->next)
        entry_answer(e);
    rl_reply_message(scatter->request, &d->response);
}

static void count_done(struct rl_scatter *scatter)
{
    struct describe_producers *d = RL_CONTAINER_OF(scatter, struct describe_producers, count);
    struct rl_request *request = scatter->request;
    rl_scatter_init(&d->fill, request, fill_run, fill_done);
    for (struct producers_entry *e = d->entries; e != NULL; e = e->next) {
        e->producers = rl_request_alloc(request, e->producer_count, sizeof *e->producers);
        if (e->producers == NULL)
            return;
        e->answer->active_producers = rl_request_alloc(request, e->producer_count,
                                                       sizeof *e->answer->active_producers);
        if (e->answer->active_producers == NULL)
            return;
        if (rl_scatter_add(&d->fill, e->home, &e->item) != RL_OK) {
            rl_request_close(request);
            return;
        }
    }
    rl_scatter_start(&d->fill);
}

/* False: connection closed. */
static bool add_partition(struct rl_request *request, struct describe_producers *d,
                          const struct rl_topic *topic,
                          struct rl_describe_producers_response_partition *answer)
{
    if (answer->partition_index < 0 || answer->partition_index >= topic->partition_count) {
        answer->error_code = RL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
        return true;
    }
    struct producers_entry *e = rl_request_alloc(request, 1, sizeof *e);
    if (e == NULL)
        return false;
    e->answer = answer;
    e->topic_id = topic->id;
    e->partition_index = answer->partition_index;
    e->home = rl_partition_home(topic->id, e->partition_index, rl_request_shard(request)->count);
    e->next = d->entries;
    d->entries = e;
    if (rl_scatter_add(&d->count, e->home, &e->item) == RL_OK)
        return true;
    rl_request_close(request);
    return false;
}

/* The error of all partitions of a topic that is not there.  False: connection closed. */
static bool topic_missing(struct rl_request *request, struct rl_slice name, int16_t *ret_error,
                          struct rl_slice *ret_message)
{
    char sentence[RL_TOPICS_SENTENCE_BYTES];
    const char *reason;
    if (rl_topic_name_check(name, &reason) == RL_OK) {
        *ret_error = RL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
        *ret_message = rl_slice_of_string("This server does not host this topic-partition.");
        return true;
    }
    *ret_error = RL_KAFKA_INVALID_TOPIC_EXCEPTION;
    rl_topic_name_explain(name, sentence, sizeof sentence);
    return rl_request_printf(request, ret_message, "%s", sentence);
}

/* False: connection closed. */
static bool add_topic(struct rl_request *request, struct describe_producers *d,
                      const struct rl_describe_producers_request_topic *from,
                      struct rl_describe_producers_response_topic *to)
{
    const struct rl_topic *topic =
        rl_image_find(rl_image_current(rl_request_shard(request)), from->name);
    int16_t error = RL_KAFKA_NONE;
    struct rl_slice error_message = { 0 };
    if (topic == NULL && !topic_missing(request, from->name, &error, &error_message))
        return false;
    to->name = from->name;
    to->partitions = rl_request_alloc(request, (size_t)from->partition_indexes_count,
                                      sizeof *to->partitions);
    if (to->partitions == NULL)
        return false;
    to->partitions_count = from->partition_indexes_count;
    for (int32_t i = 0; i < from->partition_indexes_count; i++) {
        struct rl_describe_producers_response_partition *answer = &to->partitions[i];
        rl_describe_producers_response_partition_init(answer);
        answer->partition_index = from->partition_indexes[i];
        answer->error_code = error;
        answer->error_message = error_message;
        if (topic != NULL && !add_partition(request, d, topic, answer))
            return false;
    }
    return true;
}

void rl_api_describe_producers(struct rl_request *request, const void *message)
{
    const struct rl_describe_producers_request *asked = message;
    struct describe_producers *d = rl_request_alloc(request, 1, sizeof *d);
    if (d == NULL)
        return;
    rl_scatter_init(&d->count, request, count_run, count_done);
    rl_describe_producers_response_init(&d->response);
    d->response.topics = rl_request_alloc(request, (size_t)asked->topics_count,
                                          sizeof *d->response.topics);
    if (d->response.topics == NULL)
        return;
    d->response.topics_count = asked->topics_count;
    for (int32_t i = 0; i < asked->topics_count; i++)
        if (!add_topic(request, d, &asked->topics[i], &d->response.topics[i]))
            return;
    rl_scatter_start(&d->count);
}
