/* broker/api_produce.c — Produce: batches cross the broker untouched.
 *
 * Happy path: on the connection's shard each partition's batch is checked (shape, CRC, the
 * topic's rules); one message per owner; there the log assigns offsets and the partition answers
 * when the acknowledgement holds; one message back, one reply.  The bytes stay in the frame they
 * were received in, which the request keeps alive.
 *
 * Failures are answered per partition in Kafka's codes.  acks=0 has no answer: on any error the
 * connection is closed, so that the client looks again.  When timeout.ms passes, the batch stays
 * in the log and the client is told REQUEST_TIMED_OUT. */
#include "broker/broker.h"
#include "broker/scatter.h"
#include "log/batch.h"
#include "replicate/metadata_image.h"
#include "replicate/replica_manager.h"
#include "wire/msg_produce.h"

struct produce_entry {                  /* one partition of the request */
    struct rl_scatter_item item;
    struct rl_scatter_call *call;
    struct rl_produce_response_partition *answer;
    struct rl_uuid topic_id;
    int32_t partition_index;
    bool waiting;                       /* owner: queued in the partition */
    rl_status status;
    struct rl_partition *partition;     /* owner's */
    struct rl_batch batch;
    struct rl_partition_append append;
};

struct produce {
    struct rl_scatter scatter;
    struct rl_produce_response response;
    int16_t acks;
    int32_t timeout_ms;
    bool failed;                        /* acks=0: close instead of silence */
};

/* ---- on the connection's shard: check ---- */

static int16_t produce_check_records(const struct rl_request *request, struct rl_slice records,
                                     const struct rl_topic *topic, struct rl_batch *ret_batch,
                                     const char **ret_reason)
{
    if (records.bytes == 0) {
        *ret_reason = "Produce requests must have at least one record batch per partition";
        return RL_KAFKA_INVALID_RECORD;
    }
    /* The frame's memory is ours to patch until the reply. */
    rl_status status = rl_batch_read_header((uint8_t *)records.data, records.bytes, ret_batch);
    if (status == RL_EUNSUPPORTED) {
        *ret_reason = "Produce requests are only allowed to contain record batches with magic version 2";
        return RL_KAFKA_INVALID_RECORD;
    }
    if (status == RL_ETRUNCATED) {      /* not a batch for Kafka either; no retry would help */
        *ret_reason = "Produce requests must have at least one record batch per partition";
        return RL_KAFKA_INVALID_RECORD;
    }
    if (status != RL_OK)
        return RL_KAFKA_CORRUPT_MESSAGE;
    if (ret_batch->size_bytes != records.bytes) {
        *ret_reason = "Produce requests are only allowed to contain exactly one record batch per partition";
        return RL_KAFKA_INVALID_RECORD;
    }
    if (rl_batch_codec(ret_batch) == RL_CODEC_ZSTD && request->api_version < 7)
        return RL_KAFKA_UNSUPPORTED_COMPRESSION_TYPE;
    if (rl_batch_codec(ret_batch) > RL_CODEC_ZSTD)
        return RL_KAFKA_UNSUPPORTED_COMPRESSION_TYPE;
    if (rl_batch_is_transactional(ret_batch)) {
        *ret_reason = "Transactions are not supported";
        return RL_KAFKA_INVALID_REQUEST;
    }
    status = rl_batch_check(ret_batch);
    if (status == RL_OK)
        status = rl_batch_check_rules(ret_batch, &topic->config, rl_request_shard(request)->wall_ms);
    return rl_kafka_error_of(status);
}

static void answer_error(struct produce *p, struct rl_produce_response_partition *answer,
                         int16_t error, const char *reason)
{
    answer->error_code = error;
    answer->base_offset = -1;
    answer->log_append_time_ms = -1;
    answer->log_start_offset = -1;
    answer->error_message = rl_slice_of_string(reason);
    p->failed = true;
}

