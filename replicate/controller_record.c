/* replicate/controller_record.c — the values in the metadata store, as JSON objects.
 *
 *   topics/<name>        {"version":1,"id":"<22 characters>","state":"creating|online|deleting",
 *                         "partitions":3,"created_at_floor":0,"overrides":{"retention.ms":"1000"}}
 *                        creating, with partitions that were there before: also "made":2
 *   configs/<type>/<id>  {"version":1,"overrides":{"log.retention.ms":"1000"}}
 *   broker/epoch-floor   {"version":1,"number":2}
 *   broker/producer-ids  {"version":1,"number":3000}
 *
 * JSON and not a binary form: these values are what somebody reads in trouble (strings
 * metadata.log; later an operator's ZooKeeper shell), they are few and small, and a field that is
 * added later does not hurt an older reader.  Their integrity is the store's affair.
 *
 * Failures: what is not such an object is RL_ECORRUPT, a higher version RL_EVERSION. */
#include "core/memory.h"
#include "replicate/controller_internal.h"
#include <jansson.h>
#include <stdlib.h>

#define RECORD_VERSION 1

static const char *const state_names[] = {
    [TOPIC_RECORD_CREATING] = "creating",
    [TOPIC_RECORD_ONLINE] = "online",
    [TOPIC_RECORD_DELETING] = "deleting",
};

static int text_dump(const char *data, size_t bytes, void *arg)
{
    rl_text_append(arg, data, bytes);
    return 0;
}

/* Append and release. */
static void record_dump(json_t *record, struct rl_text *text)
{
    json_dump_callback(record, text_dump, text, JSON_COMPACT);
    json_decref(record);
}

/* The same with the overrides added. */
static rl_status record_dump_with(json_t *record, const struct rl_topic_override *overrides,
                                  uint32_t count, struct rl_text *text)
{
    json_t *object = json_object();
    bool good = true;
    for (uint32_t i = 0; i < count; i++)
        good &= json_object_set_new(object, overrides[i].key, json_string(overrides[i].value)) == 0;
    json_object_set_new(record, "overrides", object);
    if (!good) {
        json_decref(record);
        return RL_EINVAL;
    }
    record_dump(record, text);
    return RL_OK;
}

rl_status rl_topic_record_encode(const struct rl_topic *topic, enum topic_record_state state,
                                 struct rl_text *text)
{
    char id[RL_UUID_TEXT_BYTES];
    rl_uuid_format(topic->id, id);
    json_t *record = json_object();
    json_object_set_new(record, "version", json_integer(RECORD_VERSION));
    json_object_set_new(record, "id", json_string(id));
    json_object_set_new(record, "state", json_string(state_names[state]));
    json_object_set_new(record, "partitions", json_integer(topic->partition_count));
    if (state == TOPIC_RECORD_CREATING && topic->partitions_made > 0)
        json_object_set_new(record, "made", json_integer(topic->partitions_made));
    json_object_set_new(record, "created_at_floor", json_integer(topic->created_at_floor));
    return record_dump_with(record, topic->overrides, topic->override_count, text);
}

rl_status rl_overrides_record_encode(const struct rl_topic_override *overrides, uint32_t count,
                                     struct rl_text *text)
{
    json_t *record = json_object();
    json_object_set_new(record, "version", json_integer(RECORD_VERSION));
    return record_dump_with(record, overrides, count, text);
}

/* The object, if it is one of a version we know. */
static rl_status record_parse(struct rl_slice value, json_t **ret_record)
{
    json_t *record = json_loadb((const char *)value.data, value.bytes, JSON_REJECT_DUPLICATES,
                                NULL);
    const json_t *version = json_object_get(record, "version");         /* NULL is fine there */
    rl_status status = RL_OK;
    if (!json_is_integer(version) || json_integer_value(version) < 1)
        status = RL_ECORRUPT;
    else if (json_integer_value(version) > RECORD_VERSION)
        status = RL_EVERSION;
    if (status != RL_OK)
        json_decref(record);
    else
        *ret_record = record;
    return status;
}

static bool integer_get(const json_t *record, const char *key, int64_t least, int64_t most,
                        int64_t *ret_value)
{
    const json_t *item = json_object_get(record, key);
    int64_t value = json_integer_value(item);
    if (!json_is_integer(item) || value < least || value > most)
        return false;
    *ret_value = value;
    return true;
}

