/* broker/api_offset_commit.c — OffsetCommit: how far a group has come.
 *
 * Happy path: topics are looked up here, by name or, from version 10 on, by id; the group's shard
 * stores what is known; the answer comes when it is on stable storage.
 * Failures: unknown topics are told per partition and the rest is stored; an error of the group is the
 * error of every partition. */
#include "broker/broker.h"
#include "broker/group_scatter.h"
#include "broker/topics.h"
#include "coordinate/coordinator.h"
#include "coordinate/group_offsets.h"
#include "replicate/metadata_image.h"
#include "wire/msg_offset_commit.h"

#define TOPIC_IDS_SINCE 10
#define GROUP_ID_NOT_FOUND_SINCE 9

struct offset_commit {
    struct rl_scatter scatter;
    struct rl_group_item item;
    struct rl_offset_commit commit;
    struct rl_offset_commit_response response;
    struct rl_offset_commit_response_partition **answers;       /* by commit.partitions */
};

/* ---- on the group's shard ---- */

static void on_committed(struct rl_group_answer *answer)
{
    rl_group_item_done(&RL_CONTAINER_OF(answer, struct offset_commit, commit.answer)->item);
}

static void commit_one(struct rl_group_item *item, struct rl_groups *groups)
{
    struct offset_commit *c = RL_CONTAINER_OF(item, struct offset_commit, item);
    c->commit.metadata_units_max = rl_coordinator_options(groups->shard)->metadata_units_max;
    rl_groups_commit_offsets(groups, &c->commit);
}

static void commit_run(struct rl_scatter_call *call)
{
    rl_group_scatter_run(call, commit_one);
}

/* ---- on the connection's shard ---- */

static void commit_done(struct rl_scatter *scatter)
{
    struct offset_commit *c = RL_CONTAINER_OF(scatter, struct offset_commit, scatter);
    enum rl_group_error error = c->item.error != RL_GROUP_OK ? c->item.error : c->commit.error;
    for (uint32_t i = 0; i < c->commit.partition_count; i++)
        if (!c->commit.partitions[i].refused)
            c->answers[i]->error_code =
                rl_kafka_error_of_group(error != RL_GROUP_OK ? error : c->commit.partitions[i].error);
    rl_reply_message(scatter->request, &c->response);
}

/* NULL: there is none, *ret_error says so in the words of the version. */
static const struct rl_topic *find_topic(const struct rl_request *request,
                                         const struct rl_offset_commit_request_topic *asked, int16_t *ret_error)
{
    const struct rl_image *image = rl_image_current(rl_request_shard(request));
    bool by_id = request->api_version >= TOPIC_IDS_SINCE;
    *ret_error = by_id ? RL_KAFKA_UNKNOWN_TOPIC_ID : RL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
    return by_id ? rl_image_find_id(image, asked->topic_id) : rl_image_find(image, asked->name);
}

static bool add_topic(struct rl_request *request, struct offset_commit *c,
                      const struct rl_offset_commit_request_topic *from,
                      struct rl_offset_commit_response_topic *to)
{
    struct rl_slice name = from->name;
    int16_t unknown;
    const struct rl_topic *topic = find_topic(request, from, &unknown);
    if (request->api_version >= TOPIC_IDS_SINCE && topic != NULL &&
        !rl_request_copy_name(request, topic->name, &name))
        return false;
    rl_offset_commit_response_topic_init(to);
    to->name = from->name;
    to->topic_id = from->topic_id;
    struct rl_offset_commit_response_partition *answers =
        rl_request_alloc(request, (size_t)from->partitions_count, sizeof *answers);
    if (answers == NULL)
        return false;
    to->partitions = answers;
    to->partitions_count = from->partitions_count;
    for (int32_t i = 0; i < from->partitions_count; i++) {
        const struct rl_offset_commit_request_partition *asked = &from->partitions[i];
        struct rl_offset_commit_partition *partition = &c->commit.partitions[c->commit.partition_count];
        rl_offset_commit_response_partition_init(&answers[i]);
        answers[i].partition_index = asked->partition_index;
        bool there = topic != NULL && asked->partition_index >= 0 &&
                     asked->partition_index < topic->partition_count;
        if (!there)
            answers[i].error_code = topic == NULL ? unknown : RL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
        c->answers[c->commit.partition_count++] = &answers[i];
        *partition = (struct rl_offset_commit_partition){
            .topic = name, .partition = asked->partition_index, .refused = !there,
            .retention_ms = -1,
            .value = { .offset = asked->committed_offset, .leader_epoch = asked->committed_leader_epoch,
                       .metadata = asked->committed_metadata },
        };
    }
    return true;
}

static bool add_topics(struct rl_request *request, struct offset_commit *c,
                       const struct rl_offset_commit_request *asked)
{
    size_t count = 0;
    for (int32_t i = 0; i < asked->topics_count; i++)
        count += (size_t)asked->topics[i].partitions_count;
    c->commit.partitions = rl_request_alloc(request, count, sizeof *c->commit.partitions);
    if (c->commit.partitions == NULL)
        return false;
    c->answers = rl_request_alloc(request, count, sizeof *c->answers);
    if (c->answers == NULL)
        return false;
    struct rl_offset_commit_response_topic *topics =
        rl_request_alloc(request, (size_t)asked->topics_count, sizeof *topics);
    if (topics == NULL)
        return false;
    c->response.topics = topics;
    c->response.topics_count = asked->topics_count;
    for (int32_t i = 0; i < asked->topics_count; i++)
        if (!add_topic(request, c, &asked->topics[i], &topics[i]))
            return false;
    for (uint32_t i = 0; i < c->commit.partition_count; i++)
        c->commit.partitions[i].retention_ms = request->api_version <= 4 ? asked->retention_time_ms : -1;
    return true;
}

void rl_api_offset_commit(struct rl_request *request, const void *message)
{
    const struct rl_offset_commit_request *asked = message;
    struct offset_commit *c = rl_request_alloc(request, 1, sizeof *c);
    if (c == NULL)
        return;
    c->item.group_id = asked->group_id;
    c->commit = (struct rl_offset_commit){
        .group_id = asked->group_id, .member_id = asked->member_id, .instance_id = asked->group_instance_id,
        .generation = asked->generation_id_or_member_epoch,
        .knows_group_ids = request->api_version >= GROUP_ID_NOT_FOUND_SINCE,
        .answer = { .done = on_committed },
    };
    rl_offset_commit_response_init(&c->response);
    rl_scatter_init(&c->scatter, request, commit_run, commit_done);
    if (!add_topics(request, c, asked))
        return;
    bool nothing = true;
    for (uint32_t i = 0; i < c->commit.partition_count; i++)
        nothing &= c->commit.partitions[i].refused;
    if (nothing && c->commit.partition_count > 0) {
        rl_reply_message(request, &c->response);
        return;
    }
    if (rl_group_scatter_add(&c->scatter, &c->item))
        rl_scatter_start(&c->scatter);
}
