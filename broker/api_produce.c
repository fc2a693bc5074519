/* broker/api_produce.c — Produce: batches cross the broker untouched.
 *
 * Happy path: on the connection's shard each partition's batch is checked (shape, CRC, the
 * topic's rules); one message per owner; there the log assigns offsets and the partition answers
 * when the acknowledgement holds; one message back, one reply.  The bytes stay in the frame they
 * were received in, which the request keeps alive.
 *
 * Failures are answered per partition in Kafka's codes; what Kafka's log refuses names the log's
 * start, which the owner knows.  acks=0 has no answer: on any error the
 * connection is closed, so that the client looks again.  When timeout.ms passes, the batch stays
 * in the log and the client is told REQUEST_TIMED_OUT. */
#include "broker/produce_check.h"
#include "broker/scatter.h"
#include "broker/topics.h"
#include "replicate/replica_manager.h"

struct produce_entry {                  /* one partition of the request */
    struct rl_scatter_item item;
    struct rl_scatter_call *call;
    struct rl_produce_response_partition *answer;
    struct rl_uuid topic_id;
    int32_t partition_index;
    bool refused;                       /* answered, but for the log's start */
    bool waiting;                       /* owner: queued in the partition */
    rl_status status;
    int64_t log_start_offset;           /* of a log that refused the batch, -1 otherwise */
    struct rl_partition *partition;     /* owner's */
    struct rl_batch batch;
    struct rl_partition_append append;
};

struct produce {
    struct rl_scatter scatter;
    struct rl_produce_response response;
    int16_t acks;
    int32_t timeout_ms;
    struct rl_slice transactional_id;
    bool failed;                        /* acks=0: close instead of silence */
};

/* ---- on the connection's shard: check ---- */

static void answer_error(struct produce *p, struct rl_produce_response_partition *answer, int16_t error)
{
    answer->error_code = error;
    answer->base_offset = -1;
    answer->log_append_time_ms = -1;
    answer->log_start_offset = -1;
    p->failed = true;
}

/* Check one partition and hand it to its owner.  False: the request ran out of memory. */
static bool produce_add(struct rl_request *request, struct produce *p, const struct rl_topic *topic,
                        const struct rl_produce_request_partition *asked,
                        struct rl_produce_response_partition *answer)
{
    if (asked->index < 0 || asked->index >= topic->partition_count) {
        answer_error(p, answer, RL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
        return true;
    }
    struct rl_batch batch;
    struct rl_produce_refusal refusal;
    if (!rl_produce_check(request, p->transactional_id, topic, asked, &batch, &refusal))
        return false;
    if (refusal.error_code != RL_KAFKA_NONE) {
        answer_error(p, answer, refusal.error_code);
        answer->error_message = refusal.message;
        answer->record_errors = refusal.record_errors;
        answer->record_errors_count = refusal.record_error_count;
        if (!refusal.names_log_start)
            return true;
    }
    struct produce_entry *e = rl_request_alloc(request, 1, sizeof *e);
    if (e == NULL)
        return false;
    e->answer = answer;
    e->topic_id = topic->id;
    e->partition_index = asked->index;
    e->batch = batch;
    e->refused = refusal.error_code != RL_KAFKA_NONE;
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

/* Refusals that Kafka's log itself speaks; the others are answered without its start. */
static bool is_refused_by_log(rl_status status)
{
    return status == RL_EOUTOFORDER || status == RL_EPRODUCEREPOCH;
}

static void append_entry(struct rl_scatter_call *call, struct produce_entry *e, int16_t acks)
{
    e->call = call;
    e->log_start_offset = -1;
    e->partition = rl_replica_manager_find(call->owner, e->topic_id, e->partition_index);
    if (e->partition == NULL) {
        e->status = RL_ENOTFOUND;
        return;
    }
    if (e->refused) {
        if (rl_partition_check_epoch(e->partition, -1) == RL_OK)        /* else it has no log */
            e->log_start_offset = rl_partition_log_start_offset(e->partition);
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
    } else if (is_refused_by_log(e->status)) {
        e->log_start_offset = rl_partition_log_start_offset(e->partition);
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
    if (e->refused) {
        e->answer->log_start_offset = e->log_start_offset;
        return;
    }
    if (e->status != RL_OK && e->status != RL_EDUPLICATE) {
        answer_error(p, e->answer, rl_kafka_error_of(e->status));
        e->answer->log_start_offset = e->log_start_offset;
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

/* What coordinators believe is written by them alone; Kafka's own Admin may, too. */
static bool is_theirs(const struct rl_request *request, const struct rl_topic *topic)
{
    return topic->name[0] == '_' && topic->name[1] == '_' &&
           rl_topics_is_internal(rl_slice_of_string(topic->name)) &&
           !rl_slice_equal_string(request->client_id, "__admin_client");
}

/* An error that holds for the whole topic, RL_KAFKA_NONE otherwise. */
static int16_t produce_topic_error(const struct rl_request *request,
                                   const struct rl_produce_request *asked, const struct rl_topic *topic)
{
    if (asked->acks < -1 || asked->acks > 1)
        return RL_KAFKA_INVALID_REQUIRED_ACKS;
    if (topic == NULL)
        return request->api_version >= 13 ? RL_KAFKA_UNKNOWN_TOPIC_ID : RL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
    return is_theirs(request, topic) ? RL_KAFKA_INVALID_TOPIC_EXCEPTION : RL_KAFKA_NONE;
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
            answer_error(p, answer, error);
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
    p->transactional_id = asked->transactional_id;
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
