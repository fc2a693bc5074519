/* broker/api_describe_log_dirs.c — DescribeLogDirs: what lies where, and how much (KIP-113, 827).
 *
 * Happy path: the owners say how large each partition is; a helper asks for the volume's space; one
 * data directory is the answer.  Partitions are answered once, however often they are asked for;
 * those that are not there, or not open, are left out, as in Kafka. */
#include "broker/broker.h"
#include "broker/scatter.h"
#include "broker/topics.h"
#include "core/table.h"
#include "io/disk.h"
#include "io/op.h"
#include "replicate/metadata_image.h"
#include "replicate/replica_manager.h"
#include "wire/msg_describe_log_dirs.h"

struct size_entry {                     /* one partition */
    struct rl_scatter_item item;
    struct rl_uuid topic_id;
    int32_t partition_index;
    bool found;
    uint64_t size_bytes;
    struct size_entry *next;            /* of the same topic */
};

struct size_topic {
    struct rl_slice name;
    uint8_t *wanted;                    /* a bit for each partition */
    struct size_entry *entries;
    struct size_topic *next;
};

struct log_dirs {
    struct rl_scatter scatter;
    struct rl_op space;
    const char *data_dir;
    struct size_topic *topics, **topics_end;
    uint32_t topic_count;
    struct rl_describe_log_dirs_response response;
    struct rl_describe_log_dirs_response_result result;
};

/* ---- on the owner's shard ---- */

static void size_run(struct rl_scatter_call *call)
{
    for (struct rl_scatter_item *i = call->items; i != NULL; i = i->next) {
        struct size_entry *e = RL_CONTAINER_OF(i, struct size_entry, item);
        const struct rl_partition *p =
            rl_replica_manager_find(call->owner, e->topic_id, e->partition_index);
        e->found = p != NULL && rl_partition_check_epoch(p, -1) == RL_OK;
        if (e->found)
            e->size_bytes = rl_log_size_bytes(p->log);
    }
    rl_scatter_call_done(call);
}

/* ---- on a helper ---- */

static void space_run(struct rl_op *op)
{
    struct log_dirs *d = op->arg;
    uint64_t free_bytes, total_bytes;
    op->status = rl_disk_free_bytes(op->home->disk, d->data_dir, &free_bytes, &total_bytes);
    if (op->status != RL_OK)
        return;                         /* -1: not known */
    d->result.usable_bytes = (int64_t)free_bytes;
    d->result.total_bytes = (int64_t)total_bytes;
}

/* ---- back on the connection's shard ---- */

/* False: connection closed. */
static bool answer_topic(struct rl_request *request, const struct size_topic *from,
                         struct rl_describe_log_dirs_response_topic *to)
{
    size_t count = 0;
    for (const struct size_entry *e = from->entries; e != NULL; e = e->next)
        count += e->found;
    to->name = from->name;
    to->partitions = rl_request_alloc(request, count, sizeof *to->partitions);
    if (to->partitions == NULL)
        return false;
    for (const struct size_entry *e = from->entries; e != NULL; e = e->next)
        if (e->found)
            to->partitions[to->partitions_count++] = (struct rl_describe_log_dirs_response_partition){
                .partition_index = e->partition_index, .partition_size = (int64_t)e->size_bytes };
    return true;
}

static void space_done(struct rl_op *op)
{
    struct log_dirs *d = op->arg;
    struct rl_request *request = d->scatter.request;
    d->result.log_dir = rl_slice_of_string(d->data_dir);
    d->result.topics = rl_request_alloc(request, d->topic_count, sizeof *d->result.topics);
    if (d->result.topics == NULL)
        return;
    for (const struct size_topic *from = d->topics; from != NULL; from = from->next) {
        struct rl_describe_log_dirs_response_topic *to = &d->result.topics[d->result.topics_count];
        if (!answer_topic(request, from, to))
            return;
        d->result.topics_count += to->partitions_count > 0;
    }
    d->response.results = &d->result;
    d->response.results_count = 1;
    rl_reply_message(request, &d->response);
}

static void size_done(struct rl_scatter *scatter)
{
    struct log_dirs *d = RL_CONTAINER_OF(scatter, struct log_dirs, scatter);
    d->space = (struct rl_op){ .kind = RL_OP_JOB, .job.run = space_run, .done = space_done, .arg = d };
    rl_submit(rl_request_shard(scatter->request), &d->space);
}

