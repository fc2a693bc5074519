/* broker/api_alter_configs.c — AlterConfigs: the whole configuration of resources, anew.
 *
 * Kept for older clients: what the request does not name is deleted.  See alter_configs.c. */
#include "broker/alter_configs.h"
#include "broker/broker.h"
#include "wire/msg_alter_configs.h"

static void on_done(struct rl_alter_configs *all)
{
    struct rl_alter_configs_response response;
    rl_alter_configs_response_init(&response);
    response.responses = rl_request_alloc(all->request, all->item_count, sizeof *response.responses);
    if (response.responses == NULL)
        return;
    response.responses_count = (int32_t)all->item_count;
    for (uint32_t i = 0; i < all->item_count; i++) {
        const struct rl_alter_item *item = &all->items[i];
        response.responses[i] = (struct rl_alter_configs_response_resource){
            .error_code = item->error_code, .error_message = item->error_message,
            .resource_type = item->resource_type, .resource_name = item->resource_name };
    }
    rl_reply_message(all->request, &response);
}

void rl_api_alter_configs(struct rl_request *request, const void *message)
{
    const struct rl_alter_configs_request *asked = message;
    struct rl_alter_configs *all =
        rl_alter_configs_create(request, asked->validate_only, asked->resources_count, on_done);
    if (all == NULL)
        return;
    all->replace = true;
    for (int32_t i = 0; i < asked->resources_count; i++) {
        const struct rl_alter_configs_request_resource *from = &asked->resources[i];
        struct rl_alter_item *item = &all->items[i];
        if (!rl_alter_item_begin(all, item, from->resource_type, from->resource_name, from->configs_count))
            return;
        for (int32_t c = 0; c < from->configs_count; c++)
            if (!rl_alter_item_set(all, &item->changes[c], from->configs[c].name,
                                   from->configs[c].value, RL_CONFIG_SET))
                return;
    }
    rl_alter_configs_start(all);
}
