/* broker/api_list_config_resources.c — ListConfigResources (KIP-1142): what has configuration.
 *
 * Version 0 asks for client metrics only, of which there are none.  Failures: a type that Kafka
 * does not list is UNSUPPORTED_VERSION, as there. */
#include "broker/alter_configs.h"
#include "broker/broker.h"
#include "broker/settings.h"
#include "broker/topics.h"
#include "replicate/metadata_image.h"
#include "wire/msg_list_config_resources.h"

struct list {
    struct rl_request *request;
    const struct rl_list_config_resources_request *asked;
    struct rl_list_config_resources_response response;
};

static bool list_wants(const struct list *l, int8_t type)
{
    if (l->asked->resource_types_count == 0)
        return true;
    for (int32_t i = 0; i < l->asked->resource_types_count; i++)
        if (l->asked->resource_types[i] == type)
            return true;
    return false;
}

static void list_add(struct list *l, int8_t type, struct rl_slice name)
{
    l->response.config_resources[l->response.config_resources_count++] =
        (struct rl_list_config_resources_response_config_resource){ .resource_name = name,
                                                                    .resource_type = type };
}

static void list_add_brokers(struct list *l, struct rl_slice id)
{
    if (list_wants(l, RL_RESOURCE_BROKER_LOGGER))
        list_add(l, RL_RESOURCE_BROKER_LOGGER, id);
    if (list_wants(l, RL_RESOURCE_BROKER))
        list_add(l, RL_RESOURCE_BROKER, id);
}

void rl_api_list_config_resources(struct rl_request *request, const void *message)
{
    struct list l = { .request = request, .asked = message };
    const struct rl_shard *shard = rl_request_shard(request);
    const struct rl_image *image = rl_image_current(shard);
    uint32_t resource_count;
    const struct rl_config_resource *resources = rl_settings_all(shard, &resource_count);
    struct rl_slice id;

    rl_list_config_resources_response_init(&l.response);
    if (request->api_version == 0) {
        rl_reply_message(request, &l.response);
        return;
    }
    for (int32_t i = 0; i < l.asked->resource_types_count; i++)
        if (!rl_resource_type_is_known(l.asked->resource_types[i])) {
            l.response.error_code = RL_KAFKA_UNSUPPORTED_VERSION;
            rl_reply_message(request, &l.response);
            return;
        }
    l.response.config_resources = rl_request_alloc(request, (size_t)image->topic_count +
                                                   resource_count + 2,
                                                   sizeof *l.response.config_resources);
    if (l.response.config_resources == NULL ||
        !rl_request_printf(request, &id, "%d", rl_broker_of(shard)->node_id))
        return;
    if (list_wants(&l, RL_RESOURCE_GROUP))
        for (uint32_t i = 0; i < resource_count; i++)
            if (resources[i].type == RL_CONFIG_RESOURCE_GROUP)
                list_add(&l, RL_RESOURCE_GROUP, rl_slice_of_string(resources[i].name));
    list_add_brokers(&l, id);
    if (list_wants(&l, RL_RESOURCE_TOPIC))
        for (uint32_t i = 0; i < image->topic_count; i++)
            list_add(&l, RL_RESOURCE_TOPIC, rl_slice_of_string(image->by_name[i]->name));
    rl_reply_message(request, &l.response);
}
