/* tests/broker/test_listener.c — the listener family, parsed and cross-checked. */
#include "broker/listener.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

/* A good set as "NAME host port>advertised-host advertised-port[*]; ...", * for wildcards. */
static void show(const struct rl_listener_set *set, char *out, size_t bytes)
{
    size_t at = 0;
    out[0] = '\0';
    for (size_t i = 0; i < set->count; i++) {
        const struct rl_listener *listener = &set->listeners[i];
        at += (size_t)snprintf(out + at, bytes - at, "%s%s %s %u>%s %u%s", i > 0 ? "; " : "",
                               listener->name, listener->host, listener->port,
                               listener->advertised_host, listener->advertised_port,
                               listener->wildcard ? "*" : "");
    }
}

static const struct {
    const char *listeners;
    const char *advertised;
    const char *map;
    const char *controllers;
    const char *inter_broker;
    rl_status status;
    const char *answer;                 /* the set, or a part of the message */
} cases[] = {
    { "PLAINTEXT://127.0.0.1:9092", .answer = "PLAINTEXT 127.0.0.1 9092>127.0.0.1 0" },
    { " PLAINTEXT://h:1 ", .answer = "PLAINTEXT h 1>h 0" },
    { "plaintext://h:1", .answer = "PLAINTEXT h 1>h 0" },
    { "PLAINTEXT://[::1]:9092", .answer = "PLAINTEXT ::1 9092>::1 0" },
    { "PLAINTEXT://::1:9092", .answer = "PLAINTEXT ::1 9092>::1 0" },
    { "PLAINTEXT://[fe80::1%eth0]:9", .answer = "PLAINTEXT fe80::1%eth0 9>fe80::1%eth0 0" },
    { "PLAINTEXT://a_b-c.d:9", .answer = "PLAINTEXT a_b-c.d 9>a_b-c.d 0" },
    /* all addresses: clients are told what they dialled */
    { "PLAINTEXT://:9092", .answer = "PLAINTEXT  9092> 0*" },
    { "PLAINTEXT://0.0.0.0:9092", .answer = "PLAINTEXT 0.0.0.0 9092> 0*" },
    { "PLAINTEXT://[::]:9092", .answer = "PLAINTEXT :: 9092> 0*" },
    { "PLAINTEXT://[0:0:0:0:0:0:0:0]:9092", .answer = "PLAINTEXT 0:0:0:0:0:0:0:0 9092> 0*" },
    { "PLAINTEXT://127.0.0.1:0", .answer = "PLAINTEXT 127.0.0.1 0>127.0.0.1 0" },
    { "A://h:0,B://h:0", .map = "A:PLAINTEXT,B:PLAINTEXT", .answer = "A h 0>h 0; B h 0>h 0" },
    { "a://h:1, B://h:2", .map = " A : PLAINTEXT , b:plaintext",
      .answer = "A h 1>h 0; B h 2>h 0" },
    { "A://127.0.0.1:9,B://[::1]:9", .map = "A:PLAINTEXT,B:PLAINTEXT",
      .answer = "A 127.0.0.1 9>127.0.0.1 0; B ::1 9>::1 0" },
    { "PLAINTEXT://:9092,SSL://:9093", .map = "PLAINTEXT:PLAINTEXT,SSL:PLAINTEXT",
      .answer = "PLAINTEXT  9092> 0*; SSL  9093> 0*" },
    /* advertised */
    { "PLAINTEXT://:9092", "PLAINTEXT://kafka.example:19092",
      .answer = "PLAINTEXT  9092>kafka.example 19092*" },
    { "PLAINTEXT://:9092", "PLAINTEXT://[2001:db8::1]:1",
      .answer = "PLAINTEXT  9092>2001:db8::1 1*" },
    { "PLAINTEXT://:9092", "PLAINTEXT://:19092", .answer = "PLAINTEXT  9092> 19092*" },
    { "PLAINTEXT://:9092", "PLAINTEXT://h:0", .answer = "PLAINTEXT  9092>h 0*" },
    { "A://:1,B://:2", "B://h:7", "A:PLAINTEXT,B:PLAINTEXT",
      .answer = "A  1> 0*; B  2>h 7*" },
    { "A://:1,B://:2", "A://h:7,B://h:7", "A:PLAINTEXT,B:PLAINTEXT",
      .answer = "A  1>h 7*; B  2>h 7*" },
    /* Kafka's usual combined file */
    { "PLAINTEXT://:9092,CONTROLLER://:9093",
      "PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093",
      "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,"
      "SASL_SSL:SASL_SSL",
      "CONTROLLER", "PLAINTEXT", .answer = "PLAINTEXT  9092>localhost 9092*" },
    { "PLAINTEXT://:9092,CONTROLLER://:9093", .controllers = "CONTROLLER",
      .answer = "PLAINTEXT  9092> 0*" },
    { "CONTROLLER://:9093", .controllers = "CONTROLLER", .status = RL_EINVAL,
      .answer = "listeners: there is no listener for clients: all are named in "
                "controller.listener.names" },
    /* malformed */
    { "", .status = RL_EINVAL, .answer = "listeners: there is no listener" },
    { "PLAINTEXT://h", .status = RL_EINVAL,
      .answer = "listeners: Unable to parse 'PLAINTEXT://h' to a broker endpoint" },
    { "h:9092", .status = RL_EINVAL, .answer = "listeners: Unable to parse 'h:9092'" },
    { "://h:9092", .status = RL_EINVAL, .answer = "Unable to parse" },
    { "PLAINTEXT://", .status = RL_EINVAL, .answer = "Unable to parse" },
    { "PLAINTEXT://h:", .status = RL_EINVAL, .answer = "Unable to parse" },
    { "PLAINTEXT://h:x", .status = RL_EINVAL, .answer = "Unable to parse" },
    { "PLAINTEXT://h:65536", .status = RL_EINVAL, .answer = "port of 0 to 65535" },
    { "PLAINTEXT://h:99999999999", .status = RL_EINVAL, .answer = "port of 0 to 65535" },
    { "PLAINTEXT://h:-1", .status = RL_EINVAL, .answer = "Unable to parse" },
    { "PLAINTEXT://h:9092/", .status = RL_EINVAL, .answer = "Unable to parse" },
    { "PLAINTEXT://h h:9", .status = RL_EINVAL, .answer = "Unable to parse" },
    { "PLAINTEXT://[::1:9", .status = RL_EINVAL, .answer = "Unable to parse" },
    { "PLAINTEXT://[]:9", .status = RL_EINVAL, .answer = "Unable to parse" },
    { "PLAINTEXT://h:1,", .status = RL_EINVAL, .answer = "Unable to parse ''" },
    { "PLAINTEXT://h:1,,A://h:2", .status = RL_EINVAL, .answer = "Unable to parse ''" },
    /* names and ports */
    { "PLAINTEXT://h:1,PLAINTEXT://h:2", .status = RL_EINVAL,
      .answer = "listeners: Each listener must have a different name; PLAINTEXT is there twice" },
    { "A://h:1,B://h:1", .map = "A:PLAINTEXT,B:PLAINTEXT", .status = RL_EINVAL,
      .answer = "listeners: Each listener must have a different port" },
    { "A://127.0.0.1:9,B://127.0.0.2:9", .map = "A:PLAINTEXT,B:PLAINTEXT", .status = RL_EINVAL,
      .answer = "unless one has an IPv4 and the other an IPv6 address; A and B both have 9" },
    { "A://127.0.0.1:9,B://[::1]:9,C://[::2]:9", .map = "A:PLAINTEXT,B:PLAINTEXT,C:PLAINTEXT",
      .status = RL_EINVAL, .answer = "different port" },
    /* protocols */
    { "FOO://h:1", .status = RL_EINVAL,
      .answer = "listeners: No security protocol defined for listener FOO" },
    { "PLAINTEXT://h:1", .map = "A:PLAINTEXT", .status = RL_EINVAL,
      .answer = "No security protocol defined for listener PLAINTEXT" },
    { "A://h:1", .map = "", .status = RL_EINVAL, .answer = "No security protocol" },
    { "SSL://h:1", .status = RL_EUNSUPPORTED, .answer = "listener SSL has the security protocol "
      "SSL, which ringlog does not support yet; only PLAINTEXT is" },
    { "A://h:1", .map = "A:SASL_SSL", .status = RL_EUNSUPPORTED, .answer = "protocol SASL_SSL" },
    { "A://h:1", .map = "A:PLAIN", .status = RL_EINVAL,
      .answer = "listener.security.protocol.map: Invalid security protocol `PLAIN`" },
    { "A://h:1", .map = "A", .status = RL_EINVAL,
      .answer = "listener.security.protocol.map: cannot parse 'A'" },
    { "A://h:1", .map = "A:PLAINTEXT,", .status = RL_EINVAL, .answer = "cannot parse ''" },
    { "A://h:1", .map = ":PLAINTEXT", .status = RL_EINVAL, .answer = "cannot parse" },
    { "A://h:1", .map = "A:", .status = RL_EINVAL, .answer = "cannot parse" },
    /* advertised, refused */
    { "PLAINTEXT://:1", "PLAINTEXT://0.0.0.0:1", .status = RL_EINVAL,
      .answer = "advertised.listeners: cannot use the nonroutable meta-address 0.0.0.0" },
    { "PLAINTEXT://:1", "PLAINTEXT://[::]:1", .status = RL_EINVAL, .answer = "meta-address ::" },
    { "PLAINTEXT://:1", "SSL://h:1", .map = "PLAINTEXT:PLAINTEXT,SSL:PLAINTEXT",
      .status = RL_EINVAL, .answer = "advertised.listeners: SSL is not a name in listeners" },
    { "PLAINTEXT://:1", "FOO://h:1", .status = RL_EINVAL,
      .answer = "advertised.listeners: No security protocol defined for listener FOO" },
    { "PLAINTEXT://:1", "PLAINTEXT://h:1,PLAINTEXT://g:1", .status = RL_EINVAL,
      .answer = "advertised.listeners: Each listener must have a different name" },
    { "PLAINTEXT://:1", "PLAINTEXT://h", .status = RL_EINVAL,
      .answer = "advertised.listeners: Unable to parse 'PLAINTEXT://h'" },
    /* between brokers */
    { "PLAINTEXT://:1", .inter_broker = "FOO", .status = RL_EINVAL,
      .answer = "inter.broker.listener.name: FOO is not a name in listeners" },
    { "PLAINTEXT://:1", .inter_broker = "", .status = RL_EINVAL,
      .answer = "inter.broker.listener.name" },
};

