/* A PAM module that lets in whom the verifier accepts, as RDS's module asks a service beside the database.
 *
 * In a service file: auth required /path/pam_rds_iam.so /path/of/the/verifier's.socket
 *
 * pam_exec would do, were it not for its limit of 512 bytes: a token with a session token has 1.9 kB. */
#include "verifier.h"

/* Linux-PAM's stable ABI, declared here so that its headers need not be installed. */
typedef struct pam_handle pam_handle_t;
enum { PAM_SUCCESS = 0, PAM_AUTH_ERR = 7, PAM_AUTHTOK = 6 };
extern int pam_get_user(pam_handle_t *, const char **user, const char *prompt);
extern int pam_get_authtok(pam_handle_t *, int item, const char **token, const char *prompt);

int pam_sm_authenticate(pam_handle_t *handle, int flags, int count, const char **arguments)
{
    const char *user = 0, *token = 0;

    (void)flags;
    if (count != 1 || pam_get_user(handle, &user, 0) != PAM_SUCCESS
        || pam_get_authtok(handle, PAM_AUTHTOK, &token, "Password: ") != PAM_SUCCESS || !token)
        return PAM_AUTH_ERR;
    return verifier_accepts(arguments[0], user, token, strlen(token)) ? PAM_SUCCESS : PAM_AUTH_ERR;
}

int pam_sm_setcred(pam_handle_t *handle, int flags, int count, const char **arguments)
{
    (void)handle, (void)flags, (void)count, (void)arguments;
    return PAM_SUCCESS;
}

int pam_sm_acct_mgmt(pam_handle_t *handle, int flags, int count, const char **arguments)
{
    (void)handle, (void)flags, (void)count, (void)arguments;
    return PAM_SUCCESS;
}
