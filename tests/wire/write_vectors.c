/* tests/wire/write_vectors.c — writes the byte vectors anew, for a schema that has changed.
 *
 * wire_write_vectors DIR writes DIR/<api>.txt, a line per side, version and kind of values:
 *     request 3 typical 00ff… {"acks": -1, …}
 * ("-" for no bytes).  They prove nothing until tests/clients/vectors/run has shown them to
 * Kafka's own classes. */
#include "tests/wire/fill.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void write_vector(FILE *out, const struct rl_fill_message *message, int16_t version,
                         enum rl_fill_kind kind)
{
    struct rl_arena arena;
    rl_arena_init(&arena, 65536, SIZE_MAX / 2);
    /* Long values only where the encoding of lengths is new, to keep the files small. */
    bool is_short = version != message->flexible_since && version != message->min_version;
    struct rl_fill fill = { .kind = kind, .arena = &arena, .has_long_string = is_short,
                            .has_long_bytes = is_short, .has_long_array = is_short };
    const void *msg = rl_fill_new(&fill, message, version);
    struct rl_slice encoded = rl_fill_encode(message, version, msg);

    fprintf(out, "%s %d %s ", message->side, version, rl_fill_kind_name(kind));
    for (size_t i = 0; i < encoded.bytes; i++)
        fprintf(out, "%02x", encoded.data[i]);
    fputs(encoded.bytes == 0 ? "- " : " ", out);
    message->codec.print(out, version, msg);
    fputc('\n', out);

    free((void *)encoded.data);
    rl_arena_done(&arena);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: %s DIR\n", argv[0]);
        return 2;
    }
    FILE *out = NULL;
    const char *api = "";
    for (size_t i = 0; i < rl_fill_messages_count; i++) {
        const struct rl_fill_message *message = &rl_fill_messages[i];
        if (strcmp(message->api, "everything") == 0)
            continue;                   /* the tests' own, which Kafka does not know */
        if (strcmp(message->api, api) != 0) {
            if (out != NULL && fclose(out) != 0)
                return 1;
            char path[4096];
            snprintf(path, sizeof path, "%s/%s.txt", argv[1], message->api);
            api = message->api;
            out = fopen(path, "w");
            if (out == NULL) {
                perror(path);
                return 1;
            }
        }
        for (int16_t v = message->min_version; v <= message->max_version; v++) {
            for (enum rl_fill_kind kind = RL_FILL_DEFAULT; kind < RL_FILL_RANDOM; kind++)
                write_vector(out, message, v, kind);
        }
    }
    return out == NULL || fclose(out) != 0;
}
