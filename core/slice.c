/* core/slice.c — Kafka's text form of a 128-bit id: base64url without padding, 22 characters. */
#include "core/slice.h"
#include "core/status.h"

static const char uuid_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

#define UUID_DIGITS (RL_UUID_TEXT_BYTES - 1)

void rl_uuid_format(struct rl_uuid id, char *text)
{
    for (int i = 0; i < UUID_DIGITS; i++) {
        /* Digit i holds bits 6i .. 6i+5, most significant first; the last has four bits. */
        int bit = i * 6, byte = bit / 8, shift = bit % 8;
        unsigned two = (unsigned)id.bytes[byte] << 8;
        if (byte + 1 < (int)sizeof id.bytes)
            two |= id.bytes[byte + 1];
        text[i] = uuid_digits[(two >> (10 - shift)) & 63];
    }
    text[UUID_DIGITS] = '\0';
}

static int uuid_digit_value(uint8_t c)
{
    const char *found = c != '\0' ? strchr(uuid_digits, c) : NULL;
    return found != NULL ? (int)(found - uuid_digits) : -1;
}

int rl_uuid_parse(struct rl_slice text, struct rl_uuid *ret_id)
{
    struct rl_uuid id = { { 0 } };

    /* Java's decoder takes the two characters of padding as well. */
    if (text.bytes == UUID_DIGITS + 2 && memcmp(text.data + UUID_DIGITS, "==", 2) == 0)
        text.bytes = UUID_DIGITS;
    if (text.bytes != UUID_DIGITS)
        return RL_EMALFORMED;
    for (int i = 0; i < UUID_DIGITS; i++) {
        int value = uuid_digit_value(text.data[i]);
        int bit = i * 6, byte = bit / 8, shift = bit % 8;
        if (value < 0 || (i == UUID_DIGITS - 1 && (value & 15) != 0))
            return RL_EMALFORMED;
        unsigned two = (unsigned)value << (10 - shift);
        id.bytes[byte] |= (uint8_t)(two >> 8);
        if (byte + 1 < (int)sizeof id.bytes)
            id.bytes[byte + 1] |= (uint8_t)two;
    }
    *ret_id = id;
    return RL_OK;
}
