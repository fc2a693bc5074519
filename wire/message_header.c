/* wire/message_header.c — which header a message has, and reading a request's. */
#include "wire/message_header.h"

#include "wire/api_table.h"

int16_t rl_request_header_version(int16_t api_key, int16_t version)
{
    const struct rl_api_info *api = rl_api_find(api_key);
    if (api == NULL)
        return -1;
    return version >= api->flexible_since ? 2 : 1;
}

int16_t rl_response_header_version(int16_t api_key, int16_t version)
{
    const struct rl_api_info *api = rl_api_find(api_key);
    if (api == NULL)
        return -1;
    return api_key != RL_API_API_VERSIONS && version >= api->flexible_since ? 1 : 0;
}

rl_status rl_request_header_read(struct rl_reader *r, struct rl_request_header *ret_header)
{
    struct rl_reader peek = *r;
    struct rl_request_header header;
    rl_request_header_init(&header);
    header.request_api_key = rl_rd_i16(&peek);
    header.request_api_version = rl_rd_i16(&peek);
    header.correlation_id = rl_rd_i32(&peek);
    rl_status st = rl_rd_done(&peek);
    if (st != RL_OK)
        return st;

    int16_t version = rl_request_header_version(header.request_api_key, header.request_api_version);
    if (version < 0) {
        *ret_header = header;
        return RL_EUNSUPPORTED;
    }
    /* A header holds no arrays, so nothing is taken from an arena. */
    st = rl_request_header_decode(r, version, NULL, &header);
    if (st == RL_OK)
        *ret_header = header;
    return st;
}
