/* broker/listener.c — the listener family of keys, parsed and checked against each other.
 *
 * listeners → name, host, port each → protocol by the map → names and ports differ → advertised
 * hosts are laid over them.  Kafka's rules: names are upper-cased; one port twice only as one IPv4
 * and one IPv6 address; 0.0.0.0 is never advertised.  Different from Kafka: a listener on all
 * addresses needs no advertised one, its clients are told the address they dialled. */
#include "broker/listener.h"

#include "broker/config_list.h"

#include <ctype.h>
#include <stdio.h>
#include <strings.h>

/* One parse on its way: what is wrong is written once, by who finds it. */
struct listener_parse {
    const struct rl_listener_settings *settings;
    struct rl_listener_set *set;
    char *message;
    size_t bytes;
};

static rl_status refuse(struct listener_parse *parse, rl_status st, const char *format, ...)
    RL_PRINTF(3, 4);

static rl_status refuse(struct listener_parse *parse, rl_status st, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(parse->message, parse->bytes, format, args);
    va_end(args);
    return st;
}

/* Copy a name in upper case.  False when it does not fit or is empty. */
static bool copy_name(struct rl_slice from, char *name)
{
    if (from.bytes == 0 || from.bytes >= RL_LISTENER_NAME_BYTES)
        return false;
    for (size_t i = 0; i < from.bytes; i++)
        name[i] = (char)toupper(from.data[i]);
    name[from.bytes] = '\0';
    return true;
}

/* ---- protocols ---- */

static const char *const protocol_names[] = {
    [RL_PROTOCOL_PLAINTEXT] = "PLAINTEXT", [RL_PROTOCOL_SSL] = "SSL",
    [RL_PROTOCOL_SASL_PLAINTEXT] = "SASL_PLAINTEXT", [RL_PROTOCOL_SASL_SSL] = "SASL_SSL",
};

const char *rl_security_protocol_name(enum rl_security_protocol protocol)
{
    return protocol_names[protocol];
}

static bool find_protocol(const char *name, enum rl_security_protocol *ret_protocol)
{
    for (size_t i = 0; i < RL_ARRAY_COUNT(protocol_names); i++) {
        if (strcmp(protocol_names[i], name) == 0) {
            *ret_protocol = (enum rl_security_protocol)i;
            return true;
        }
    }
    return false;
}

/* Look `wanted` up in listener.security.protocol.map, checking the entries on the way.  NULL looks
 * nothing up.  Returns RL_OK, RL_ENOTFOUND (not in it), RL_EINVAL (malformed). */
static rl_status map_find(struct listener_parse *parse, const char *wanted,
                          enum rl_security_protocol *ret_protocol)
{
    rl_status st = RL_ENOTFOUND;
    struct rl_slice rest = rl_config_list(parse->settings->listener_security_protocol_map), element;
    while (rl_config_list_next(&rest, &element)) {
        const uint8_t *colon = NULL;
        for (size_t i = element.bytes; i > 0 && colon == NULL; i--)
            colon = element.data[i - 1] == ':' ? &element.data[i - 1] : NULL;
        char name[RL_LISTENER_NAME_BYTES], protocol_name[RL_LISTENER_NAME_BYTES];
        size_t name_bytes = colon != NULL ? (size_t)(colon - element.data) : 0;
        size_t rest_bytes = colon != NULL ? element.bytes - name_bytes - 1 : 0;
        if (colon == NULL ||
            !copy_name(rl_config_trim(rl_slice_of(element.data, name_bytes)), name) ||
            !copy_name(rl_config_trim(rl_slice_of(colon + 1, rest_bytes)), protocol_name))
            return refuse(parse, RL_EINVAL, "listener.security.protocol.map: cannot parse '%.*s'; "
                          "each entry should be NAME:PROTOCOL",
                          (int)RL_MIN(element.bytes, 128), (const char *)element.data);
        enum rl_security_protocol protocol;
        if (!find_protocol(protocol_name, &protocol))
            return refuse(parse, RL_EINVAL, "listener.security.protocol.map: Invalid "
                          "security protocol `%s`; it should be one of PLAINTEXT, SSL, "
                          "SASL_PLAINTEXT, SASL_SSL", protocol_name);
        if (wanted != NULL && strcmp(name, wanted) == 0) {
            *ret_protocol = protocol;   /* the last entry wins, as in Kafka */
            st = RL_OK;
        }
    }
    return st;
}