static bool state_get(const json_t *record, enum topic_record_state *ret_state)
{
    const char *name = json_string_value(json_object_get(record, "state"));
    for (size_t i = 0; name != NULL && i < RL_ARRAY_COUNT(state_names); i++)
        if (strcmp(name, state_names[i]) == 0) {
            *ret_state = (enum topic_record_state)i;
            return true;
        }
    return false;
}

/* The overrides as an array that borrows its strings from `object`; false: not all strings. */
static bool overrides_get(json_t *object, struct rl_topic_override **ret_overrides,
                          uint32_t *ret_count)
{
    if (!json_is_object(object))
        return false;
    struct rl_topic_override *overrides =
        rl_alloc_zero(json_object_size(object) + 1, sizeof *overrides);
    uint32_t count = 0;
    bool good = true;
    const char *key;
    json_t *item;
    json_object_foreach (object, key, item) {
        good &= json_is_string(item);
        overrides[count++] = (struct rl_topic_override){ key, json_string_value(item) };
    }
    if (!good) {
        rl_free(overrides);
        return false;
    }
    *ret_overrides = overrides;
    *ret_count = count;
    return true;
}

rl_status rl_topic_record_decode(struct rl_slice value, const char *name,
                                 struct rl_topic **ret_topic, enum topic_record_state *ret_state)
{
    json_t *record = NULL;
    rl_status status = record_parse(value, &record);
    if (status != RL_OK)
        return status;

    struct rl_topic topic = { .name = name };
    struct rl_topic_override *overrides = NULL;
    int64_t partitions = 0, floor = 0, made = 0;
    const char *id = json_string_value(json_object_get(record, "id"));
    bool good = id != NULL && rl_uuid_parse(rl_slice_of_string(id), &topic.id) == RL_OK &&
                !rl_uuid_is_zero(topic.id) && state_get(record, ret_state) &&
                integer_get(record, "partitions", 1, RL_TOPIC_PARTITIONS_MAX, &partitions) &&
                integer_get(record, "created_at_floor", INT32_MIN + 1, INT32_MAX, &floor) &&
                (json_object_get(record, "made") == NULL ||
                 integer_get(record, "made", 0, partitions, &made)) &&
                overrides_get(json_object_get(record, "overrides"), &overrides,
                              &topic.override_count);
    if (good) {
        topic.partition_count = (int32_t)partitions;
        topic.created_at_floor = (int32_t)floor;
        topic.overrides = overrides;
        topic.state = *ret_state == TOPIC_RECORD_CREATING ? RL_TOPIC_CREATING : RL_TOPIC_ONLINE;
        topic.partitions_made = topic.state == RL_TOPIC_CREATING ? (int32_t)made
                                                                 : topic.partition_count;
        *ret_topic = rl_topic_node_create(&topic);
    }
    rl_free(overrides);
    json_decref(record);
    return good ? RL_OK : RL_ECORRUPT;
}

rl_status rl_overrides_record_decode(struct rl_slice value,
                                     struct rl_topic_override **ret_overrides, uint32_t *ret_count)
{
    json_t *record = NULL;
    struct rl_topic_override *overrides = NULL;
    rl_status status = record_parse(value, &record);
    if (status != RL_OK)
        return status;
    bool good = overrides_get(json_object_get(record, "overrides"), &overrides, ret_count);
    if (good)
        *ret_overrides = rl_overrides_copy(overrides, *ret_count);
    rl_free(overrides);
    json_decref(record);
    return good ? RL_OK : RL_ECORRUPT;
}

void rl_number_record_encode(int64_t number, struct rl_text *text)
{
    json_t *record = json_object();
    json_object_set_new(record, "version", json_integer(RECORD_VERSION));
    json_object_set_new(record, "number", json_integer(number));
    record_dump(record, text);
}

rl_status rl_number_record_decode(struct rl_slice value, int64_t *ret_number)
{
    json_t *record = NULL;
    rl_status status = record_parse(value, &record);
    if (status != RL_OK)
        return status;
    bool good = integer_get(record, "number", 0, INT64_MAX, ret_number);
    json_decref(record);
    return good ? RL_OK : RL_ECORRUPT;
}
