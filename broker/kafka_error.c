/* broker/kafka_error.c — statuses become Kafka's error codes here and nowhere else. */
#include "broker/kafka_error.h"

int16_t rl_kafka_error_of(rl_status status)
{
    switch (status) {
    case RL_OK:
    case RL_EDUPLICATE:      return RL_KAFKA_NONE;
    case RL_EBUSY:           return RL_KAFKA_LEADER_NOT_AVAILABLE;      /* still opening: retried */
    case RL_ENOTFOUND:       return RL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
    case RL_EEXIST:          return RL_KAFKA_TOPIC_ALREADY_EXISTS;
    case RL_ETOOLARGE:       return RL_KAFKA_MESSAGE_TOO_LARGE;
    case RL_ECORRUPT:        return RL_KAFKA_CORRUPT_MESSAGE;
    case RL_EMALFORMED:
    case RL_EINVALIDRECORD:  return RL_KAFKA_INVALID_RECORD;
    case RL_ETRUNCATED:      return RL_KAFKA_CORRUPT_MESSAGE;
    case RL_EUNSUPPORTED:    return RL_KAFKA_UNSUPPORTED_FOR_MESSAGE_FORMAT;
    case RL_ETIMESTAMP:      return RL_KAFKA_INVALID_TIMESTAMP;
    case RL_EOUTOFORDER:     return RL_KAFKA_OUT_OF_ORDER_SEQUENCE_NUMBER;
    case RL_EPRODUCEREPOCH:  return RL_KAFKA_INVALID_PRODUCER_EPOCH;
    case RL_ERANGE:          return RL_KAFKA_OFFSET_OUT_OF_RANGE;
    case RL_EFENCED:         return RL_KAFKA_FENCED_LEADER_EPOCH;
    case RL_EUNKNOWNEPOCH:   return RL_KAFKA_UNKNOWN_LEADER_EPOCH;
    case RL_ENOTLEADER:
    case RL_ESTOPPING:       return RL_KAFKA_NOT_LEADER_OR_FOLLOWER;
    case RL_ETIMEOUT:        return RL_KAFKA_REQUEST_TIMED_OUT;
    case RL_EIO:
    case RL_ENOSPACE:
    case RL_EMFILE:
    case RL_EACCESS:
    case RL_EREADONLY:       return RL_KAFKA_KAFKA_STORAGE_ERROR;
    case RL_EINVAL:          return RL_KAFKA_INVALID_REQUEST;
    case RL_ENOMEM:
    case RL_EFULL:
    case RL_ECLOSED:
    case RL_ECANCELLED:
    case RL_EADDRINUSE:
    case RL_EVERSION:
    case RL_STATUS_COUNT:    break;
    }
    return RL_KAFKA_UNKNOWN_SERVER_ERROR;
}
