/* replicate/replica_manager.c — the partitions of one shard follow the metadata image.
 *
 * Happy path of an apply: topics that are new here get their partitions; where the topic is still
 * CREATING, one helper job makes all the directories and syncs them together; then each
 * log is opened; the apply is done when the last one answered.  Removed topics lose their
 * partitions at once (requests see them gone) and their files when the log is closed.
 *
 * Failures: a partition whose directory cannot be made or whose log cannot be opened is offline,
 * with a log line that says why; the others serve.  What happens to it then: replica_heal.c. */
#include "replicate/replica_manager.h"
#include "core/logger.h"
#include "core/memory.h"
#include "core/table.h"
#include "io/disk.h"
#include "replicate/replica_internal.h"

static struct replica_manager *manager_of(const struct rl_shard *shard)
{
    return shard->context[RL_CONTEXT_REPLICATE];
}

static void replica_key(struct rl_uuid topic_id, int32_t partition, uint8_t key[20])
{
    memcpy(key, topic_id.bytes, 16);
    memcpy(key + 16, &partition, 4);
}

struct rl_log_identity rl_replica_identity(const struct replica *r)
{
    return (struct rl_log_identity){ .topic_id = r->partition->topic_id,
                                     .topic = r->partition->topic,
                                     .partition = r->partition->index };
}

static void on_maintain(struct rl_timer *timer)
{
    struct replica_manager *m = timer->arg;
    RL_LIST_EACH(link, &m->replicas) {
        struct rl_partition *p = RL_LIST_ENTRY(link, struct replica, link)->partition;
        if (p->state == RL_REPLICA_LEADER)
            rl_log_maintain(p->log, p->high_watermark);
    }
    rl_timer_start(m->shard, timer, m->shard->now_ns + m->options.maintain_interval_ns);
}

rl_status rl_replica_manager_start(struct rl_shard *shard,
                                   const struct rl_replica_manager_options *options)
{
    struct replica_manager *m = rl_alloc_zero(1, sizeof *m);
    m->shard = shard;
    m->options = *options;
    rl_table_init(&m->by_key, rl_shard_random(shard));
    rl_list_init(&m->replicas);
    m->maintain = (struct rl_timer){ .done = on_maintain, .arg = m };
    rl_timer_start(shard, &m->maintain, shard->now_ns + options->maintain_interval_ns);
    shard->context[RL_CONTEXT_REPLICATE] = m;
    return RL_OK;
}

struct rl_partition *rl_replica_manager_find(struct rl_shard *shard, struct rl_uuid topic_id,
                                             int32_t partition)
{
    uint8_t key[20];
    replica_key(topic_id, partition, key);
    struct replica *r = rl_table_find(&manager_of(shard)->by_key, rl_slice_of(key, sizeof key));
    return r != NULL ? r->partition : NULL;
}

void rl_replica_manager_count(const struct rl_shard *shard, uint32_t *ret_partitions,
                              uint32_t *ret_offline)
{
    *ret_partitions = *ret_offline = 0;
    RL_LIST_EACH(link, &manager_of(shard)->replicas) {
        ++*ret_partitions;
        *ret_offline += RL_LIST_ENTRY(link, struct replica, link)->partition->state == RL_REPLICA_OFFLINE;
    }
}

/* ---- an apply is done when nothing of it is outstanding ---- */

static void apply_release(struct apply *a)
{
    RL_ASSERT(a->outstanding > 0);
    if (--a->outstanding > 0)
        return;
    a->done(a->arg, a->failures, a->failure_count);
    rl_free(a);
}

static void apply_note(struct apply *a, const struct replica *r, rl_status status)
{
    struct rl_uuid topic_id = r->partition->topic_id;
    if (status == RL_OK ||              /* or as the partition before it */
        (a->failure_count > 0 && rl_uuid_equal(a->failures[a->failure_count - 1].topic_id, topic_id)))
        return;
    if (a->failure_count == a->failure_capacity) {
        a->failure_capacity = RL_MAX(8u, 2 * a->failure_capacity);
        a->failures = rl_realloc(a->failures, a->failure_capacity * sizeof *a->failures);
    }
    a->failures[a->failure_count++] = (struct rl_topic_failure){ topic_id, status };
}

