/* coordinate/group_error.h — why a coordinator refuses.  broker/kafka_error.c has Kafka's numbers. */
#ifndef RL_COORDINATE_GROUP_ERROR_H
#define RL_COORDINATE_GROUP_ERROR_H

enum rl_group_error {
    RL_GROUP_OK,
    RL_GROUP_LOADING,                   /* its partition of __consumer_offsets is still read */
    RL_GROUP_NOT_AVAILABLE,             /* no partition to keep it in, for now */
    RL_GROUP_NOT_COORDINATOR,           /* not here (any more): find the coordinator again */
    RL_GROUP_INVALID_ID,
    RL_GROUP_ID_NOT_FOUND,
    RL_GROUP_UNKNOWN_MEMBER,
    RL_GROUP_ILLEGAL_GENERATION,
    RL_GROUP_INCONSISTENT_PROTOCOL,
    RL_GROUP_INVALID_SESSION_TIMEOUT,
    RL_GROUP_REBALANCING,
    RL_GROUP_MEMBER_ID_REQUIRED,        /* not an error: join again with this id (KIP-394) */
    RL_GROUP_MAX_SIZE_REACHED,
    RL_GROUP_FENCED_INSTANCE,           /* another member has this instance id now (KIP-345) */
    RL_GROUP_NOT_EMPTY,
    RL_GROUP_SUBSCRIBED_TO_TOPIC,
    RL_GROUP_METADATA_TOO_LARGE,
    RL_GROUP_COMMIT_TOO_LARGE,
    RL_GROUP_INVALID_REQUEST,
    RL_GROUP_FENCED_MEMBER_EPOCH,       /* the member must give up everything and join again (KIP-848) */
    RL_GROUP_STALE_MEMBER_EPOCH,        /* the member is in another epoch by now */
    RL_GROUP_UNRELEASED_INSTANCE,       /* another member has this instance id, and has not left */
    RL_GROUP_UNSUPPORTED_ASSIGNOR,
    RL_GROUP_INVALID_REGEX,
    RL_GROUP_UNSUPPORTED_VERSION,       /* the request is older than the group's protocol */
    RL_GROUP_INTERNAL,                  /* Kafka fails itself when it is asked this */
    RL_GROUP_ERRORS
};

#endif
