/* broker/api_describe_topic_partitions.c — DescribeTopicPartitions: topics, page by page (KIP-966).
 *
 * Happy path: the topics asked for (all when none is), in order of their names, from the cursor on,
 * until the page has its partitions; the cursor of the next page is the first partition left out.
 * A page holds at most 2,000 partitions, as Kafka's max.request.partition.size.limit.
 *
 * Failures are answered per topic.  A cursor that makes no sense refuses the whole request: every
 * topic asked for carries the error. */
#include "broker/broker.h"
#include "broker/topics.h"
#include "replicate/metadata_image.h"
#include "wire/msg_describe_topic_partitions.h"

#include <stdlib.h>

#define PAGE_PARTITIONS_MAX 2000

struct page {
    struct rl_request *request;
    const struct rl_describe_topic_partitions_request *asked;
    const struct rl_image *image;
    const int32_t *node_id;
    struct rl_slice *names;             /* sorted, each once; from the cursor on */
    uint32_t name_count;
    int64_t left;                       /* partitions that the page still takes */
    struct rl_describe_topic_partitions_response response;
    struct rl_describe_topic_partitions_response_cursor next_cursor;
};

static int name_compare(const void *a, const void *b)
{
    return rl_slice_compare(*(const struct rl_slice *)a, *(const struct rl_slice *)b);
}

/* ---- what is asked ---- */

static bool page_cursor_is_valid(const struct page *page)
{
    const struct rl_describe_topic_partitions_request_cursor *cursor = page->asked->cursor;
    if (cursor == NULL)
        return true;
    if (cursor->partition_index < 0)
        return false;
    if (page->asked->topics_count == 0)
        return true;
    for (int32_t i = 0; i < page->asked->topics_count; i++)
        if (rl_slice_equal(page->asked->topics[i].name, cursor->topic_name))
            return true;
    return false;
}

static void page_refuse(struct page *page, int16_t error)
{
    const struct rl_describe_topic_partitions_request *asked = page->asked;
    page->response.topics = rl_request_alloc(page->request, (size_t)asked->topics_count,
                                             sizeof *page->response.topics);
    if (page->response.topics == NULL)
        return;
    for (int32_t i = 0; i < asked->topics_count; i++) {
        struct rl_describe_topic_partitions_response_topic *answer = &page->response.topics[i];
        rl_describe_topic_partitions_response_topic_init(answer);
        answer->error_code = error;
        answer->name = asked->topics[i].name;
    }
    page->response.topics_count = asked->topics_count;
    rl_reply_message(page->request, &page->response);
}

/* False: connection closed. */
static bool page_gather(struct page *page)
{
    const struct rl_describe_topic_partitions_request *asked = page->asked;
    bool all = asked->topics_count == 0;
    uint32_t count = all ? page->image->topic_count : (uint32_t)asked->topics_count;
    page->names = rl_request_alloc(page->request, count, sizeof *page->names);
    if (page->names == NULL)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        struct rl_slice name = all ? rl_slice_of_string(page->image->by_name[i]->name)
                                   : asked->topics[i].name;
        if (asked->cursor == NULL || rl_slice_compare(name, asked->cursor->topic_name) >= 0)
            page->names[page->name_count++] = name;
    }
    qsort(page->names, page->name_count, sizeof *page->names, name_compare);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < page->name_count; i++)
        if (kept == 0 || !rl_slice_equal(page->names[kept - 1], page->names[i]))
            page->names[kept++] = page->names[i];
    page->name_count = kept;
    return true;
}

/* ---- the answer ---- */

static void page_end(struct page *page, struct rl_slice name, int32_t partition_index)
{
    page->next_cursor = (struct rl_describe_topic_partitions_response_cursor){
        .topic_name = name, .partition_index = partition_index };
    page->response.next_cursor = &page->next_cursor;
}

/* A partition whose directory is still being made has no leader yet. */
static void page_answer_partition(const struct page *page, const struct rl_topic *topic,
                                  int32_t index,
                                  struct rl_describe_topic_partitions_response_partition *answer)
{
    bool online = topic->state == RL_TOPIC_ONLINE || index < topic->partitions_made;
    rl_describe_topic_partitions_response_partition_init(answer);
    answer->error_code = online ? RL_KAFKA_NONE : RL_KAFKA_LEADER_NOT_AVAILABLE;
    answer->partition_index = index;
    answer->leader_id = online ? *page->node_id : -1;
    answer->leader_epoch = topic->leader_epoch;
    answer->replica_nodes = answer->isr_nodes = page->node_id;
    answer->replica_nodes_count = answer->isr_nodes_count = 1;
    answer->eligible_leader_replicas_count = answer->last_known_elr_count = 0;
}

/* False: connection closed. */
static bool page_answer_topic(struct page *page, const struct rl_topic *topic,
                              struct rl_describe_topic_partitions_response_topic *answer)
{
    const struct rl_describe_topic_partitions_request_cursor *cursor = page->asked->cursor;
    int32_t first = 0;
    if (cursor != NULL && rl_slice_equal_string(cursor->topic_name, topic->name))
        first = RL_MIN(cursor->partition_index, topic->partition_count);
    int32_t count = (int32_t)RL_MIN((int64_t)(topic->partition_count - first), page->left);
    answer->topic_id = topic->id;
    answer->is_internal = rl_topics_is_internal(answer->name);
    answer->partitions = rl_request_alloc(page->request, (size_t)count, sizeof *answer->partitions);
    if (answer->partitions == NULL)
        return false;
    answer->partitions_count = count;
    for (int32_t i = 0; i < count; i++)
        page_answer_partition(page, topic, first + i, &answer->partitions[i]);
    page->left -= count;
    if (first + count < topic->partition_count)
        page_end(page, answer->name, first + count);
    return true;
}

/* False: connection closed. */
static bool page_answer(struct page *page, uint32_t i)
{
    struct rl_describe_topic_partitions_response_topic *answer =
        &page->response.topics[page->response.topics_count++];
    const struct rl_topic *topic = rl_image_find(page->image, page->names[i]);
    const char *reason;
    rl_describe_topic_partitions_response_topic_init(answer);
    answer->name = page->names[i];
    answer->topic_authorized_operations = RL_TOPIC_OPERATIONS;
    if (topic != NULL)
        return page_answer_topic(page, topic, answer);
    answer->error_code = rl_topic_name_check(page->names[i], &reason) == RL_OK
                       ? RL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION : RL_KAFKA_INVALID_TOPIC_EXCEPTION;
    return true;
}

void rl_api_describe_topic_partitions(struct rl_request *request, const void *message)
{
    struct rl_shard *shard = rl_request_shard(request);
    struct page page = { .request = request, .asked = message, .image = rl_image_current(shard),
                         .node_id = &rl_broker_of(shard)->node_id };
    rl_describe_topic_partitions_response_init(&page.response);
    if (!page_cursor_is_valid(&page)) {
        page_refuse(&page, RL_KAFKA_INVALID_REQUEST);
        return;
    }
    if (!page_gather(&page))
        return;
    page.left = RL_MAX(1, RL_MIN(page.asked->response_partition_limit, PAGE_PARTITIONS_MAX));
    page.response.topics = rl_request_alloc(request, page.name_count, sizeof *page.response.topics);
    if (page.response.topics == NULL)
        return;
    for (uint32_t i = 0; i < page.name_count && page.response.next_cursor == NULL; i++) {
        if (page.left == 0)
            page_end(&page, page.names[i], 0);
        else if (!page_answer(&page, i))
            return;
    }
    rl_reply_message(request, &page.response);
}