static rl_status find_listener_protocol(struct listener_parse *parse, const char *key,
                                        struct rl_listener *listener)
{
    rl_status st = map_find(parse, listener->name, &listener->protocol);
    if (st == RL_ENOTFOUND && parse->settings->listener_security_protocol_map == NULL &&
        find_protocol(listener->name, &listener->protocol))
        st = RL_OK;
    if (st == RL_ENOTFOUND)
        return refuse(parse, RL_EINVAL, "%s: No security protocol defined for listener %s "
                      "(listener.security.protocol.map)", key, listener->name);
    if (st == RL_OK && listener->protocol != RL_PROTOCOL_PLAINTEXT)
        return refuse(parse, RL_EUNSUPPORTED, "%s: listener %s has the security protocol %s, which "
                      "ringlog does not support yet; only PLAINTEXT is", key, listener->name,
                      rl_security_protocol_name(listener->protocol));
    return st;
}

/* ---- one endpoint ---- */

static bool is_host_byte(uint8_t c)
{
    return isalnum(c) || c == '-' || c == '.' || c == '_' || c == ':' || c == '%';
}

/* Without brackets; "" and IPv6 addresses are fine. */
static bool copy_host(struct rl_slice from, char *host)
{
    bool bracketed = from.bytes >= 2 && from.data[0] == '[' && from.data[from.bytes - 1] == ']';
    if (bracketed)
        from = rl_slice_of(from.data + 1, from.bytes - 2);
    if (from.bytes >= RL_LISTENER_HOST_BYTES || (bracketed && from.bytes == 0))
        return false;
    for (size_t i = 0; i < from.bytes; i++)
        if (!is_host_byte(from.data[i]))
            return false;
    if (from.bytes > 0)
        memcpy(host, from.data, from.bytes);
    host[from.bytes] = '\0';
    return true;
}

static bool read_port(struct rl_slice text, uint16_t *ret_port)
{
    uint32_t port = 0;
    for (size_t i = 0; i < text.bytes; i++) {
        if (!isdigit(text.data[i]))
            return false;
        port = port * 10 + (text.data[i] - '0');
        if (port > UINT16_MAX)
            return false;
    }
    *ret_port = (uint16_t)port;
    return text.bytes > 0;
}

static bool is_ipv6(const char *host)
{
    return strchr(host, ':') != NULL;
}

static bool is_ipv4(const char *host)
{
    return host[0] != '\0' && host[strspn(host, "0123456789.")] == '\0';
}

/* All addresses: "", 0.0.0.0, ::, 0:0:0:0:0:0:0:0 and the like. */
static bool is_wildcard(const char *host)
{
    return host[strspn(host, "0:")] == '\0' || strcmp(host, "0.0.0.0") == 0;
}

/* Only this machine can reach it.  Names are not resolved; localhost is this machine everywhere. */
static bool is_loopback(const char *host)
{
    return (is_ipv4(host) && strncmp(host, "127.", 4) == 0) || strcmp(host, "::1") == 0 ||
           strcasecmp(host, "localhost") == 0;
}