/* Check one partition and hand it to its owner.  False: the request ran out of memory. */
static bool produce_add(struct rl_request *request, struct produce *p, const struct rl_topic *topic,
                        const struct rl_produce_request_partition *asked,
                        struct rl_produce_response_partition *answer)
{
    if (asked->index < 0 || asked->index >= topic->partition_count) {
        answer_error(p, answer, RL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION, NULL);
        return true;
    }
    struct rl_batch batch;
    const char *reason = NULL;
    int16_t error = produce_check_records(request, asked->records, topic, &batch, &reason);
    if (error != RL_KAFKA_NONE) {
        answer_error(p, answer, error, reason);
        return true;
    }
    struct produce_entry *e = rl_request_alloc(request, 1, sizeof *e);
    if (e == NULL)
        return false;
    e->answer = answer;
    e->topic_id = topic->id;
    e->partition_index = asked->index;
    e->batch = batch;
    uint32_t shard_count = rl_request_shard(request)->count;
    if (rl_scatter_add(&p->scatter, rl_partition_home(topic->id, asked->index, shard_count), &e->item) == RL_OK)
        return true;
    rl_request_close(request);
    return false;
}

/* ---- on the owner's shard: append ---- */

static void append_release(struct rl_scatter_call *call)
{
    if (--call->outstanding > 0)
        return;
    if (rl_timer_running(&call->timer))
        rl_timer_stop(call->owner, &call->timer);
    rl_scatter_call_done(call);
}

static void on_append_done(struct rl_partition_append *append)
{
    struct produce_entry *e = append->arg;
    e->waiting = false;
    e->status = append->status;
    append_release(e->call);
}

static void on_append_timeout(struct rl_timer *timer)
{
    struct rl_scatter_call *call = timer->arg;
    call->outstanding++;
    for (struct rl_scatter_item *i = call->items; i != NULL; i = i->next) {
        struct produce_entry *e = RL_CONTAINER_OF(i, struct produce_entry, item);
        if (!e->waiting)
            continue;
        rl_partition_append_forget(e->partition, &e->append);
        e->waiting = false;
        e->status = RL_ETIMEOUT;
        call->outstanding--;
    }
    append_release(call);
}

static void append_entry(struct rl_scatter_call *call, struct produce_entry *e, int16_t acks)
{
    e->call = call;
    e->partition = rl_replica_manager_find(call->owner, e->topic_id, e->partition_index);
    if (e->partition == NULL) {
        e->status = RL_ENOTFOUND;
        return;
    }
    struct rl_request *request = call->scatter->request;
    bool ours = rl_request_shard(request) == call->owner;
    e->append = (struct rl_partition_append){
        .batch = &e->batch,
        .buffer = ours ? request->frame_buffer : NULL,  /* counts belong to the other shard */
        .acks = acks,
        .done = on_append_done,
        .arg = e,
    };
    e->status = rl_partition_append(e->partition, &e->append);
    if (e->status == RL_OK) {
        e->waiting = true;
        call->outstanding++;
    }
}

static void append_run(struct rl_scatter_call *call)
{
    struct produce *p = RL_CONTAINER_OF(call->scatter, struct produce, scatter);
    call->outstanding = 1;
    for (struct rl_scatter_item *i = call->items; i != NULL; i = i->next)
        append_entry(call, RL_CONTAINER_OF(i, struct produce_entry, item), p->acks);
    if (call->outstanding > 1 && p->acks == -1) {
        call->timer = (struct rl_timer){ .done = on_append_timeout, .arg = call };
        int64_t timeout_ns = (int64_t)RL_MAX(p->timeout_ms, 0) * 1000000;
        rl_timer_start(call->owner, &call->timer, call->owner->now_ns + timeout_ns);
    }
    append_release(call);
}

/* ---- back on the connection's shard: answer ---- */

