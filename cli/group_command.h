/* cli/group_command.h — `ringlog group`: consumer groups, and how far behind they are. */
#ifndef RL_CLI_GROUP_COMMAND_H
#define RL_CLI_GROUP_COMMAND_H

#include "cli/kafka_client.h"

/* ringlog group ...; argv[0] is "group".  Returns the exit code. */
int rl_group_command(int argc, char **argv);

/* ---- group_describe.c ---- */

struct rl_group_row {                   /* a partition that a group has committed, or a member reads */
    struct rl_slice topic;
    int32_t partition;
    int64_t committed_offset;           /* -1: none */
    int64_t log_start_offset, log_end_offset;           /* -1: not known */
    int64_t unread_ms;                  /* since 1970: the time of the oldest unread record; -1: none, not known */
    int32_t leader_id;                  /* -1: none */
    const char *problem;                /* NULL: none */
    struct rl_slice member_id, client_id, client_host;  /* who reads it; null: nobody */
};

struct rl_group_description {
    struct rl_slice group_id, state, protocol_type, protocol;
    int32_t coordinator_id, member_count;
    struct rl_group_row *rows;          /* by topic and partition */
    uint32_t row_count;
};

/* All memory is the client's.  RL_OK, also with problems in rows; RL_ENOTFOUND: no such group; otherwise
 * client->failure says what. */
rl_status rl_group_describe(struct rl_kafka_client *client, struct rl_slice group_id,
                            struct rl_group_description *ret_group);
/* Log end - committed, as Kafka's tools count.  False: not known. */
bool rl_group_row_lag(const struct rl_group_row *row, int64_t *ret_records);

#endif
