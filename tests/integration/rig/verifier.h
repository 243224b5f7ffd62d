/* Asks the verifier whether a user may come in with a token.
 *
 * Over a unix socket: the user, NUL, the token, end of input; the answer is one byte, '1' for yes. */
#ifndef VERIFIER_H
#define VERIFIER_H

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int send_all(int connection, const char *bytes, size_t length)
{
    while (length > 0) {
        /* Without MSG_NOSIGNAL a verifier that is gone would end the server by SIGPIPE. */
        ssize_t sent = send(connection, bytes, length, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            return 0;
        bytes += sent;
        length -= (size_t)sent;
    }
    return 1;
}

static int verifier_accepts(const char *path, const char *user, const char *token, size_t length)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char answer = '0';
    int connection;

    if (!path || strlen(path) >= sizeof address.sun_path)
        return 0;
    strcpy(address.sun_path, path);
    connection = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connection < 0)
        return 0;
    if (connect(connection, (struct sockaddr *)&address, sizeof address) == 0
        && send_all(connection, user, strlen(user) + 1)
        && send_all(connection, token, length)
        && shutdown(connection, SHUT_WR) == 0) {
        ssize_t received;
        do
            received = recv(connection, &answer, 1, 0);
        while (received < 0 && errno == EINTR);
        if (received != 1)
            answer = '0';
    }
    close(connection);
    return answer == '1';
}

#endif
