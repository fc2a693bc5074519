/* broker/api_init_producer_id.c — InitProducerId: an id for an idempotent producer.
 *
 * Happy path: without a transactional id every request gets a new id with epoch 0, from this
 * shard's block; what the client had before does not matter (KIP-360 bumps only transactional
 * producers).  Failures: any transactional id is refused with INVALID_REQUEST, which no client
 * retries; half a pair of old id and epoch as well, as in Kafka.  Without a block of ids the
 * client is told COORDINATOR_LOAD_IN_PROGRESS, as in Kafka, and asks again. */
#include "broker/broker.h"
#include "replicate/controller.h"
#include "wire/msg_init_producer_id.h"

#define NO_PRODUCER_ID (-1)
#define NO_PRODUCER_EPOCH (-1)

static void init_producer_id_answer(struct rl_request *request, int16_t error, int64_t producer_id)
{
    struct rl_init_producer_id_response response;
    rl_init_producer_id_response_init(&response);
    response.error_code = error;
    response.producer_id = error == RL_KAFKA_NONE ? producer_id : NO_PRODUCER_ID;
    response.producer_epoch = error == RL_KAFKA_NONE ? 0 : NO_PRODUCER_EPOCH;
    rl_reply_message(request, &response);
}

static void on_allocated(struct rl_allocate_producer_id *call)
{
    int16_t error = call->status == RL_OK ? RL_KAFKA_NONE : RL_KAFKA_COORDINATOR_LOAD_IN_PROGRESS;
    init_producer_id_answer(call->arg, error, call->producer_id);
}

void rl_api_init_producer_id(struct rl_request *request, const void *message)
{
    const struct rl_init_producer_id_request *asked = message;
    bool half_a_pair = (asked->producer_id == NO_PRODUCER_ID) !=
                       (asked->producer_epoch == NO_PRODUCER_EPOCH);
    if (asked->transactional_id.data != NULL || half_a_pair) {
        init_producer_id_answer(request, RL_KAFKA_INVALID_REQUEST, NO_PRODUCER_ID);
        return;
    }
    struct rl_allocate_producer_id *call = rl_request_alloc(request, 1, sizeof *call);
    if (call == NULL)
        return;
    call->done = on_allocated;
    call->arg = request;
    rl_controller_allocate_producer_id(rl_request_shard(request), call);
}
