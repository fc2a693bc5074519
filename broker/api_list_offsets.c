/* broker/api_list_offsets.c — ListOffsets: from a timestamp, or a special one, to an offset.
 *
 * Special timestamps (KIP-79, 734, 405, 1005, 1023) are answered from the partition's offsets;
 * a time is looked up in the log, exact to the record, which may take a helper.  Failures are
 * answered per partition; a special timestamp that this version does not have yet is
 * UNSUPPORTED_VERSION, as in Kafka. */
#include "broker/broker.h"
#include "broker/scatter.h"
#include "replicate/metadata_image.h"
#include "replicate/replica_manager.h"
#include "wire/msg_list_offsets.h"

enum {
    LATEST = -1, EARLIEST = -2, MAX_TIMESTAMP = -3, EARLIEST_LOCAL = -4, LATEST_TIERED = -5,
    EARLIEST_PENDING_UPLOAD = -6
};

struct list_entry {                     /* one partition of the request */
    struct rl_scatter_item item;
    struct rl_scatter_call *call;
    struct rl_list_offsets_response_partition *answer;
    struct rl_uuid topic_id;
    int32_t partition_index;
    int32_t current_leader_epoch;
    int64_t timestamp;
    rl_status status;
    int64_t ret_offset, ret_timestamp_ms;
    int32_t ret_leader_epoch;
    struct rl_log_lookup lookup;
};

struct list_offsets {
    struct rl_scatter scatter;
    bool read_committed;
    struct rl_list_offsets_response response;
};

/* ---- on the owner's shard ---- */

static void list_release(struct rl_scatter_call *call)
{
    if (--call->outstanding == 0)
        rl_scatter_call_done(call);
}

static void on_lookup_done(struct rl_log_lookup *lookup)
{
    struct list_entry *e = lookup->arg;
    if (lookup->status == RL_OK) {
        e->ret_offset = lookup->ret_offset;
        e->ret_timestamp_ms = lookup->ret_timestamp_ms;
        e->ret_leader_epoch = lookup->ret_leader_epoch;
    } else if (lookup->status != RL_ENOTFOUND) {        /* none: (-1, -1) is the answer */
        e->status = lookup->status;
    }
    list_release(e->call);
}

static void list_lookup(struct list_entry *e, struct rl_partition *p, int64_t upper_offset)
{
    e->lookup = (struct rl_log_lookup){
        .timestamp_ms = e->timestamp == MAX_TIMESTAMP ? RL_LOOKUP_MAX_TIMESTAMP : e->timestamp,
        .upper_offset = upper_offset,
        .done = on_lookup_done,
        .arg = e,
    };
    e->call->outstanding++;
    rl_log_lookup(p->log, &e->lookup);
}

static void list_partition(struct list_entry *e, struct rl_partition *p, bool read_committed)
{
    e->status = rl_partition_check_asked_epoch(p, e->current_leader_epoch);
    if (e->status != RL_OK)
        return;
    int64_t upper_offset = read_committed ? rl_partition_last_stable_offset(p) : p->high_watermark;
    int64_t start_offset = rl_partition_log_start_offset(p);
    switch (e->timestamp) {
    case LATEST:
        e->ret_offset = upper_offset;
        e->ret_leader_epoch = p->leader_epoch;
        break;
    case EARLIEST:
    case EARLIEST_LOCAL:
        e->ret_offset = start_offset;
        e->ret_leader_epoch = rl_log_epoch_of(p->log, start_offset);
        break;
    case LATEST_TIERED:                 /* nothing is tiered, nothing waits for an upload */
    case EARLIEST_PENDING_UPLOAD:
        break;
    default:
        list_lookup(e, p, upper_offset);
    }
}

static void list_run(struct rl_scatter_call *call)
{
    const struct list_offsets *l = RL_CONTAINER_OF(call->scatter, struct list_offsets, scatter);
    call->outstanding = 1;
    for (struct rl_scatter_item *i = call->items; i != NULL; i = i->next) {
        struct list_entry *e = RL_CONTAINER_OF(i, struct list_entry, item);
        e->call = call;
        list_partition(e, rl_replica_manager_find(call->owner, e->topic_id, e->partition_index),
                       l->read_committed);
    }
    list_release(call);
}

/* ---- on the connection's shard ---- */

