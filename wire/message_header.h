/* wire/message_header.h — which header a message has, and reading a request's. */
#ifndef RL_WIRE_MESSAGE_HEADER_H
#define RL_WIRE_MESSAGE_HEADER_H

#include "wire/msg_request_header.h"
#include "wire/msg_response_header.h"

/* The version of the request header: 2 in flexible versions, else 1; -1 for an unknown key.
 * The version may lie outside the API's range.  Any thread. */
int16_t rl_request_header_version(int16_t api_key, int16_t version);

/* The version of the response header: 1 in flexible versions, else 0; always 0 for ApiVersions,
 * whose caller cannot know yet what we speak (KIP-511); -1 for an unknown key. */
int16_t rl_response_header_version(int16_t api_key, int16_t version);

/* Read a request's header, of whichever version its own first bytes ask for; the reader stands
 * at the body afterwards.  Returns RL_OK, RL_ETRUNCATED, RL_EMALFORMED, or RL_EUNSUPPORTED when
 * the API key is unknown: then only key, version and correlation id are filled in.  The API's
 * range of versions is not checked here: ApiVersions answers also the ones it does not know. */
rl_status rl_request_header_read(struct rl_reader *r, struct rl_request_header *ret_header);

#endif