static struct replica *replica_alloc(struct replica_manager *m, const struct rl_topic *topic,
                                     int32_t index)
{
    struct replica *r = rl_alloc_zero(1, sizeof *r);
    r->partition = rl_partition_create(m->shard, topic->id, topic->name, index, &topic->config);
    r->partition->manager = m;
    r->partition->log_failed = rl_replica_heal;
    r->partition->replica = r;
    r->leader_epoch = topic->leader_epoch;
    replica_key(topic->id, index, r->key);
    return r;
}

/* ---- removal ---- */

static void replica_free(struct replica *r)
{
    r->partition->log = NULL;
    rl_partition_free(r->partition);
    rl_free(r);
}

static void remove_run(struct rl_op *op)
{
    struct replica *r = op->arg;
    struct rl_log_identity identity = rl_replica_identity(r);
    struct replica_manager *m = r->partition->manager;
    op->status = rl_log_delete_directory(m->shard->disk, m->options.data_dir, &identity);
}

static void remove_done(struct rl_op *op)
{
    struct replica *r = op->arg;
    if (op->status != RL_OK && op->status != RL_ENOTFOUND) {
        apply_note(r->removal, r, op->status);
        RL_ERROR("replicate", "cannot delete the files of %s-%d: %s; they will be deleted at the next start",
                 r->partition->topic, r->partition->index, rl_status_text(op->status));
    }
    apply_release(r->removal);
    replica_free(r);
}

static void remove_files(void *arg)
{
    struct replica *r = arg;
    r->remove_job = (struct rl_op){ .kind = RL_OP_JOB, .done = remove_done, .arg = r,
                                    .job = { .run = remove_run } };
    rl_submit(r->partition->home, &r->remove_job);
}

/* Close the log, then delete the files. */
static void replica_remove_log(struct replica *r)
{
    struct rl_partition *p = r->partition;
    rl_replica_heal_stop(r);
    if (p->state == RL_REPLICA_LEADER)
        rl_partition_go_offline(p, RL_ENOTFOUND);
    if (p->log != NULL)
        rl_log_close(p->log, false, remove_files, r);
    else
        remove_files(r);
}

/* The topic is deleted: nobody finds the partition any more; its log and its files follow, as
 * soon as a log that is just being opened has arrived. */
static void replica_remove(struct replica *r, struct apply *a)
{
    rl_table_remove(&a->manager->by_key, rl_slice_of(r->key, sizeof r->key));
    rl_list_remove(&r->link);
    r->partition->removing = true;
    r->removal = a;
    a->outstanding++;
    if (!r->opening)
        replica_remove_log(r);
}

/* A topic whose deletion a crash interrupted was never opened here, but its files may lie here. */
static void replica_remove_leftover(struct apply *a, const struct rl_topic *topic, int32_t index)
{
    struct replica_manager *m = a->manager;
    if (rl_partition_home(topic->id, index, m->shard->count) != m->shard->index)
        return;
    struct replica *r = replica_alloc(m, topic, index);
    r->removal = a;
    a->outstanding++;
    remove_files(r);
}

/* ---- creation ---- */

static void stop_close(struct replica *r);

void rl_replica_settled(struct replica *r)
{
    r->opening = false;
    if (r->apply != NULL)
        apply_release(r->apply);
    r->apply = NULL;
    if (r->removal != NULL)
        replica_remove_log(r);
    else if (((struct replica_manager *)r->partition->manager)->stopped != NULL)
        stop_close(r);
}

/* A sync failed before the process was killed, and this start raised no epochs for it. */
static bool is_doubtful(const struct replica *r, const struct rl_log *log)
{
    const struct rl_log_start *start = &((struct replica_manager *)r->partition->manager)->options.log_start;
    return rl_log_was_rebuilt(log) && (start->clean || start->same_mount);
}

