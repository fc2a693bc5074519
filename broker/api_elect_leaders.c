/* broker/api_elect_leaders.c — ElectLeaders: what a single broker truthfully says to it.
 *
 * Every partition is led by the only replica it has, so an election is never needed; asked for all
 * partitions, Kafka then lists the topics without partitions.  Failures: unknown topics, partitions
 * and election types, in Kafka's words. */
#include "broker/broker.h"
#include "broker/topics.h"
#include "replicate/metadata_image.h"
#include "wire/msg_elect_leaders.h"

enum { ELECTION_PREFERRED = 0, ELECTION_UNCLEAN = 1 };

struct elect {
    struct rl_request *request;
    const struct rl_elect_leaders_request *asked;
    const struct rl_image *image;
    bool type_is_known;
    struct rl_elect_leaders_response response;
};

/* False: connection closed. */
static bool elect_partition(struct elect *e, struct rl_slice topic_name, const struct rl_topic *topic,
                            struct rl_elect_leaders_response_partition *answer)
{
    int shown = (int)RL_MIN(topic_name.bytes, (size_t)RL_TOPIC_NAME_BYTES_MAX);
    const char *name = (const char *)topic_name.data;
    if (!e->type_is_known) {
        answer->error_code = RL_KAFKA_INVALID_REQUEST;
        return rl_request_printf(e->request, &answer->error_message, "Unknown election type %d",
                                 e->asked->election_type);
    }
    answer->error_code = RL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
    if (topic == NULL)
        return rl_request_printf(e->request, &answer->error_message, "No such topic as %.*s", shown,
                                 name);
    if (answer->partition_id < 0 || answer->partition_id >= topic->partition_count)
        return rl_request_printf(e->request, &answer->error_message, "No such partition as %.*s-%d",
                                 shown, name, answer->partition_id);
    answer->error_code = RL_KAFKA_ELECTION_NOT_NEEDED;
    answer->error_message = rl_slice_of_string("Leader election not needed for topic partition.");
    return true;
}

static bool elect_topic(struct elect *e, const struct rl_elect_leaders_request_topic *from,
                        struct rl_elect_leaders_response_result *to)
{
    const struct rl_topic *topic = rl_image_find(e->image, from->topic);
    to->topic = from->topic;
    to->partition_result = rl_request_alloc(e->request, (size_t)from->partitions_count,
                                            sizeof *to->partition_result);
    if (to->partition_result == NULL)
        return false;
    to->partition_result_count = from->partitions_count;
    for (int32_t i = 0; i < from->partitions_count; i++) {
        to->partition_result[i].partition_id = from->partitions[i];
        if (!elect_partition(e, from->topic, topic, &to->partition_result[i]))
            return false;
    }
    return true;
}

void rl_api_elect_leaders(struct rl_request *request, const void *message)
{
    struct elect e = { .request = request, .asked = message,
                       .image = rl_image_current(rl_request_shard(request)) };
    bool all = e.asked->topic_partitions_count < 0;
    int8_t type = request->api_version > 0 ? e.asked->election_type : ELECTION_PREFERRED;
    rl_elect_leaders_response_init(&e.response);
    e.type_is_known = type == ELECTION_PREFERRED || type == ELECTION_UNCLEAN;
    if (!e.type_is_known)
        e.response.error_code = RL_KAFKA_INVALID_REQUEST;
    int32_t count = !all ? e.asked->topic_partitions_count
                         : e.type_is_known ? (int32_t)e.image->topic_count : 0;
    e.response.replica_election_results =
        rl_request_alloc(request, (size_t)count, sizeof *e.response.replica_election_results);
    if (e.response.replica_election_results == NULL)
        return;
    e.response.replica_election_results_count = count;
    for (int32_t i = 0; i < count; i++) {
        struct rl_elect_leaders_response_result *to = &e.response.replica_election_results[i];
        if (all)
            to->topic = rl_slice_of_string(e.image->by_name[i]->name);
        else if (!elect_topic(&e, &e.asked->topic_partitions[i], to))
            return;
    }
    rl_reply_message(request, &e.response);
}
