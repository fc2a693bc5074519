/* log/log_config.h — what a topic's configuration means to its partitions' logs.
 *
 * broker/topic_config.c resolves it from topic overrides over broker keys over defaults; the
 * log keeps a copy per topic.  Names and units are Kafka's topic keys in snake case. */
#ifndef RL_LOG_LOG_CONFIG_H
#define RL_LOG_LOG_CONFIG_H

#include "core/base.h"

enum rl_timestamp_type { RL_CREATE_TIME = 0, RL_LOG_APPEND_TIME = 1 };
/* As in a batch's attributes; RL_CODEC_PRODUCER keeps what the producer sent. */
enum rl_codec { RL_CODEC_NONE, RL_CODEC_GZIP, RL_CODEC_SNAPPY, RL_CODEC_LZ4, RL_CODEC_ZSTD,
                RL_CODEC_PRODUCER };

struct rl_log_config {
    int64_t retention_ms;               /* -1: no limit */
    int64_t retention_bytes;            /* -1: no limit */
    int64_t segment_ms;
    int64_t segment_jitter_ms;
    int64_t flush_messages;             /* 1: every acknowledgement after stable storage */
    int64_t flush_ms;
    int64_t delete_retention_ms;
    int64_t file_delete_delay_ms;
    int64_t message_timestamp_before_max_ms;
    int64_t message_timestamp_after_max_ms;
    int32_t segment_bytes;
    int32_t segment_index_bytes;
    int32_t index_interval_bytes;
    int32_t max_message_bytes;
    int32_t min_insync_replicas;
    enum rl_timestamp_type message_timestamp_type;
    enum rl_codec compression_type;
    bool cleanup_delete;                /* cleanup.policy has "delete" */
    bool cleanup_compact;               /* cleanup.policy has "compact" */
    bool preallocate;
    bool acks_all_sync;                 /* ringlog.acks.all.sync */
};

#endif
