/* broker/api_versions.c — ApiVersions: what this broker speaks.
 *
 * Happy path: the rows of broker/dispatch.c.  One feature is finalized, group.version 1: there is the
 * consumer protocol (KIP-848).  Others are not named, so clients keep to the older forms of each
 * protocol.  What is supported is told from version 4 on: older clients do not take a lowest level of 0.
 * Failures: a client that names itself badly gets INVALID_REQUEST (KIP-511); an unknown version
 * gets version 0 of the answer, UNSUPPORTED_VERSION and our own range, and asks again. */
#include "broker/broker.h"
#include "wire/msg_api_versions.h"

static bool versions_is_alphanumeric(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* KIP-511: [a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])? */
static bool versions_is_software_name(struct rl_slice text)
{
    if (text.bytes == 0 || !versions_is_alphanumeric(text.data[0]) ||
        !versions_is_alphanumeric(text.data[text.bytes - 1]))
        return false;
    for (size_t i = 0; i < text.bytes; i++)
        if (!versions_is_alphanumeric(text.data[i]) && text.data[i] != '-' && text.data[i] != '.')
            return false;
    return true;
}

#define FEATURES_SINCE 3
#define LEVEL_ZERO_SINCE 4

static bool versions_add_features(struct rl_request *request, struct rl_api_versions_response *response)
{
    struct rl_slice name = rl_slice_of_string("group.version");
    if (request->api_version < FEATURES_SINCE)
        return true;
    response->finalized_features = rl_request_alloc(request, 1, sizeof *response->finalized_features);
    if (response->finalized_features == NULL)
        return false;
    response->finalized_features_epoch = 0;     /* they never change */
    response->finalized_features_count = 1;
    response->finalized_features[0] = (struct rl_api_versions_response_finalized_feature){
        .name = name, .max_version_level = 1, .min_version_level = 1 };
    if (request->api_version < LEVEL_ZERO_SINCE)
        return true;
    response->supported_features = rl_request_alloc(request, 1, sizeof *response->supported_features);
    if (response->supported_features == NULL)
        return false;
    response->supported_features_count = 1;
    response->supported_features[0] = (struct rl_api_versions_response_supported_feature){
        .name = name, .min_version = 0, .max_version = 1 };
    return true;
}

void rl_api_api_versions(struct rl_request *request, const void *message)
{
    const struct rl_api_versions_request *asked = message;
    struct rl_api_versions_response response;
    rl_api_versions_response_init(&response);
    if (request->api_version >= 3 && (!versions_is_software_name(asked->client_software_name) ||
                                      !versions_is_software_name(asked->client_software_version))) {
        response.error_code = RL_KAFKA_INVALID_REQUEST;
        rl_reply_message(request, &response);
        return;
    }

    uint32_t count;
    const struct rl_api_row *rows = rl_api_rows(&count);
    response.api_keys = rl_request_alloc(request, count, sizeof *response.api_keys);
    if (response.api_keys == NULL)
        return;
    response.api_keys_count = (int32_t)count;
    for (uint32_t i = 0; i < count; i++) {
        response.api_keys[i].api_key = rows[i].key;
        response.api_keys[i].min_version = rows[i].announced_min;
        response.api_keys[i].max_version = rows[i].announced_max;
    }
    if (versions_add_features(request, &response))
        rl_reply_message(request, &response);
}

void rl_api_versions_unsupported(struct rl_request *request)
{
    struct rl_api_versions_response response;
    struct rl_api_versions_response_api_version own = { .api_key = RL_API_API_VERSIONS };
    uint32_t count;
    const struct rl_api_row *rows = rl_api_rows(&count);
    for (uint32_t i = 0; i < count; i++) {
        if (rows[i].key == RL_API_API_VERSIONS) {
            own.min_version = rows[i].announced_min;
            own.max_version = rows[i].announced_max;
        }
    }
    rl_api_versions_response_init(&response);
    response.error_code = RL_KAFKA_UNSUPPORTED_VERSION;
    response.api_keys = &own;
    response.api_keys_count = 1;
    request->api_version = 0;           /* the layout of the answer */
    rl_reply_message(request, &response);
}