/* NAME://HOST:PORT */
static rl_status parse_endpoint(struct listener_parse *parse, const char *key, struct rl_slice text,
                                struct rl_listener *ret_listener)
{
    struct rl_listener listener = { .protocol = RL_PROTOCOL_PLAINTEXT };
    const uint8_t *slashes = text.bytes >= 3 ? memmem(text.data, text.bytes, "://", 3) : NULL;
    size_t name_bytes = slashes != NULL ? (size_t)(slashes - text.data) : 0;
    struct rl_slice rest = slashes != NULL
        ? rl_slice_of(slashes + 3, text.bytes - name_bytes - 3) : rl_slice_of(NULL, 0);
    size_t port_at = rest.bytes;
    while (port_at > 0 && rest.data[port_at - 1] != ':')
        port_at--;
    if (slashes == NULL || port_at == 0 ||
        !copy_name(rl_slice_of(text.data, name_bytes), listener.name) ||
        !copy_host(rl_slice_of(rest.data, port_at - 1), listener.host) ||
        !read_port(rl_slice_of(rest.data + port_at, rest.bytes - port_at), &listener.port))
        return refuse(parse, RL_EINVAL, "%s: Unable to parse '%.*s' to a broker endpoint; it "
                      "should be NAME://HOST:PORT with a port of 0 to 65535", key,
                      (int)RL_MIN(text.bytes, 256), (const char *)text.data);
    listener.wildcard = is_wildcard(listener.host);
    listener.loopback = is_loopback(listener.host);
    *ret_listener = listener;
    return RL_OK;
}

/* ---- the set ---- */

static struct rl_listener *find_listener(struct rl_listener_set *set, const char *name)
{
    for (size_t i = 0; i < set->count; i++)
        if (strcmp(set->listeners[i].name, name) == 0)
            return &set->listeners[i];
    return NULL;
}

static bool is_controller_name(const struct listener_parse *parse, const char *wanted)
{
    struct rl_slice rest = rl_config_list(parse->settings->controller_listener_names), element;
    char name[RL_LISTENER_NAME_BYTES];
    while (rl_config_list_next(&rest, &element))
        if (copy_name(element, name) && strcmp(name, wanted) == 0)
            return true;
    return false;
}

static rl_status check_ports(struct listener_parse *parse, const struct rl_listener *listener)
{
    size_t same = 0;
    for (size_t i = 0; i < parse->set->count; i++) {
        const struct rl_listener *other = &parse->set->listeners[i];
        if (listener->port == 0 || other->port != listener->port)
            continue;
        bool pair = (is_ipv4(other->host) && is_ipv6(listener->host)) ||
                    (is_ipv6(other->host) && is_ipv4(listener->host));
        if (!pair || ++same > 1)
            return refuse(parse, RL_EINVAL, "listeners: Each listener must have a different port, "
                          "unless one has an IPv4 and the other an IPv6 address; %s and %s both "
                          "have %u", other->name, listener->name, listener->port);
    }
    return RL_OK;
}

static rl_status add_listener(struct listener_parse *parse, struct rl_slice element)
{
    struct rl_listener_set *set = parse->set;
    struct rl_listener listener;
    rl_status st = parse_endpoint(parse, "listeners", element, &listener);
    if (st != RL_OK)
        return st;
    if (is_controller_name(parse, listener.name)) {
        set->controller_count++;
        return RL_OK;
    }
    if (find_listener(set, listener.name) != NULL)
        return refuse(parse, RL_EINVAL, "listeners: Each listener must have a different name; %s "
                      "is there twice", listener.name);
    if ((st = check_ports(parse, &listener)) != RL_OK ||
        (st = find_listener_protocol(parse, "listeners", &listener)) != RL_OK)
        return st;
    if (set->count == RL_LISTENERS_MAX)
        return refuse(parse, RL_EINVAL, "listeners: more than %d listeners", RL_LISTENERS_MAX);
    if (!listener.wildcard)
        snprintf(listener.advertised_host, sizeof listener.advertised_host, "%s", listener.host);
    set->listeners[set->count++] = listener;
    return RL_OK;
}

