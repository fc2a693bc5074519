/* broker/api_versions.c — ApiVersions: what this broker speaks.
 *
 * Happy path: the rows of broker/dispatch.c.  Features are neither supported nor finalized: their
 * lists stay empty and the epoch is unknown, so clients keep to the older forms of each protocol.
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
