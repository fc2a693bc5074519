/* log/codec.h — open compressed record data, output bounded.
 *
 * gzip (RFC 1952), snappy (raw block, or the "xerial" blocks of the Java client), lz4 frames and
 * zstd frames, as Kafka's producers write them.  Pure functions; any thread; nothing from the
 * input is believed before it is checked, and memory grows only with what was really produced. */
#ifndef RL_LOG_CODEC_H
#define RL_LOG_CODEC_H

#include "core/slice.h"
#include "core/status.h"
#include "core/text.h"
#include "log/log_config.h"

/* The most a batch may hold when opened: a bomb ends here. */
#define RL_DECODED_BYTES_MAX (64u << 20)

/* Append the decoded input to out.  RL_ECORRUPT: not valid data of this codec; RL_ETOOLARGE: more
 * than limit_bytes; RL_EUNSUPPORTED: no such codec. */
rl_status rl_codec_decode(enum rl_codec codec, struct rl_slice input, size_t limit_bytes,
                          struct rl_text *out);

#endif
