/* wire/reader.c — the longer paths of the reader: varints past one byte, tagged fields.
 *
 * Happy path: most varints are one byte and most tagged sections empty, both inline in the
 * header.  Failures: as in the header, sticky. */
#include "wire/reader.h"

uint64_t rl_rd_uvarlong(struct rl_reader *r)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
        if (r->at == r->end) {
            rl_rd_fail(r, RL_ETRUNCATED);
            return 0;
        }
        uint8_t b = *r->at++;
        if (shift == 63 && b > 1)
            break;                      /* more than 64 bits */
        v |= (uint64_t)(b & 0x7f) << shift;
        if (b < 0x80)
            return v;
    }
    rl_rd_fail(r, RL_EMALFORMED);
    return 0;
}

uint32_t rl_rd_uvarint_long(struct rl_reader *r)
{
    uint32_t v = 0;
    for (unsigned shift = 0; shift < 35; shift += 7) {
        if (r->at == r->end) {
            rl_rd_fail(r, RL_ETRUNCATED);
            return 0;
        }
        uint8_t b = *r->at++;
        if (shift == 28 && b > 0x0f)
            break;                      /* more than 32 bits */
        v |= (uint32_t)(b & 0x7f) << shift;
        if (b < 0x80)
            return v;
    }
    rl_rd_fail(r, RL_EMALFORMED);
    return 0;
}

bool rl_rd_tags_next_field(struct rl_reader *r, struct rl_rd_tags *tags)
{
    if (tags->tag >= 0) {               /* close the field that was just read */
        if (r->at != r->end)
            rl_rd_fail(r, RL_EMALFORMED);
        r->end = tags->outer_end;
        if (r->st != RL_OK)
            r->at = r->end;             /* a failure inside stopped at the field's end */
    }
    if (tags->left == 0 || r->st != RL_OK)
        return false;
    tags->left--;

    uint32_t tag = rl_rd_uvarint(r);
    uint32_t bytes = rl_rd_uvarint(r);
    if (r->st == RL_OK && (int64_t)tag <= tags->tag)
        rl_rd_fail(r, RL_EMALFORMED);
    if (r->st == RL_OK && bytes > rl_rd_remaining(r))
        rl_rd_fail(r, RL_ETRUNCATED);
    if (r->st != RL_OK)
        return false;
    tags->tag = tag;
    r->end = r->at + bytes;
    return true;
}
