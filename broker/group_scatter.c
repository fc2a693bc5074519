/* broker/group_scatter.c — requests for groups, sent to the shards that coordinate them. */
#include "broker/group_scatter.h"
#include "broker/broker.h"
#include "coordinate/coordinator.h"
#include "coordinate/group_id.h"
#include "replicate/metadata_image.h"

int16_t rl_kafka_error_of_group(enum rl_group_error error)
{
    switch (error) {
    case RL_GROUP_OK:                      return RL_KAFKA_NONE;
    case RL_GROUP_LOADING:                 return RL_KAFKA_COORDINATOR_LOAD_IN_PROGRESS;
    case RL_GROUP_NOT_AVAILABLE:           return RL_KAFKA_COORDINATOR_NOT_AVAILABLE;
    case RL_GROUP_NOT_COORDINATOR:         return RL_KAFKA_NOT_COORDINATOR;
    case RL_GROUP_INVALID_ID:              return RL_KAFKA_INVALID_GROUP_ID;
    case RL_GROUP_ID_NOT_FOUND:            return RL_KAFKA_GROUP_ID_NOT_FOUND;
    case RL_GROUP_UNKNOWN_MEMBER:          return RL_KAFKA_UNKNOWN_MEMBER_ID;
    case RL_GROUP_ILLEGAL_GENERATION:      return RL_KAFKA_ILLEGAL_GENERATION;
    case RL_GROUP_INCONSISTENT_PROTOCOL:   return RL_KAFKA_INCONSISTENT_GROUP_PROTOCOL;
    case RL_GROUP_INVALID_SESSION_TIMEOUT: return RL_KAFKA_INVALID_SESSION_TIMEOUT;
    case RL_GROUP_REBALANCING:             return RL_KAFKA_REBALANCE_IN_PROGRESS;
    case RL_GROUP_MEMBER_ID_REQUIRED:      return RL_KAFKA_MEMBER_ID_REQUIRED;
    case RL_GROUP_MAX_SIZE_REACHED:        return RL_KAFKA_GROUP_MAX_SIZE_REACHED;
    case RL_GROUP_FENCED_INSTANCE:         return RL_KAFKA_FENCED_INSTANCE_ID;
    case RL_GROUP_NOT_EMPTY:               return RL_KAFKA_NON_EMPTY_GROUP;
    case RL_GROUP_SUBSCRIBED_TO_TOPIC:     return RL_KAFKA_GROUP_SUBSCRIBED_TO_TOPIC;
    case RL_GROUP_COMMIT_TOO_LARGE:        return RL_KAFKA_INVALID_COMMIT_OFFSET_SIZE;
    case RL_GROUP_METADATA_TOO_LARGE:      return RL_KAFKA_OFFSET_METADATA_TOO_LARGE;
    case RL_GROUP_INVALID_REQUEST:         return RL_KAFKA_INVALID_REQUEST;
    case RL_GROUP_FENCED_MEMBER_EPOCH:     return RL_KAFKA_FENCED_MEMBER_EPOCH;
    case RL_GROUP_STALE_MEMBER_EPOCH:      return RL_KAFKA_STALE_MEMBER_EPOCH;
    case RL_GROUP_UNRELEASED_INSTANCE:     return RL_KAFKA_UNRELEASED_INSTANCE_ID;
    case RL_GROUP_UNSUPPORTED_ASSIGNOR:    return RL_KAFKA_UNSUPPORTED_ASSIGNOR;
    case RL_GROUP_INVALID_REGEX:           return RL_KAFKA_INVALID_REGULAR_EXPRESSION;
    case RL_GROUP_UNSUPPORTED_VERSION:     return RL_KAFKA_UNSUPPORTED_VERSION;
    case RL_GROUP_INTERNAL:
    case RL_GROUP_ERRORS:                  break;
    }
    return RL_KAFKA_UNKNOWN_SERVER_ERROR;
}

bool rl_group_scatter_add(struct rl_scatter *scatter, struct rl_group_item *item)
{
    const struct rl_shard *shard = rl_request_shard(scatter->request);
    const struct rl_topic *topic = rl_image_find(rl_image_current(shard), rl_slice_of_string(RL_OFFSETS_TOPIC));
    if (topic == NULL) {
        item->error = RL_GROUP_NOT_COORDINATOR;
        return true;
    }
    int32_t partition = rl_group_partition(item->group_id, topic->partition_count);
    if (rl_scatter_add(scatter, rl_partition_home(topic->id, partition, shard->count), &item->item) == RL_OK)
        return true;
    rl_request_close(scatter->request);
    return false;
}

static void release(struct rl_scatter_call *call)
{
    if (--call->outstanding == 0)
        rl_scatter_call_done(call);
}

void rl_group_item_done(struct rl_group_item *item)
{
    release(item->call);
}

/* Of all shards together, as long as they are few. */
#define ANSWER_BYTES_MAX ((size_t)128 << 20)
#define ANSWER_BYTES_OF_SHARD_MIN ((size_t)32 << 20)

static size_t bytes_max(const struct rl_scatter_call *call)
{
    return RL_MAX(ANSWER_BYTES_MAX / call->owner->count, ANSWER_BYTES_OF_SHARD_MIN);
}

size_t rl_group_item_left(const struct rl_group_item *item)
{
    size_t max = bytes_max(item->call);
    return max - RL_MIN(item->call->bytes, max);
}

bool rl_group_item_take(struct rl_group_item *item, size_t bytes)
{
    bool fits = bytes <= rl_group_item_left(item);
    item->call->bytes += bytes;
    if (!fits)
        item->error = RL_GROUP_INTERNAL;
    return fits;
}

void rl_group_scatter_run(struct rl_scatter_call *call,
                          void (*one)(struct rl_group_item *item, struct rl_groups *groups))
{
    call->outstanding = 1;
    call->bytes = 0;
    for (struct rl_scatter_item *i = call->items, *next; i != NULL; i = next) {
        struct rl_group_item *item = RL_CONTAINER_OF(i, struct rl_group_item, item);
        next = i->next;
        item->call = call;
        item->error = rl_coordinator_find(call->owner, item->group_id, &item->groups);
        if (item->error != RL_GROUP_OK)
            continue;
        call->outstanding++;
        one(item, item->groups);
    }
    release(call);
}

static void stop_waiting(struct rl_request *request)
{
    rl_scatter_cancel(request->state);
}

void rl_group_scatter_may_wait(struct rl_request *request, struct rl_scatter *scatter)
{
    request->state = scatter;
    request->on_cancel = stop_waiting;
    request->on_hurry = stop_waiting;
}
