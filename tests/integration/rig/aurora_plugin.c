/* A plugin for MySQL 5.7 that lets it answer the topology queries of Aurora MySQL.
 *
 * Its variables are @@aurora_server_id and @@aurora_version. The names that no community server
 * knows are replaced before a statement is parsed. The server's binary interface is declared here,
 * so that its headers need not be installed. */
#define _GNU_SOURCE
#include <string.h>

enum { AUDIT_PLUGIN = 5, LICENSE_GPL = 1, PARSE_CLASS = 2, BEFORE_PARSING = 1, REWRITTEN = 1 };

enum { TEXT_VARIABLE = 0x0005, READ_ONLY = 0x0200 };

typedef struct {
    const char *text;
    size_t length;
} text_t;

typedef struct {
    int subclass;
    int *flags;
    text_t statement;
    text_t *rewritten;
} parse_event_t;

/* The server frees a rewritten statement, and so has to allocate it. */
extern void *my_malloc(unsigned key, size_t size, int flags);

static const struct {
    const char *name, *replacement;
} names[] = {
    {"information_schema.replica_host_status", "aurora.replica_host_status"},
    {"@@innodb_read_only", "@@global.read_only"},
};

enum { NAMES = sizeof names / sizeof *names };

/* Returns the name that begins here, or NAMES. */
static size_t name_at(const char *text, size_t left)
{
    size_t at;

    for (at = 0; at < NAMES; at++) {
        size_t length = strlen(names[at].name);
        if (length <= left && strncasecmp(text, names[at].name, length) == 0)
            break;
    }
    return at;
}

/* Copies a statement with its names replaced, and returns the new length; only counts without a
 * place for the copy. */
static size_t rewrite(text_t statement, char *copy, int *is_changed)
{
    size_t length = 0;

    for (size_t at = 0; at < statement.length;) {
        size_t name = name_at(statement.text + at, statement.length - at);
        const char *from = name < NAMES ? names[name].replacement : statement.text + at;
        size_t size = name < NAMES ? strlen(from) : 1;
        if (copy)
            memcpy(copy + length, from, size);
        length += size;
        at += name < NAMES ? strlen(names[name].name) : 1;
        *is_changed |= name < NAMES;
    }
    return length;
}

static int before_parsing(void *session, int event_class, const void *event)
{
    const parse_event_t *parse = event;
    int is_changed = 0;

    (void)session;
    if (event_class != PARSE_CLASS || parse->subclass != BEFORE_PARSING)
        return 0;
    size_t length = rewrite(parse->statement, NULL, &is_changed);
    char *copy = is_changed ? my_malloc(0, length + 1, 0) : NULL;
    if (!copy)
        return 0;
    rewrite(parse->statement, copy, &is_changed);
    copy[length] = '\0';
    parse->rewritten->text = copy;
    parse->rewritten->length = length;
    *parse->flags |= REWRITTEN;
    return 0;
}

static int nothing_to_do(void *plugin)
{
    (void)plugin;
    return 0;
}

static char *server_id, *version;

typedef struct {
    int flags;
    const char *name, *comment;
    void *check, *update;
    char **value;
    const char *by_default;
} variable_t;

/* The server puts the name of the plugin before theirs. */
static variable_t server_id_variable = {
    TEXT_VARIABLE | READ_ONLY, "server_id", "The id of the instance", 0, 0, &server_id, "a"};
static variable_t version_variable = {
    TEXT_VARIABLE | READ_ONLY, "version", "The version of Aurora", 0, 0, &version, "2.11.1"};
static variable_t *variables[] = {&server_id_variable, &version_variable, 0};

static struct {
    int version;
    void (*release)(void *);
    int (*notify)(void *, int, const void *);
    unsigned long classes[11];
} descriptor = {0x0401, 0, before_parsing, {[PARSE_CLASS] = BEFORE_PARSING}};

struct plugin {
    int type;
    void *info;
    const char *name, *author, *description;
    int license;
    int (*init)(void *), (*deinit)(void *);
    unsigned version;
    void *status, *variables, *reserved;
    unsigned long flags;
};

int _mysql_plugin_interface_version_ = 0x0107;
int _mysql_sizeof_struct_st_plugin_ = sizeof(struct plugin);
struct plugin _mysql_plugin_declarations_[] = {
    {AUDIT_PLUGIN, &descriptor, "aurora", "rds-wrapper", "Topology, as Aurora reports it", LICENSE_GPL,
     nothing_to_do, nothing_to_do, 0x0100, 0, variables, 0, 0},
    {0},
};