/* ---- what is asked ---- */

/* False: connection closed. */
static bool add_partition(struct rl_request *request, struct log_dirs *d, struct size_topic *to,
                          const struct rl_topic *topic, int32_t index)
{
    struct size_entry *e = rl_request_alloc(request, 1, sizeof *e);
    if (e == NULL)
        return false;
    e->topic_id = topic->id;
    e->partition_index = index;
    e->next = to->entries;
    to->entries = e;
    uint32_t home = rl_partition_home(topic->id, index, rl_request_shard(request)->count);
    if (rl_scatter_add(&d->scatter, home, &e->item) == RL_OK)
        return true;
    rl_request_close(request);
    return false;
}

/* A topic of the answer; its name is copied, since the image may go before the answer is made.
 * NULL: connection closed. */
static struct size_topic *add_topic(struct rl_request *request, struct log_dirs *d,
                                    const struct rl_topic *topic)
{
    struct size_topic *to = rl_request_alloc(request, 1, sizeof *to);
    bool failed = false;
    if (to == NULL)
        return NULL;
    const char *name = rl_request_string(request, rl_slice_of_string(topic->name), &failed);
    if (failed)
        return NULL;
    to->name = rl_slice_of_string(name);
    to->wanted = rl_request_alloc(request, ((size_t)topic->partition_count + 7) / 8, 1);
    if (to->wanted == NULL)
        return NULL;
    *d->topics_end = to;
    d->topics_end = &to->next;
    d->topic_count++;
    return to;
}

static bool add_all(struct rl_request *request, struct log_dirs *d)
{
    const struct rl_image *image = rl_image_current(rl_request_shard(request));
    for (uint32_t i = 0; i < image->topic_count; i++) {
        struct size_topic *to = add_topic(request, d, image->by_name[i]);
        if (to == NULL)
            return false;
        for (int32_t p = image->by_name[i]->partition_count - 1; p >= 0; p--)
            if (!add_partition(request, d, to, image->by_name[i], p))
                return false;
    }
    return true;
}

static bool add_asked(struct rl_request *request, struct log_dirs *d,
                      const struct rl_describe_log_dirs_request_topic *asked, struct rl_table *by_name)
{
    const struct rl_topic *topic =
        rl_image_find(rl_image_current(rl_request_shard(request)), asked->topic);
    if (topic == NULL)
        return true;
    struct size_topic *to = rl_table_find(by_name, asked->topic);
    if (to == NULL && (to = add_topic(request, d, topic)) == NULL)
        return false;
    rl_table_put(by_name, to->name, to);
    for (int32_t i = 0; i < asked->partitions_count; i++) {
        int32_t index = asked->partitions[i];
        if (index < 0 || index >= topic->partition_count || (to->wanted[index / 8] >> index % 8 & 1) != 0)
            continue;
        to->wanted[index / 8] |= (uint8_t)(1 << index % 8);
        if (!add_partition(request, d, to, topic, index))
            return false;
    }
    return true;
}

static bool add_list(struct rl_request *request, struct log_dirs *d,
                     const struct rl_describe_log_dirs_request *asked)
{
    struct rl_table by_name;
    bool added = true;
    rl_table_init(&by_name, rl_shard_random(rl_request_shard(request)));
    for (int32_t i = 0; added && i < asked->topics_count; i++)
        added = add_asked(request, d, &asked->topics[i], &by_name);
    rl_table_done(&by_name);
    return added;
}

void rl_api_describe_log_dirs(struct rl_request *request, const void *message)
{
    const struct rl_describe_log_dirs_request *asked = message;
    const struct rl_broker *broker = rl_broker_of(rl_request_shard(request));
    struct log_dirs *d = rl_request_alloc(request, 1, sizeof *d);
    if (d == NULL)
        return;
    d->topics_end = &d->topics;
    d->data_dir = broker->data_dir != NULL ? broker->data_dir : broker->config->data_dir;
    rl_scatter_init(&d->scatter, request, size_run, size_done);
    rl_describe_log_dirs_response_init(&d->response);
    rl_describe_log_dirs_response_result_init(&d->result);
    if (asked->topics_count < 0 ? add_all(request, d) : add_list(request, d, asked))
        rl_scatter_start(&d->scatter);
}
