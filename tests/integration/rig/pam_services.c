/* Preloaded into PostgreSQL: PAM services are read from the folder in PAM_SERVICES, not from /etc/pam.d.
 *
 * libpam-wrapper does the like, but for 62 processes at once at most, and every backend is one. */
#include <stdlib.h>

/* Linux-PAM's stable ABI, declared here so that its headers need not be installed. */
struct pam_conv;
typedef struct pam_handle pam_handle_t;
/* Since Linux-PAM 1.4. */
extern int pam_start_confdir(const char *service, const char *user, const struct pam_conv *,
                             const char *folder, pam_handle_t **);

int pam_start(const char *service, const char *user, const struct pam_conv *conversation,
              pam_handle_t **handle)
{
    return pam_start_confdir(service, user, conversation, getenv("PAM_SERVICES"), handle);
}