static void list_done(struct rl_scatter *scatter)
{
    struct list_offsets *l = RL_CONTAINER_OF(scatter, struct list_offsets, scatter);
    for (struct rl_scatter_call *c = scatter->calls; c != NULL; c = c->next)
        for (struct rl_scatter_item *i = c->items; i != NULL; i = i->next) {
            struct list_entry *e = RL_CONTAINER_OF(i, struct list_entry, item);
            e->answer->error_code = rl_kafka_error_of(e->status);
            if (e->status != RL_OK)
                continue;
            e->answer->offset = e->ret_offset;
            e->answer->timestamp = e->ret_timestamp_ms;
            e->answer->leader_epoch = e->ret_leader_epoch;
        }
    rl_reply_message(scatter->request, &l->response);
}

static bool timestamp_is_supported(int64_t timestamp, int16_t version)
{
    switch (timestamp) {
    case LATEST:
    case EARLIEST:                return true;
    case MAX_TIMESTAMP:           return version >= 7;
    case EARLIEST_LOCAL:          return version >= 8;
    case LATEST_TIERED:           return version >= 9;
    case EARLIEST_PENDING_UPLOAD: return version >= 11;
    default:                      return timestamp >= 0;
    }
}

static bool list_add(struct rl_request *request, struct list_offsets *l, const struct rl_topic *topic,
                     const struct rl_list_offsets_request_partition *asked,
                     struct rl_list_offsets_response_partition *answer)
{
    if (topic == NULL || asked->partition_index < 0 || asked->partition_index >= topic->partition_count) {
        answer->error_code = RL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
        return true;
    }
    if (!timestamp_is_supported(asked->timestamp, request->api_version)) {
        answer->error_code = RL_KAFKA_UNSUPPORTED_VERSION;
        return true;
    }
    struct list_entry *e = rl_request_alloc(request, 1, sizeof *e);
    if (e == NULL)
        return false;
    e->answer = answer;
    e->topic_id = topic->id;
    e->partition_index = asked->partition_index;
    e->current_leader_epoch = asked->current_leader_epoch;
    e->timestamp = asked->timestamp;
    e->ret_offset = e->ret_timestamp_ms = -1;
    e->ret_leader_epoch = -1;
    uint32_t shard_count = rl_request_shard(request)->count;
    uint32_t home = rl_partition_home(topic->id, asked->partition_index, shard_count);
    if (rl_scatter_add(&l->scatter, home, &e->item) == RL_OK)
        return true;
    rl_request_close(request);
    return false;
}

static bool list_topic(struct rl_request *request, struct list_offsets *l,
                       const struct rl_list_offsets_request_topic *from,
                       struct rl_list_offsets_response_topic *to)
{
    const struct rl_image *image = rl_image_current(rl_request_shard(request));
    const struct rl_topic *topic = rl_image_find(image, from->name);
    rl_list_offsets_response_topic_init(to);
    to->name = from->name;
    to->partitions = rl_request_alloc(request, (size_t)from->partitions_count, sizeof *to->partitions);
    if (to->partitions == NULL)
        return false;
    to->partitions_count = from->partitions_count;
    for (int32_t i = 0; i < from->partitions_count; i++) {
        rl_list_offsets_response_partition_init(&to->partitions[i]);
        to->partitions[i].partition_index = from->partitions[i].partition_index;
        if (!list_add(request, l, topic, &from->partitions[i], &to->partitions[i]))
            return false;
    }
    return true;
}

void rl_api_list_offsets(struct rl_request *request, const void *message)
{
    const struct rl_list_offsets_request *asked = message;
    struct list_offsets *l = rl_request_alloc(request, 1, sizeof *l);
    if (l == NULL)
        return;
    l->read_committed = asked->isolation_level == 1;
    rl_scatter_init(&l->scatter, request, list_run, list_done);
    rl_list_offsets_response_init(&l->response);
    l->response.topics = rl_request_alloc(request, (size_t)asked->topics_count, sizeof *l->response.topics);
    if (l->response.topics == NULL)
        return;
    l->response.topics_count = asked->topics_count;
    for (int32_t i = 0; i < asked->topics_count; i++)
        if (!list_topic(request, l, &asked->topics[i], &l->response.topics[i]))
            return;
    rl_scatter_start(&l->scatter);
}
