/* tests/broker/test_config_properties.c — Java's .properties format, corner by corner.
 * The expected results are java.util.Properties', but for what is refused here. */
#include "broker/config_properties.h"

#include <criterion/criterion.h>
#include <stdio.h>

/* All settings as "line:key=value|...", a malformed one as "line!reason|". */
static void read_all(const char *text, size_t bytes, char *out, size_t out_bytes)
{
    struct rl_properties properties;
    const char *reason = NULL;
    size_t at = 0;
    out[0] = '\0';
    rl_properties_init(&properties, rl_slice_of(text, bytes));
    for (;;) {
        rl_status st = rl_properties_next(&properties, &reason);
        if (st == RL_ENOTFOUND)
            break;
        cr_assert(st == RL_OK || st == RL_EMALFORMED);
        if (st == RL_OK)
            at += (size_t)snprintf(out + at, out_bytes - at, "%d:%s=%s|", properties.line,
                                   rl_text_string(&properties.key),
                                   rl_text_string(&properties.value));
        else
            at += (size_t)snprintf(out + at, out_bytes - at, "%d!%s|", properties.line, reason);
        cr_assert_lt(at, out_bytes);
    }
    rl_properties_done(&properties);
}

static const struct {
    const char *text;
    const char *settings;
} cases[] = {
    { "", "" },
    { "\n\r\n  \t\n", "" },
    { "a=b", "1:a=b|" },
    { "a=b\n", "1:a=b|" },
    { "a:b\nc d\ne\n", "1:a=b|2:c=d|3:e=|" },
    { "a = b\na  :  b\na \t b\n", "1:a=b|2:a=b|3:a=b|" },
    { "a==b\na=:b\na : = b\n", "1:a==b|2:a=:b|3:a== b|" },
    { "a=b  \n", "1:a=b  |" },                              /* blanks at the end belong to it */
    { "  a=b\r\n\tc=d\r\n", "1:a=b|2:c=d|" },
    { "a=b\rc=d", "1:a=b|2:c=d|" },
    { "# no\n! no\n  # no\na=#yes\nb=!yes\n", "4:a=#yes|5:b=!yes|" },
    { "# no \\\na=b\n", "2:a=b|" },                         /* comments do not continue */
    { "a=b\\\n   c\\\r\n\td\ne=f\n", "1:a=bcd|4:e=f|" },
    { "a=b\\\n# c\nd=e\n", "1:a=b# c|3:d=e|" },             /* a continuation is no comment */
    { "a=b\\\\\nc=d\n", "1:a=b\\|2:c=d|" },                 /* two backslashes are one */
    { "a=b\\\\\\\nc=d\n", "1:a=b\\c=d|" },
    { "a=b\\", "1:a=b|" },
    { "a=b\\\n", "1:a=b|" },
    { "a=b\\\n\nc=d", "1:a=b|3:c=d|" },
    { "\\\n\\\n  a=b", "3:a=b|" },
    { "\\\n\n", "" },
    { "ke\\\n  y=v", "1:key=v|" },
    { "key\\\n  =v", "1:key=v|" },
    { "a\\=b\\:c\\ d=e", "1:a=b:c d=e|" },
    { "a=\\t\\n\\r\\f\\q\\\"\\#", "1:a=\t\n\r\fq\"#|" },
    { "\\#a=b", "1:#a=b|" },
    { "a=\\u0041\\u00e9\\u20AC", "1:a=A\xc3\xa9\xe2\x82\xac|" },
    { "a=\\ud83d\\ude00", "1:a=\xf0\x9f\x98\x80|" },
    { "a=\\u00\\\n 41", "1:a=A|" },
    { "a=\xc3\xa9\xf0\x9f\x98\x80", "1:a=\xc3\xa9\xf0\x9f\x98\x80|" },
    { "\xef\xbb\xbf" "a=b", "1:a=b|" },
    { "a=\\u12g4\nb=c", "1!\\u must be followed by four hexadecimal digits|2:b=c|" },
    { "a=\\u12", "1!\\u must be followed by four hexadecimal digits|" },
    { "a=\\u\\\\\nb=c", "1!\\u must be followed by four hexadecimal digits|2:b=c|" },
    { "a=\\u0000x\nb=c", "1!a NUL character is not allowed|2:b=c|" },
    { "a=\\ud83dx\nb=c", "1!\\u names half a surrogate pair|2:b=c|" },
    { "a=\\ud83d\\\\\nb=c", "1!\\u names half a surrogate pair|2:b=c|" },
    { "a=\\ud83d\\u0041\nb=c", "1!\\u names half a surrogate pair|2:b=c|" },
    { "a=\\ude00\nb=c", "1!\\u names half a surrogate pair|2:b=c|" },
    { "a=\xff\nb=c", "1!the text is not UTF-8|2:b=c|" },
    { "a=\xc0\x80", "1!the text is not UTF-8|" },
    { "a=\xed\xa0\x80", "1!the text is not UTF-8|" },
    { "a=\xf4\x90\x80\x80", "1!the text is not UTF-8|" },
    { "a=\xe2\x82", "1!the text is not UTF-8|" },
    { "=b\nc=d", "1!there is no key before the separator|2:c=d|" },
};

Test(config_properties, is_read_as_java_reads_it)
{
    for (size_t i = 0; i < RL_ARRAY_COUNT(cases); i++) {
        char settings[1024];
        read_all(cases[i].text, strlen(cases[i].text), settings, sizeof settings);
        cr_assert_str_eq(settings, cases[i].settings, "case %zu: %s", i, settings);
    }
}

Test(config_properties, nul_bytes_are_refused)
{
    char settings[256];
    read_all("a=b\0c\nd=e", 9, settings, sizeof settings);
    cr_assert_str_eq(settings, "1!a NUL character is not allowed|2:d=e|");
    read_all("a\\\0=b", 6, settings, sizeof settings);
    cr_assert_str_eq(settings, "1!a NUL character is not allowed|");
    read_all("\0", 1, settings, sizeof settings);
    cr_assert_str_eq(settings, "1!a NUL character is not allowed|");
}

Test(config_properties, every_prefix_of_every_case_ends)
{
    for (size_t i = 0; i < RL_ARRAY_COUNT(cases); i++) {
        for (size_t bytes = 0; bytes <= strlen(cases[i].text); bytes++) {
            char settings[1024];
            read_all(cases[i].text, bytes, settings, sizeof settings);
        }
    }
}
