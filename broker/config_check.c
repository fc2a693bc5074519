/* broker/config_check.c — is this text a value of that key?
 *
 * A good value comes out in Kafka's canonical form.  A bad one comes out as the sentence Kafka
 * would say, so that whoever searches for it finds an answer; passwords are not repeated in it.
 * Source: what Kafka 4.3 answers to CreateTopics with each kind of mistake. */
#include "broker/config_key.h"

#include "broker/config_list.h"
#include "core/memory.h"
#include "core/text.h"
#include "io/socket.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

/* Both keep a hostile CreateTopics from costing more than a glance. */
#define VALUE_BYTES_MAX   65536
#define LIST_ELEMENTS_MAX 512           /* of lists searched for repetitions */

/* One check on its way: the sentence is written by the first complaint. */
struct check {
    const struct rl_config_key *key;
    char *message;
    size_t bytes;
};

static rl_status complain(const struct check *check, const char *value, const char *reason)
{
    snprintf(check->message, check->bytes, "Invalid value %.256s for configuration %s: %s",
             rl_config_key_sensitive(check->key) ? "[hidden]" : value, check->key->name, reason);
    return RL_EINVAL;
}

static rl_status complain_of_list(const struct check *check, const char *what)
{
    snprintf(check->message, check->bytes, "Configuration '%s' %s", check->key->name, what);
    return RL_EINVAL;
}

static bool is_element_of(const char *list, struct rl_slice wanted, bool any_case)
{
    struct rl_slice rest = rl_config_list(list), element;
    while (rl_config_list_next(&rest, &element)) {
        const char *a = (const char *)element.data, *b = (const char *)wanted.data;
        if (element.bytes == wanted.bytes &&
            (any_case ? strncasecmp(a, b, wanted.bytes) : memcmp(a, b, wanted.bytes)) == 0)
            return true;
    }
    return false;
}

/* ---- numbers ---- */

static rl_status check_range(const struct check *check, const char *text, double value)
{
    const struct rl_config_key *key = check->key;
    char reason[128];
    if (key->check == RL_CHECK_RANGE_OR_MINUS_ONE) {
        if (value == -1 || (value >= (double)key->min && value <= (double)key->max))
            return RL_OK;
        snprintf(reason, sizeof reason, "Value must be between %lld and %lld or equal to -1",
                 (long long)key->min, (long long)key->max);
        return complain(check, text, reason);
    }
    if (key->check != RL_CHECK_RANGE)
        return RL_OK;
    /* Limits are small numbers or the type's own, so that comparing as double is exact enough. */
    if (value < (double)key->min) {
        snprintf(reason, sizeof reason, "Value must be at least %lld", (long long)key->min);
        return complain(check, text, reason);
    }
    if (value > (double)key->max) {
        snprintf(reason, sizeof reason, "Value must be no more than %lld", (long long)key->max);
        return complain(check, text, reason);
    }
    return RL_OK;
}

static rl_status check_integer(const struct check *check, const char *text, int64_t low,
                               int64_t high, const char *type_name, char **ret_canonical)
{
    char reason[64];
    snprintf(reason, sizeof reason, "Not a number of type %s", type_name);
    const char *digits = text + (text[0] == '+' || text[0] == '-');
    if (!isdigit((unsigned char)digits[0]) || digits[strspn(digits, "0123456789")] != '\0')
        return complain(check, text, reason);
    errno = 0;
    long long value = strtoll(text, NULL, 10);
    if (errno != 0 || value < low || value > high)
        return complain(check, text, reason);
    rl_status st = check_range(check, text, (double)value);
    if (st == RL_OK)
        *ret_canonical = rl_asprintf("%lld", value);
    return st;
}

/* The shortest decimal that reads back the same, with a point or an exponent, as Java prints it. */
static char *format_double(double value)
{
    char text[40];
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    return rl_asprintf("%s%s", text, strpbrk(text, ".e") != NULL ? "" : ".0");
}

static rl_status check_double(const struct check *check, const char *text, char **ret_canonical)
{
    /* Decimal notation only, with Java's type suffix; strtod would also read "nan" and hex. */
    size_t bytes = strlen(text);
    char *end = NULL;
    double value = strtod(text, &end);
    if (end != text && *end != '\0' && strchr("fFdD", *end) != NULL)
        end++;
    if (bytes == 0 || *end != '\0' || text[strspn(text, "+-.0123456789eEfFdD")] != '\0')
        return complain(check, text, "Not a number of type DOUBLE");
    rl_status st = check_range(check, text, value);
    if (st != RL_OK)
        return st;
    if (!isfinite(value))
        return complain(check, text, "Not a number of type DOUBLE");
    *ret_canonical = format_double(value);
    return RL_OK;
}

/* ---- texts ---- */