static rl_status parse_listeners(struct listener_parse *parse)
{
    struct rl_slice rest = rl_config_list(parse->settings->listeners), element;
    while (rl_config_list_next(&rest, &element)) {
        rl_status st = add_listener(parse, element);
        if (st != RL_OK)
            return st;
    }
    if (parse->set->count == 0)
        return refuse(parse, RL_EINVAL, "listeners: there is no listener for clients%s",
                      parse->set->controller_count > 0
                          ? ": all are named in controller.listener.names" : "");
    return RL_OK;
}

static rl_status add_advertised(struct listener_parse *parse, struct rl_slice element,
                                bool *advertised)
{
    struct rl_listener told;
    rl_status st = parse_endpoint(parse, "advertised.listeners", element, &told);
    if (st != RL_OK || is_controller_name(parse, told.name))
        return st;
    if ((st = find_listener_protocol(parse, "advertised.listeners", &told)) != RL_OK)
        return st;
    struct rl_listener *listener = find_listener(parse->set, told.name);
    if (listener == NULL)
        return refuse(parse, RL_EINVAL, "advertised.listeners: %s is not a name in listeners",
                      told.name);
    size_t index = (size_t)(listener - parse->set->listeners);
    if (advertised[index])
        return refuse(parse, RL_EINVAL, "advertised.listeners: Each listener must have a different "
                      "name; %s is there twice", told.name);
    if (told.wildcard && told.host[0] != '\0')
        return refuse(parse, RL_EINVAL, "advertised.listeners: cannot use the nonroutable "
                      "meta-address %s. Use a routable IP address.", told.host);
    advertised[index] = true;
    memcpy(listener->advertised_host, told.host, sizeof told.host);
    listener->advertised_port = told.port;
    return RL_OK;
}

static rl_status parse_advertised(struct listener_parse *parse)
{
    bool advertised[RL_LISTENERS_MAX] = { false };
    struct rl_slice rest = rl_config_list(parse->settings->advertised_listeners), element;
    while (rl_config_list_next(&rest, &element)) {
        rl_status st = add_advertised(parse, element, advertised);
        if (st != RL_OK)
            return st;
    }
    return RL_OK;
}

/* The named one, else the one called PLAINTEXT (security.inter.broker.protocol's default), else
 * the first: Kafka insists on a name there, but one broker alone needs none. */
static rl_status find_inter_broker(struct listener_parse *parse)
{
    const char *wanted = parse->settings->inter_broker_listener_name;
    char name[RL_LISTENER_NAME_BYTES];
    if (wanted != NULL && !copy_name(rl_config_trim(rl_slice_of_string(wanted)), name))
        return refuse(parse, RL_EINVAL, "inter.broker.listener.name: '%.128s' is not a listener "
                      "name", wanted);
    struct rl_listener *listener = find_listener(parse->set, wanted != NULL ? name : "PLAINTEXT");
    if (wanted != NULL && listener == NULL)
        return refuse(parse, RL_EINVAL, "inter.broker.listener.name: %s is not a name in listeners",
                      name);
    parse->set->inter_broker_index =
        listener != NULL ? (size_t)(listener - parse->set->listeners) : 0;
    return RL_OK;
}

rl_status rl_listeners_parse(const struct rl_listener_settings *settings,
                             struct rl_listener_set *ret_set, char *message, size_t bytes)
{
    struct rl_listener_set set = { .count = 0 };
    struct listener_parse parse = {
        .settings = settings, .set = &set, .message = message, .bytes = bytes };
    rl_status st = map_find(&parse, NULL, NULL);
    if (st == RL_OK || st == RL_ENOTFOUND)
        st = parse_listeners(&parse);
    if (st == RL_OK)
        st = parse_advertised(&parse);
    if (st == RL_OK)
        st = find_inter_broker(&parse);
    if (st == RL_OK)
        *ret_set = set;
    return st;
}

void rl_listener_format(const struct rl_listener *listener, char *text, size_t bytes)
{
    bool brackets = is_ipv6(listener->host);
    snprintf(text, bytes, "%s://%s%s%s:%u", listener->name, brackets ? "[" : "", listener->host,
             brackets ? "]" : "", listener->port);
}
