/* broker/config_describe.c — DescribeConfigs of the broker.
 *
 * Kafka's rule for synonyms: explicit values of the key and its family, in the family's order,
 * then their defaults, and from the front everything goes until the key itself comes.  The first
 * that remains gives the source. */
#include "broker/config_describe.h"

#include "broker/config_family.h"
#include "broker/config_private.h"

#include <string.h>

void rl_config_entry_add(struct rl_config_entry *entry, const char *name, const char *value,
                         enum rl_config_source source)
{
    RL_ASSERT(entry->synonym_count < RL_CONFIG_SYNONYMS_MAX);
    entry->synonyms[entry->synonym_count++] = (struct rl_config_synonym){
        .name = name, .value = entry->sensitive ? NULL : value, .source = source };
}

static void add_explicit(const struct rl_config *config, enum rl_config_layer layer,
                         struct rl_config_entry *entry, const char *wanted, const char *name)
{
    static const enum rl_config_source sources[RL_CONFIG_LAYERS] = {
        [RL_CONFIG_LAYER_OWN] = RL_CONFIG_SOURCE_BROKER,
        [RL_CONFIG_LAYER_ALL] = RL_CONFIG_SOURCE_CLUSTER,
        [RL_CONFIG_LAYER_START] = RL_CONFIG_SOURCE_STATIC };
    const struct rl_config_value *value = rl_config_find_in(config, layer, name);
    if (value == NULL || value->canonical == NULL)
        return;
    if (entry->synonym_count > 0 || strcmp(name, wanted) == 0)
        rl_config_entry_add(entry, value->key->name, value->canonical, sources[layer]);
}

static void add_default(const struct rl_config *config, struct rl_config_entry *entry,
                        const char *wanted, const char *name)
{
    const struct rl_config_key *key = rl_config_key_find(RL_CONFIG_BROKER, name);
    const char *text = rl_config_default_text(config, key);
    if (text != NULL && (entry->synonym_count > 0 || strcmp(name, wanted) == 0))
        rl_config_entry_add(entry, key->name, text, RL_CONFIG_SOURCE_DEFAULT);
}

void rl_config_entry_add_broker(const struct rl_config *config, const char *wanted,
                                struct rl_config_entry *entry)
{
    struct rl_config_entry own = { .sensitive = entry->sensitive };
    const struct rl_config_family *family = rl_config_family_find(wanted);
    if (family != NULL && family->first_only && strcmp(family->members[0].name, wanted) != 0)
        family = NULL;
    size_t count = 1;
    while (family != NULL && count < RL_CONFIG_FAMILY_MEMBERS && family->members[count].name)
        count++;
    for (int layer = 0; layer < RL_CONFIG_LAYERS; layer++)
        for (size_t i = 0; i < count; i++)
            add_explicit(config, (enum rl_config_layer)layer, &own, wanted,
                         family != NULL ? family->members[i].name : wanted);
    for (size_t i = 0; i < count; i++)
        add_default(config, &own, wanted, family != NULL ? family->members[i].name : wanted);
    for (size_t i = 0; i < own.synonym_count; i++)
        rl_config_entry_add(entry, own.synonyms[i].name, own.synonyms[i].value,
                            own.synonyms[i].source);
}

void rl_config_entry_finish(struct rl_config_entry *entry)
{
    entry->source = entry->synonym_count > 0 ? entry->synonyms[0].source : RL_CONFIG_SOURCE_DEFAULT;
    entry->is_default = entry->source == RL_CONFIG_SOURCE_DEFAULT;
    if (entry->sensitive)
        entry->value = NULL;
}

void rl_config_describe(const struct rl_config *config, const struct rl_config_key *key,
                        struct rl_config_entry *ret_entry)
{
    RL_OBJ(config, CONFIG);
    RL_ASSERT(config->finished && key->level == RL_CONFIG_BROKER);
    const struct rl_config_value *value = rl_config_find(config, key->name);
    struct rl_config_entry entry = {
        .name = key->name, .type = key->type, .value = rl_config_text(config, key),
        .documentation = key->documentation, .where = value != NULL ? value->where : NULL,
        .read_only = !rl_config_is_alterable(key),
        .sensitive = rl_config_key_sensitive(key) };
    rl_config_entry_add_broker(config, key->name, &entry);
    rl_config_entry_finish(&entry);
    *ret_entry = entry;
}