static rl_status check_boolean(const struct check *check, const char *text, char **ret_canonical)
{
    bool yes = strcasecmp(text, "true") == 0;
    if (!yes && strcasecmp(text, "false") != 0)
        return complain(check, text, "Expected value to be either true or false");
    *ret_canonical = rl_strdup(yes ? "true" : "false");
    return RL_OK;
}

/* address:limit */
static bool is_address_limit(struct rl_slice element)
{
    char text[RL_ADDRESS_BYTES + 16], canonical[RL_ADDRESS_BYTES];
    if (element.bytes >= sizeof text)
        return false;
    snprintf(text, sizeof text, "%.*s", (int)element.bytes, (const char *)element.data);
    char *colon = strrchr(text, ':');
    if (colon == NULL || colon[1] == '\0' || colon[1 + strspn(colon + 1, "0123456789")] != '\0' ||
        strtoll(colon + 1, NULL, 10) > INT32_MAX)
        return false;
    *colon = '\0';
    char *host = text;
    if (host[0] == '[' && colon[-1] == ']') {
        colon[-1] = '\0';
        host++;
    }
    return rl_address_canonical(host, canonical);
}

static rl_status check_address_limits(const struct check *check, const char *list)
{
    struct rl_slice rest = rl_config_list(list), element;
    while (rl_config_list_next(&rest, &element))
        if (!is_address_limit(element))
            return complain(check, list, "it must be a list of ADDRESS:LIMIT with numeric addresses");
    return RL_OK;
}

static rl_status check_string(const struct check *check, const char *text, char **ret_canonical)
{
    const struct rl_config_key *key = check->key;
    bool any_case = key->check == RL_CHECK_ONE_OF_ANY_CASE;
    if ((any_case || key->check == RL_CHECK_ONE_OF) &&
        !is_element_of(key->choices, rl_slice_of_string(text), any_case)) {
        char reason[256];
        snprintf(reason, sizeof reason, "String must be one of%s: %s",
                 any_case ? " (case insensitive)" : "", key->choices);
        return complain(check, text, reason);
    }
    if (key->check == RL_CHECK_NOT_EMPTY && text[0] == '\0')
        return complain(check, text, "String must be non-empty");
    if (key->check == RL_CHECK_ADDRESS_LIMITS && check_address_limits(check, text) != RL_OK)
        return RL_EINVAL;
    *ret_canonical = rl_strdup(text);
    return RL_OK;
}

/* "*" alone, or partition:broker each: [0-9]+:[0-9]+ */
static rl_status check_throttled(const struct check *check, const char *list)
{
    if (strcmp(list, "*") == 0)
        return RL_OK;
    struct rl_slice rest = rl_config_list(list), element;
    while (rl_config_list_next(&rest, &element)) {
        size_t partition = 0, broker = 0;
        while (partition < element.bytes && isdigit(element.data[partition]))
            partition++;
        while (partition + 1 + broker < element.bytes &&
               isdigit(element.data[partition + 1 + broker]))
            broker++;
        if (partition > 0 && broker > 0 && element.data[partition] == ':' &&
            partition + 1 + broker == element.bytes)
            continue;
        char value[256], reason[320];
        snprintf(value, sizeof value, "[%.250s]", list);
        snprintf(reason, sizeof reason,
                 "%s must be the literal '*' or a list of replicas in the following format: "
                 "[partitionId]:[brokerId],[partitionId]:[brokerId],...", check->key->name);
        return complain(check, value, reason);
    }
    return RL_OK;
}

static rl_status check_element(const struct check *check, struct rl_slice element)
{
    const struct rl_config_key *key = check->key;
    if (element.bytes == 0)
        return complain_of_list(check, "values must not be empty.");
    bool limited = key->check == RL_CHECK_EACH_OF || key->check == RL_CHECK_SOME_OF;
    if (!limited || is_element_of(key->choices, element, false))
        return RL_OK;
    char value[128], reason[256];
    snprintf(value, sizeof value, "%.*s", (int)RL_MIN(element.bytes, sizeof value - 1),
             (const char *)element.data);
    snprintf(reason, sizeof reason, "String must be one of: %s", key->choices);
    return complain(check, value, reason);
}

static rl_status check_list(const struct check *check, const char *text, char **ret_canonical)
{
    const struct rl_config_key *key = check->key;
    if (text[0] == '\0' && (key->check == RL_CHECK_NOT_EMPTY || key->check == RL_CHECK_SOME_OF)) {
        char what[256];
        bool any = key->choices == NULL;
        snprintf(what, sizeof what, "must not be empty. Valid values include: %s%s%s",
                 any ? "" : "[", any ? "any non-empty value" : key->choices, any ? "" : "]");
        return complain_of_list(check, what);
    }
    struct rl_text list = { 0 };
    struct rl_slice rest = rl_config_list(text), element;
    rl_status st = RL_OK;
    size_t count = 0;
    bool keep_all = key->check == RL_CHECK_THROTTLED_REPLICAS;
    while (st == RL_OK && rl_config_list_next(&rest, &element)) {
        if (!keep_all && ++count > LIST_ELEMENTS_MAX)
            st = complain_of_list(check, "has too many values.");
        else
            st = check_element(check, element);
        if (st != RL_OK)
            break;
        if (!keep_all && is_element_of(rl_text_string(&list), element, false))
            continue;                   /* Kafka keeps the first of equal elements */
        if (list.bytes > 0)
            rl_text_append_char(&list, ',');
        rl_text_append(&list, element.data, element.bytes);
    }
    if (st == RL_OK && keep_all)
        st = check_throttled(check, rl_text_string(&list));
    if (st == RL_OK)
        *ret_canonical = rl_text_take(&list);
    rl_text_done(&list);
    return st;
}

