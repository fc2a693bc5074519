/* wire/writer.c — the longer paths of the writer: varints past one byte, records.
 *
 * Failures: as in the header, sticky. */
#include "wire/writer.h"

void rl_wr_uvarlong(struct rl_writer *w, uint64_t v)
{
    uint8_t bytes[10];
    size_t count = 0;
    while (v >= 0x80) {
        bytes[count++] = (uint8_t)(v | 0x80);
        v >>= 7;
    }
    bytes[count++] = (uint8_t)v;
    rl_wr_copy(w, bytes, count);
}

size_t rl_wr_externals_bytes(const struct rl_writer *w)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < w->externals_count; i++)
        bytes += w->externals[i].bytes;
    return bytes;
}

void rl_wr_records(struct rl_writer *w, bool flexible, bool nullable, struct rl_slice s)
{
    rl_wr_length(w, flexible, nullable && rl_wr_is_null(s), s.bytes);
    if (s.bytes == 0 || w->st != RL_OK)
        return;
    if (w->externals == NULL) {
        if (s.data == NULL)
            rl_wr_fail(w, RL_EINVAL);
        else
            rl_wr_copy(w, s.data, s.bytes);
        return;
    }
    if (w->externals_count == w->externals_capacity) {
        rl_wr_fail(w, RL_EFULL);
        return;
    }
    w->externals[w->externals_count++] =
        (struct rl_wr_external){ .at = rl_wr_bytes(w), .bytes = s.bytes };
}