static void on_log_opened(void *arg, rl_status status, struct rl_log *log)
{
    struct replica *r = arg;
    struct rl_partition *p = r->partition;
    if (status == RL_OK && is_doubtful(r, log)) {
        p->log = log;
        rl_partition_go_offline(p, RL_EIO);
        rl_replica_heal_doubt(r);
    } else if (status == RL_OK) {
        rl_log_set_config(log, &p->config);             /* it may have changed while this was opened */
        rl_partition_lead(p, log, r->leader_epoch);
    } else {
        RL_ERROR("replicate", "partition %s-%d is offline: %s", p->topic, p->index,
                 status == RL_ENOTFOUND ? "its directory is missing; restore it or delete the topic"
                                        : rl_status_text(status));
        rl_partition_go_offline(p, RL_EIO);
        rl_replica_heal_later(r);
    }
    rl_replica_settled(r);
}

static void replica_open(struct replica *r)
{
    struct replica_manager *m = r->partition->manager;
    struct rl_log_identity identity = rl_replica_identity(r);
    struct rl_log_start start = m->options.log_start;
    start.leader_epoch_known = true;
    start.leader_epoch = r->leader_epoch;
    rl_log_open(m->shard, &identity, &r->partition->config, start,
                &rl_partition_log_events, r->partition, on_log_opened, r);
}

static void create_run(struct rl_op *op)
{
    struct apply *a = op->arg;
    struct replica_manager *m = a->manager;
    struct rl_log_creation *creations = rl_alloc_zero(a->creating_count, sizeof *creations);
    uint32_t count = 0;
    RL_LIST_EACH(link, &a->creating)
        creations[count++].identity = rl_replica_identity(RL_LIST_ENTRY(link, struct replica, creating_link));
    op->status = rl_log_create_directories(m->shard->disk, m->options.data_dir, creations, count);
    count = 0;
    RL_LIST_EACH(link, &a->creating) {
        rl_status status = creations[count++].status;
        RL_LIST_ENTRY(link, struct replica, creating_link)->directory_status =
            status == RL_EEXIST ? RL_OK : status;
    }
    rl_free(creations);
}

static void create_done(struct rl_op *op)
{
    struct apply *a = op->arg;
    struct rl_list *link;
    while ((link = rl_list_pop_front(&a->creating)) != NULL) {
        struct replica *r = RL_LIST_ENTRY(link, struct replica, creating_link);
        rl_status status = op->status != RL_OK ? op->status : r->directory_status;
        apply_note(a, r, status);
        if (status == RL_OK)
            replica_open(r);
        else
            on_log_opened(r, status, NULL);
    }
    apply_release(a);
}

static void apply_creates(struct apply *a, struct replica *r)
{
    rl_list_push_back(&a->creating, &r->creating_link);
    a->creating_count++;
}

static void replica_create(struct apply *a, const struct rl_topic *topic, int32_t index)
{
    struct replica_manager *m = a->manager;
    struct replica *r = replica_alloc(m, topic, index);
    r->apply = a;
    r->opening = true;
    a->outstanding++;
    rl_table_put(&m->by_key, rl_slice_of(r->key, sizeof r->key), r);
    rl_list_push_back(&m->replicas, &r->link);
    if (topic->state == RL_TOPIC_CREATING && index >= topic->partitions_made)
        apply_creates(a, r);
    else
        replica_open(r);
}

/* Its directory could not be made when it was asked for first, and the topic still waits for it. */
static bool replica_was_not_made(const struct replica *r, const struct rl_topic *topic)
{
    return topic->state == RL_TOPIC_CREATING && r->partition->index >= topic->partitions_made &&
           r->partition->log == NULL && !r->opening;
}

static void replica_make_again(struct apply *a, struct replica *r)
{
    rl_replica_heal_stop(r);
    r->apply = a;
    r->opening = true;
    a->outstanding++;
    apply_creates(a, r);
}

static void replica_follow(struct replica *r, const struct rl_topic *topic)
{
    struct rl_partition *p = r->partition;
    p->config = topic->config;
    if (p->log != NULL)
        rl_log_set_config(p->log, &topic->config);
    r->leader_epoch = topic->leader_epoch;
    if (p->state == RL_REPLICA_LEADER && p->leader_epoch < topic->leader_epoch)
        rl_partition_raise_epoch(p, topic->leader_epoch);
    rl_replica_heal_epoch(r);
}

