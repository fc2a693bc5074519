/* broker/topics.h — what the topic APIs share: names, and texts that live as long as a request. */
#ifndef RL_BROKER_TOPICS_H
#define RL_BROKER_TOPICS_H

#include "core/slice.h"
#include "core/status.h"
#include "net/net.h"

/* What a broker without an authorizer allows: bits of AclOperation (KIP-430). */
#define RL_TOPIC_OPERATIONS 3576
#define RL_CLUSTER_OPERATIONS 8096

/* Room for Kafka's sentence about a topic's name (rl_topic_name_explain). */
#define RL_TOPICS_SENTENCE_BYTES 1024

/* Format a text into the request's arena, at most 2 KiB.  False: over the request's memory, the
 * connection was closed and the handler just returns.  Connection's shard. */
bool rl_request_printf(struct rl_request *request, struct rl_slice *ret_text,
                       const char *format, ...) RL_PRINTF(3, 4);

/* A NUL-terminated copy in the request's arena; NULL for a null slice, and NULL with *failed set
 * when the connection was closed.  NUL bytes inside become '?', so that nobody mistakes the text
 * for a shorter one. */
const char *rl_request_string(struct rl_request *request, struct rl_slice text, bool *failed);

/* A copy of a topic's name in the request's arena, for what outlives the image.  False as above. */
bool rl_request_copy_name(struct rl_request *request, const char *name, struct rl_slice *ret_name);

/* A topic of Kafka's own (__consumer_offsets, ...): never created because somebody asked for it. */
bool rl_topics_is_internal(struct rl_slice name);

#endif
