/* A plugin for MySQL 5.7 and, with -DMARIADB, MariaDB: of the name and with the answers of RDS's
 * AWSAuthenticationPlugin.
 *
 * It asks the client for mysql_clear_password and lets in whom the verifier at the socket in
 * TOKEN_VERIFIER accepts. The servers' binary interfaces are declared here, so that their headers
 * need not be installed. */
#include <stdlib.h>

#include "verifier.h"

#ifdef MARIADB
#define USER_NAME_LENGTH 512
#else
#define USER_NAME_LENGTH 96
#endif

enum { CR_OK = -1, CR_ERROR = 0, AUTHENTICATION_PLUGIN = 7, LICENSE_GPL = 1 };

typedef struct connection {
    int (*read_packet)(struct connection *, unsigned char **packet);
    int (*write_packet)(struct connection *, const unsigned char *packet, int length);
    void (*info)(struct connection *, void *);
} connection_t;

typedef struct {
    char *user_name;
    unsigned user_name_length;
    const char *auth_string;
    unsigned long auth_string_length;
    char authenticated_as[USER_NAME_LENGTH + 1];
    char external_user[512];
    int password_used;
    const char *host_or_ip;
    unsigned host_or_ip_length;
} login_t;

static int authenticate(connection_t *connection, login_t *login)
{
    unsigned char *packet;
    int length = connection->read_packet(connection, &packet);

    if (length > 0 && packet[length - 1] == '\0')
        length--;
    login->password_used = length > 0;
    /* CREATE USER … IDENTIFIED WITH AWSAuthenticationPlugin AS 'RDS' */
    if (length <= 0 || !login->auth_string || strcmp(login->auth_string, "RDS") != 0)
        return CR_ERROR;
    const char *socket_path = getenv("TOKEN_VERIFIER");
    return verifier_accepts(socket_path, login->user_name, (char *)packet, (size_t)length) ? CR_OK : CR_ERROR;
}

static int nothing_to_do(void *plugin)
{
    (void)plugin;
    return 0;
}

#ifdef MARIADB

static struct {
    int version;
    const char *client_plugin;
    int (*authenticate)(connection_t *, login_t *);
    void *hash_password, *preprocess_hash;
} descriptor = {0x0202, "mysql_clear_password", authenticate, 0, 0};

struct plugin {
    int type;
    void *info;
    const char *name, *author, *description;
    int license;
    int (*init)(void *), (*deinit)(void *);
    unsigned version;
    void *status, *variables;
    const char *version_text;
    unsigned maturity;
};

enum { MATURITY_STABLE = 4 };

int _maria_plugin_interface_version_ = 0x010e;
int _maria_sizeof_struct_st_plugin_ = sizeof(struct plugin);
struct plugin _maria_plugin_declarations_[] = {
    {AUTHENTICATION_PLUGIN, &descriptor, "AWSAuthenticationPlugin", "rds-wrapper",
     "Tokens, as RDS takes them", LICENSE_GPL, nothing_to_do, nothing_to_do,
     0x0100, 0, 0, "1.0", MATURITY_STABLE},
    {0},
};

#else

static int take_authentication_string(char *out, unsigned *out_length, const char *in, unsigned in_length)
{
    if (in_length > *out_length)
        return 1;
    memcpy(out, in, in_length);
    *out_length = in_length;
    return 0;
}

static int any_authentication_string(char *const text, unsigned length)
{
    (void)text, (void)length;
    return 0;
}

static int no_salt(const char *password, unsigned length, unsigned char *salt, unsigned char *salt_length)
{
    (void)password, (void)length, (void)salt;
    *salt_length = 0;
    return 0;
}

static struct {
    int version;
    const char *client_plugin;
    int (*authenticate)(connection_t *, login_t *);
    int (*generate)(char *, unsigned *, const char *, unsigned);
    int (*validate)(char *const, unsigned);
    int (*salt)(const char *, unsigned, unsigned char *, unsigned char *);
    unsigned long flags;
} descriptor = {0x0101, "mysql_clear_password", authenticate, take_authentication_string,
                any_authentication_string, no_salt, 0};

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
    {AUTHENTICATION_PLUGIN, &descriptor, "AWSAuthenticationPlugin", "rds-wrapper",
     "Tokens, as RDS takes them", LICENSE_GPL, nothing_to_do, nothing_to_do,
     0x0100, 0, 0, 0, 0},
    {0},
};

#endif