static void apply_topic(struct apply *a, const struct rl_topic *topic)
{
    struct replica_manager *m = a->manager;
    uint32_t first = (m->shard->index + m->shard->count -
                      rl_partition_home(topic->id, 0, m->shard->count)) % m->shard->count;
    for (int64_t i = first; i < topic->partition_count; i += m->shard->count) {
        uint8_t key[20];
        replica_key(topic->id, (int32_t)i, key);
        struct replica *r = rl_table_find(&m->by_key, rl_slice_of(key, sizeof key));
        if (r == NULL)
            replica_create(a, topic, (int32_t)i);
        else
            replica_follow(r, topic);
        if (r != NULL && replica_was_not_made(r, topic))
            replica_make_again(a, r);
    }
}

/* Most topics of an image are the very nodes of the one before: only the others need a look. */
static void apply_changes(struct apply *a, const struct rl_image *before, const struct rl_image *image)
{
    uint32_t b = 0;
    for (uint32_t i = 0; i < image->topic_count; i++) {
        const struct rl_topic *topic = image->by_name[i];
        while (before != NULL && b < before->topic_count &&
               strcmp(before->by_name[b]->name, topic->name) < 0)
            b++;
        if (before != NULL && b < before->topic_count && before->by_name[b] == topic)
            continue;
        apply_topic(a, topic);
    }
}

void rl_replica_manager_apply(struct rl_shard *shard, const struct rl_image *image,
                              const struct rl_topic *const *removed, uint32_t removed_count,
                              rl_applied_fn *done, void *arg)
{
    struct replica_manager *m = manager_of(shard);
    struct apply *a = rl_alloc_zero(1, sizeof *a);
    *a = (struct apply){ .manager = m, .outstanding = 1, .done = done, .arg = arg };
    rl_list_init(&a->creating);

    for (uint32_t t = 0; t < removed_count; t++)
        for (int32_t i = 0; i < removed[t]->partition_count; i++) {
            uint8_t key[20];
            replica_key(removed[t]->id, i, key);
            struct replica *r = rl_table_find(&m->by_key, rl_slice_of(key, sizeof key));
            if (r != NULL)
                replica_remove(r, a);
            else
                replica_remove_leftover(a, removed[t], i);
        }
    apply_changes(a, m->image, image);
    m->image = image;

    if (!rl_list_empty(&a->creating)) {
        a->outstanding++;
        a->job = (struct rl_op){ .kind = RL_OP_JOB, .done = create_done, .arg = a,
                                 .job = { .run = create_run } };
        rl_submit(shard, &a->job);
    }
    apply_release(a);
}

/* ---- stop ---- */

void rl_replica_stop_release(struct replica_manager *m)
{
    if (--m->closing > 0)
        return;
    struct rl_list *link;
    while ((link = rl_list_pop_front(&m->replicas)) != NULL)
        replica_free(RL_LIST_ENTRY(link, struct replica, link));
    rl_table_done(&m->by_key);
    m->shard->context[RL_CONTEXT_REPLICATE] = NULL;
    m->stopped(m->stopped_arg);
    rl_free(m);
}

static void on_log_closed(void *arg)
{
    struct rl_partition *p = arg;
    p->log = NULL;
    rl_replica_stop_release(p->manager);
}

static void stop_close(struct replica *r)
{
    struct rl_partition *p = r->partition;
    rl_replica_heal_stop(r);
    bool healthy = p->state == RL_REPLICA_LEADER;
    if (healthy)
        rl_partition_go_offline(p, RL_ESTOPPING);
    if (p->log != NULL)
        rl_log_close(p->log, healthy, on_log_closed, p);
    else
        on_log_closed(p);
}

void rl_replica_manager_stop(struct rl_shard *shard, void (*done)(void *arg), void *arg)
{
    struct replica_manager *m = manager_of(shard);
    m->stopped = done;
    m->stopped_arg = arg;
    rl_timer_stop(shard, &m->maintain);
    m->closing = 1 + m->raising;
    RL_LIST_EACH(link, &m->replicas) {
        struct replica *r = RL_LIST_ENTRY(link, struct replica, link);
        m->closing++;
        if (!r->opening)                /* else when it has arrived */
            stop_close(r);
    }
    rl_replica_stop_release(m);
}
