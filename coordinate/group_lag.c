/* coordinate/group_lag.c — how far groups are behind, by partition, in records and in time.
 *
 * A walk is one heap struct that goes from turn to turn: ids -> rows of some groups -> a share of the
 * rows to the shards of their partitions -> back -> the next share, or the next groups. */
#include "coordinate/group_lag.h"
#include "coordinate/coordinator_internal.h"
#include "coordinate/group_id.h"
#include "coordinate/owned.h"
#include "core/memory.h"
#include "replicate/metadata_image.h"
#include "replicate/replica_manager.h"

#define ROWS_PER_SHARE 512              /* asked about at once: a few hundred microseconds of a shard */
#define GROUPS_PER_TURN 256

struct lag_row {
    struct rl_lag lag;
    struct rl_uuid topic_id;
    struct lag_row *next;               /* of the same home */
};

struct lag_call {
    struct rl_msg msg;
    struct lag_walk *walk;
    struct lag_row *rows;
};

struct lag_walk {
    struct rl_lag_walk *call;
    struct rl_shard *shard;
    struct rl_list link;                /* in the coordinator */
    struct rl_msg next;
    struct rl_slice *ids;               /* of the groups; packed behind the array */
    uint32_t id_count, id_at;
    struct lag_row *rows;               /* of the groups at hand; names packed behind */
    struct rl_lag *lags;                /* as many, for the caller */
    uint32_t row_count, row_at, share_count;
    uint32_t outstanding;               /* shards that are asked */
    struct lag_call *calls;             /* one per shard */
};

/* ---- on the shard of the partitions ---- */

void rl_lag_measure(struct rl_lag *lag, const struct rl_partition *partition)
{
    lag->known = partition != NULL && partition->state == RL_REPLICA_LEADER;
    if (!lag->known) {
        lag->log_start_offset = lag->high_watermark = lag->records = lag->unread_ms = -1;
        return;
    }
    lag->log_start_offset = rl_partition_log_start_offset(partition);
    lag->high_watermark = partition->high_watermark;
    lag->records = lag->high_watermark - RL_MAX(lag->committed_offset, 0);      /* clients may commit anything */
    lag->unread_ms = 0;
    int64_t oldest = RL_MAX(lag->committed_offset, lag->log_start_offset);
    if (oldest >= lag->high_watermark)
        return;
    int64_t append_ms = rl_log_append_time_ms(partition->log, oldest);
    lag->unread_ms = append_ms >= 0 ? RL_MAX(partition->home->wall_ms - append_ms, 0) : -1;
}

static void on_share_back(struct rl_shard *shard, struct rl_msg *msg);

static void on_share(struct rl_shard *shard, struct rl_msg *msg)
{
    struct lag_call *call = RL_CONTAINER_OF(msg, struct lag_call, msg);
    for (struct lag_row *row = call->rows; row != NULL; row = row->next) {
        bool serves = shard->context[RL_CONTEXT_REPLICATE] != NULL;     /* not after its stop */
        rl_lag_measure(&row->lag, serves ? rl_replica_manager_find(shard, row->topic_id, row->lag.partition)
                                         : NULL);
    }
    call->msg.handle = on_share_back;
    rl_shard_post(call->walk->shard, &call->msg);
}

/* ---- rows ---- */

/* The group, if it can be asked now. */
static const struct rl_group *group_find(struct lag_walk *walk, struct rl_slice id)
{
    struct rl_groups *groups;
    enum rl_group_error error = rl_coordinator_find(walk->shard, id, &groups);
    if (error == RL_GROUP_OK)
        return rl_groups_find(groups, id);
    if (walk->call->error == RL_GROUP_OK)
        walk->call->error = error;
    return NULL;
}

static size_t group_bytes(const struct rl_group *group)
{
    size_t bytes = group->offsets.count * (sizeof(struct lag_row) + sizeof(struct rl_lag)) + group->id.bytes;
    RL_LIST_EACH(node, &group->offsets.topics)
        bytes += RL_LIST_ENTRY(node, struct rl_offsets_topic, link)->name.bytes;
    return bytes;
}

static void add_rows(struct lag_walk *walk, const struct rl_group *group, uint8_t **text)
{
    const struct rl_image *image = rl_image_current(walk->shard);
    struct rl_slice id = rl_slice_pack(text, group->id);
    RL_LIST_EACH(node, &group->offsets.topics) {
        const struct rl_offsets_topic *from = RL_LIST_ENTRY(node, struct rl_offsets_topic, link);
        const struct rl_topic *topic = rl_image_find(image, from->name);
        struct rl_slice name = rl_slice_pack(text, from->name);
        for (uint32_t i = 0; i < from->count; i++)
            walk->rows[walk->row_count++] = (struct lag_row){
                .topic_id = topic != NULL ? topic->id : (struct rl_uuid){ { 0 } },
                .lag = { .group_id = id, .topic = name, .partition = from->entries[i].partition,
                         .committed_offset = from->entries[i].value.offset },
            };
    }
}

/* Copy what the next groups have committed: of one, and of more as long as they are small. */
static void gather(struct lag_walk *walk)
{
    const struct rl_group *groups[GROUPS_PER_TURN];
    size_t bytes = 0;
    uint32_t count = 0, rows = 0;
    for (uint32_t i = 0; i < GROUPS_PER_TURN && rows < ROWS_PER_SHARE && walk->id_at < walk->id_count; i++) {
        const struct rl_group *group = group_find(walk, walk->ids[walk->id_at++]);
        if (group == NULL)
            continue;
        groups[count++] = group;
        bytes += group_bytes(group);
        rows += group->offsets.count;
    }
    rl_free(walk->rows);
    walk->rows = rl_alloc(bytes + 1);
    walk->lags = (struct rl_lag *)(walk->rows + rows);
    walk->row_count = walk->row_at = 0;
    uint8_t *text = (uint8_t *)(walk->lags + rows);
    for (uint32_t i = 0; i < count; i++)
        add_rows(walk, groups[i], &text);
}