static void produce_answer(struct produce *p, const struct produce_entry *e)
{
    if (e->status != RL_OK && e->status != RL_EDUPLICATE) {
        answer_error(p, e->answer, rl_kafka_error_of(e->status), NULL);
        return;
    }
    e->answer->error_code = RL_KAFKA_NONE;
    e->answer->base_offset = e->append.result.base_offset;
    e->answer->log_append_time_ms = e->append.result.log_append_time_ms;
    e->answer->log_start_offset = e->append.result.log_start_offset;
}

static void produce_done(struct rl_scatter *scatter)
{
    struct produce *p = RL_CONTAINER_OF(scatter, struct produce, scatter);
    struct rl_request *request = scatter->request;
    for (struct rl_scatter_call *c = scatter->calls; c != NULL; c = c->next)
        for (struct rl_scatter_item *i = c->items; i != NULL; i = i->next)
            produce_answer(p, RL_CONTAINER_OF(i, struct produce_entry, item));
    if (p->acks != 0)
        rl_reply_message(request, &p->response);
    else if (p->failed)
        rl_request_close(request);
    else
        rl_request_finish(request);
}

/* An error that holds for the whole topic, RL_KAFKA_NONE otherwise. */
static int16_t produce_topic_error(const struct rl_request *request,
                                   const struct rl_produce_request *asked, const struct rl_topic *topic)
{
    if (asked->acks < -1 || asked->acks > 1)
        return RL_KAFKA_INVALID_REQUIRED_ACKS;
    if (asked->transactional_id.data != NULL)
        return RL_KAFKA_INVALID_REQUEST;
    if (topic == NULL)
        return request->api_version >= 13 ? RL_KAFKA_UNKNOWN_TOPIC_ID : RL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
    return RL_KAFKA_NONE;
}

static bool produce_topic(struct rl_request *request, struct produce *p, const struct rl_produce_request *asked,
                          const struct rl_produce_request_topic *from, struct rl_produce_response_topic *to)
{
    const struct rl_image *image = rl_image_current(rl_request_shard(request));
    const struct rl_topic *topic = request->api_version >= 13 ? rl_image_find_id(image, from->topic_id)
                                                              : rl_image_find(image, from->name);
    int16_t error = produce_topic_error(request, asked, topic);
    rl_produce_response_topic_init(to);
    to->name = from->name;
    to->topic_id = from->topic_id;
    to->partition_responses = rl_request_alloc(request, (size_t)from->partition_data_count,
                                               sizeof *to->partition_responses);
    if (to->partition_responses == NULL)
        return false;
    to->partition_responses_count = from->partition_data_count;
    for (int32_t i = 0; i < from->partition_data_count; i++) {
        struct rl_produce_response_partition *answer = &to->partition_responses[i];
        rl_produce_response_partition_init(answer);
        answer->index = from->partition_data[i].index;
        if (error != RL_KAFKA_NONE)
            answer_error(p, answer, error, NULL);
        else if (!produce_add(request, p, topic, &from->partition_data[i], answer))
            return false;
    }
    return true;
}

void rl_api_produce(struct rl_request *request, const void *message)
{
    const struct rl_produce_request *asked = message;
    struct produce *p = rl_request_alloc(request, 1, sizeof *p);
    if (p == NULL)
        return;
    p->acks = asked->acks;
    p->timeout_ms = asked->timeout_ms;
    rl_scatter_init(&p->scatter, request, append_run, produce_done);
    rl_produce_response_init(&p->response);
    p->response.responses = rl_request_alloc(request, (size_t)asked->topic_data_count,
                                             sizeof *p->response.responses);
    if (p->response.responses == NULL)
        return;
    p->response.responses_count = asked->topic_data_count;
    for (int32_t i = 0; i < asked->topic_data_count; i++)
        if (!produce_topic(request, p, asked, &asked->topic_data[i], &p->response.responses[i]))
            return;
    rl_scatter_start(&p->scatter);
}