Test(listener, table)
{
    for (size_t i = 0; i < RL_ARRAY_COUNT(cases); i++) {
        struct rl_listener_settings settings = {
            cases[i].listeners, cases[i].advertised, cases[i].map, cases[i].controllers,
            cases[i].inter_broker };
        struct rl_listener_set set = { .count = 99 };
        char answer[2048] = "";
        rl_status st = rl_listeners_parse(&settings, &set, answer, sizeof answer);
        cr_assert_eq(st, cases[i].status, "%s: %s", cases[i].listeners, answer);
        if (st == RL_OK) {
            show(&set, answer, sizeof answer);
            cr_assert_str_eq(answer, cases[i].answer);
        } else {
            cr_assert_eq(set.count, 99);
            cr_assert_not_null(strstr(answer, cases[i].answer), "%s: %s", cases[i].listeners,
                               answer);
        }
    }
}

Test(listener, the_one_between_brokers)
{
    struct rl_listener_settings settings = { .listeners = "A://:1,PLAINTEXT://:2,B://:3",
        .listener_security_protocol_map = "A:PLAINTEXT,B:PLAINTEXT,PLAINTEXT:PLAINTEXT" };
    struct rl_listener_set set;
    char message[512];
    cr_assert_eq(rl_listeners_parse(&settings, &set, message, sizeof message), RL_OK);
    cr_assert_eq(set.inter_broker_index, 1);
    settings.inter_broker_listener_name = "b";
    cr_assert_eq(rl_listeners_parse(&settings, &set, message, sizeof message), RL_OK);
    cr_assert_eq(set.inter_broker_index, 2);
    settings = (struct rl_listener_settings){ .listeners = "A://:1,C://:2",
        .listener_security_protocol_map = "A:PLAINTEXT", .controller_listener_names = "C" };
    cr_assert_eq(rl_listeners_parse(&settings, &set, message, sizeof message), RL_OK);
    cr_assert_eq(set.inter_broker_index, 0);
    cr_assert_eq(set.controller_count, 1);
}