/* ---- shares ---- */

static void walk_end(struct lag_walk *walk)
{
    struct rl_lag_walk *call = walk->call;
    rl_list_remove(&walk->link);
    rl_free(walk->ids);
    rl_free(walk->rows);
    rl_free(walk->calls);
    rl_free(walk);
    call->done(call);
}

/* Ask the shards about the next rows. */
static void ask(struct lag_walk *walk)
{
    uint32_t shards = walk->shard->count;
    walk->share_count = RL_MIN(walk->row_count - walk->row_at, ROWS_PER_SHARE);
    for (uint32_t i = 0; i < shards; i++)
        walk->calls[i] = (struct lag_call){ .msg = { .handle = on_share }, .walk = walk };
    for (uint32_t i = walk->row_at + walk->share_count; i-- > walk->row_at;) {
        struct lag_row *row = &walk->rows[i];
        struct lag_call *to = &walk->calls[rl_partition_home(row->topic_id, row->lag.partition, shards)];
        row->next = to->rows;
        to->rows = row;
    }
    walk->outstanding = 0;
    for (uint32_t i = 0; i < shards; i++)
        walk->outstanding += walk->calls[i].rows != NULL;
    for (uint32_t i = 0; i < shards; i++)
        if (walk->calls[i].rows != NULL)
            rl_shard_post(rl_shard_peer(walk->shard, i), &walk->calls[i].msg);
}

static void walk_on(struct lag_walk *walk)
{
    if (!rl_coordinator_of(walk->shard)->serving)
        walk->call->error = RL_GROUP_NOT_COORDINATOR;
    else if (walk->row_at == walk->row_count && walk->id_at < walk->id_count)
        gather(walk);
    if (walk->call->error == RL_GROUP_NOT_COORDINATOR || walk->row_at == walk->row_count) {
        if (walk->call->error == RL_GROUP_NOT_COORDINATOR || walk->id_at == walk->id_count)
            walk_end(walk);
        else
            rl_shard_post(walk->shard, &walk->next);
        return;
    }
    ask(walk);
}

static void on_share_back(struct rl_shard *shard, struct rl_msg *msg)
{
    struct lag_walk *walk = RL_CONTAINER_OF(msg, struct lag_call, msg)->walk;
    (void)shard;
    if (--walk->outstanding > 0)
        return;
    for (uint32_t i = 0; i < walk->share_count; i++)
        walk->lags[i] = walk->rows[walk->row_at + i].lag;
    walk->row_at += walk->share_count;
    walk->call->each(walk->call, walk->lags, walk->share_count);
    walk_on(walk);
}

static void on_next(struct rl_shard *shard, struct rl_msg *msg)
{
    (void)shard;
    walk_on(RL_CONTAINER_OF(msg, struct lag_walk, next));
}

/* ---- ids ---- */

static void note_ids(struct lag_walk *walk)
{
    size_t bytes = 1;
    uint32_t at = 0;
    for (struct rl_groups *groups; (groups = rl_coordinator_next(walk->shard, &at)) != NULL;)
        RL_LIST_EACH(node, &groups->list) {
            bytes += sizeof *walk->ids + RL_LIST_ENTRY(node, struct rl_group, link)->id.bytes;
            walk->id_count++;
        }
    walk->ids = rl_alloc(bytes);
    uint8_t *text = (uint8_t *)(walk->ids + walk->id_count);
    struct rl_slice *id = walk->ids;
    at = 0;
    for (struct rl_groups *groups; (groups = rl_coordinator_next(walk->shard, &at)) != NULL;)
        RL_LIST_EACH(node, &groups->list)
            *id++ = rl_slice_pack(&text, RL_LIST_ENTRY(node, struct rl_group, link)->id);
}

static void note_id(struct lag_walk *walk, struct rl_slice id)
{
    walk->id_count = 1;
    walk->ids = rl_alloc(sizeof id + id.bytes + 1);
    uint8_t *text = (uint8_t *)(walk->ids + 1);
    walk->ids[0] = rl_slice_pack(&text, id);
}

void rl_lag_walk(struct rl_shard *shard, struct rl_lag_walk *call)
{
    struct lag_walk *walk = rl_alloc_zero(1, sizeof *walk);
    walk->call = call;
    walk->shard = shard;
    walk->next.handle = on_next;
    walk->calls = rl_alloc_zero(shard->count, sizeof *walk->calls);
    call->error = RL_GROUP_OK;
    call->state = walk;
    rl_list_push_back(&rl_coordinator_of(shard)->lag_walks, &walk->link);
    if (call->group_id.data != NULL) {
        note_id(walk, call->group_id);
    } else {
        note_ids(walk);
        if (rl_coordinator_is_loading(shard))
            call->error = RL_GROUP_LOADING;
    }
    rl_shard_post(shard, &walk->next);
}

void rl_lag_walks_stop(struct rl_coordinator *coordinator)
{
    RL_LIST_EACH_SAFE(node, &coordinator->lag_walks) {
        struct lag_walk *walk = RL_LIST_ENTRY(node, struct lag_walk, link);
        if (walk->outstanding > 0)
            continue;                   /* a shard that may still run has it: it ends with the process */
        walk->call->error = RL_GROUP_NOT_COORDINATOR;
        walk_end(walk);
    }
}