static rl_status check_trimmed(const struct check *check, const char *text, char **ret_canonical)
{
    switch (check->key->type) {
    case RL_CONFIG_BOOLEAN:
        return check_boolean(check, text, ret_canonical);
    case RL_CONFIG_SHORT:
        return check_integer(check, text, INT16_MIN, INT16_MAX, "SHORT", ret_canonical);
    case RL_CONFIG_INT:
        return check_integer(check, text, INT32_MIN, INT32_MAX, "INT", ret_canonical);
    case RL_CONFIG_LONG:
        return check_integer(check, text, INT64_MIN, INT64_MAX, "LONG", ret_canonical);
    case RL_CONFIG_DOUBLE:
        return check_double(check, text, ret_canonical);
    case RL_CONFIG_LIST:
        return check_list(check, text, ret_canonical);
    case RL_CONFIG_STRING:
    case RL_CONFIG_CLASS:
    case RL_CONFIG_PASSWORD:
        break;
    }
    return check_string(check, text, ret_canonical);
}

rl_status rl_config_key_check(const struct rl_config_key *key, const char *text, char *message,
                              size_t bytes, char **ret_canonical)
{
    RL_ASSERT(bytes > 0);
    struct check check = { .key = key, .message = message, .bytes = bytes };
    struct rl_slice wanted = rl_slice_of_string(text);
    if (key->type != RL_CONFIG_PASSWORD)    /* blanks may be part of a password */
        wanted = rl_config_trim(wanted);
    if (wanted.bytes > VALUE_BYTES_MAX)
        return complain(&check, text, "Value is too long");
    char *trimmed = rl_strndup((const char *)wanted.data, wanted.bytes);
    char *canonical = NULL;
    rl_status st = check_trimmed(&check, trimmed, &canonical);
    rl_free(trimmed);
    if (st != RL_OK)
        return st;
    if (ret_canonical != NULL)
        *ret_canonical = canonical;
    else
        rl_free(canonical);
    return RL_OK;
}

/* ---- for people ---- */

static const char *kind_of_value(enum rl_config_type type)
{
    switch (type) {
    case RL_CONFIG_BOOLEAN:  return "true or false";
    case RL_CONFIG_SHORT:
    case RL_CONFIG_INT:
    case RL_CONFIG_LONG:     return "integer";
    case RL_CONFIG_DOUBLE:   return "number";
    case RL_CONFIG_LIST:     return "list";
    case RL_CONFIG_STRING:
    case RL_CONFIG_CLASS:
    case RL_CONFIG_PASSWORD: break;
    }
    return "text";
}

void rl_config_key_allowed(const struct rl_config_key *key, char *text, size_t bytes)
{
    const char *kind = kind_of_value(key->type);
    long long low = (long long)key->min, high = (long long)key->max;
    switch (key->check) {
    case RL_CHECK_NONE:
        snprintf(text, bytes, "%s", kind);
        return;
    case RL_CHECK_RANGE:
        if (key->max == INT64_MAX)
            snprintf(text, bytes, "%s, at least %lld", kind, low);
        else
            snprintf(text, bytes, "%s from %lld to %lld", kind, low, high);
        return;
    case RL_CHECK_RANGE_OR_MINUS_ONE:
        snprintf(text, bytes, "%s from %lld to %lld, or -1", kind, low, high);
        return;
    case RL_CHECK_ONE_OF:
    case RL_CHECK_ONE_OF_ANY_CASE:
        snprintf(text, bytes, "one of: %s", key->choices);
        return;
    case RL_CHECK_EACH_OF:
        snprintf(text, bytes, "any of: %s", key->choices);
        return;
    case RL_CHECK_SOME_OF:
        snprintf(text, bytes, "at least one of: %s", key->choices);
        return;
    case RL_CHECK_NOT_EMPTY:
        snprintf(text, bytes, "%s, not empty", kind);
        return;
    case RL_CHECK_ADDRESS_LIMITS:
        snprintf(text, bytes, "address:limit,address:limit,...");
        return;
    case RL_CHECK_THROTTLED_REPLICAS:
        snprintf(text, bytes, "* or partition:broker,...");
        return;
    }
}