Test(listener, bounds)
{
    char list[4096] = "", map[4096] = "", message[512];
    for (int i = 0; i <= RL_LISTENERS_MAX; i++) {
        snprintf(list + strlen(list), 32, "%sL%d://h:%d", i > 0 ? "," : "", i, i + 1);
        snprintf(map + strlen(map), 32, "%sL%d:PLAINTEXT", i > 0 ? "," : "", i);
    }
    struct rl_listener_settings settings = {
        .listeners = list, .listener_security_protocol_map = map };
    struct rl_listener_set set;
    cr_assert_eq(rl_listeners_parse(&settings, &set, message, sizeof message), RL_EINVAL);
    cr_assert_not_null(strstr(message, "more than 16"));
    strrchr(list, ',')[0] = '\0';
    cr_assert_eq(rl_listeners_parse(&settings, &set, message, sizeof message), RL_OK);
    cr_assert_eq(set.count, RL_LISTENERS_MAX);

    char host[400];
    snprintf(host, sizeof host, "PLAINTEXT://%0300d:1", 7);
    settings = (struct rl_listener_settings){ .listeners = host };
    cr_assert_eq(rl_listeners_parse(&settings, &set, message, sizeof message), RL_EINVAL);
    snprintf(host, sizeof host, "%0100d://h:1", 7);
    cr_assert_eq(rl_listeners_parse(&settings, &set, message, sizeof message), RL_EINVAL);
}

Test(listener, is_printed_as_kafka_prints_it)
{
    struct rl_listener listener = { .name = "PLAINTEXT", .host = "::1", .port = 9092 };
    char text[128];
    rl_listener_format(&listener, text, sizeof text);
    cr_assert_str_eq(text, "PLAINTEXT://[::1]:9092");
    snprintf(listener.host, sizeof listener.host, "h");
    rl_listener_format(&listener, text, sizeof text);
    cr_assert_str_eq(text, "PLAINTEXT://h:9092");
    cr_assert_str_eq(rl_security_protocol_name(RL_PROTOCOL_SASL_SSL), "SASL_SSL");
}
