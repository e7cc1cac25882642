/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Talks to a mount's daemon through its control socket, never for longer than
 * the time limit (include/foldfs/control.h is the contract).
 */
#ifndef SRC_FOLDCTL_CLIENT_H
#define SRC_FOLDCTL_CLIENT_H

#include "base/compiler.h"
#include "foldctl/mounts.h"
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define CLIENT_TIMEOUT_MS 3000

/* A daemon's longest answer; more is no answer of ours. */
#define CLIENT_ANSWER_MAX (16u << 20)

struct client {
	int fd;
	unsigned timeout_ms;
	uint64_t deadline_ms; /* of the answer that is awaited */
	char *text;           /* what came and was not taken yet */
	size_t n, cap;
	char error[512]; /* after -EREMOTEIO: the daemon's sentence, which
			    client_close() leaves */
};

/*
 * Connect. -ENOENT no socket, -ECONNREFUSED a socket that nobody listens to
 * (the daemon was killed), -ETIMEDOUT, -EACCES and others. On failure there is
 * nothing to close.
 */
int client_open(struct client *ret_client, const struct mount *mount,
		unsigned timeout_ms) MUST_CHECK;
void client_close(struct client *client);

/*
 * One request, without its newline, and the answer: the whole object, a new
 * reference. -ETIMEDOUT, -EOWNERDEAD the same, and the daemon was killed,
 * -ECONNRESET it hung up, -EPROTO no answer of ours, -EREMOTEIO it said no:
 * client->error has its words.
 */
int client_ask(struct client *client, const char *request,
	       json_t **ret_answer) MUST_CHECK;
/* The halves of it, for asking many at once. */
int client_send(struct client *client, const char *request) MUST_CHECK;
int client_receive(struct client *client, json_t **ret_answer) MUST_CHECK;
/* The same with a limit of its own; after -ETIMEDOUT it may be tried again. */
int client_receive_within(struct client *client, unsigned ms,
			  json_t **ret_answer) MUST_CHECK;

/*
 * The daemon was killed and cannot end: one of its threads waits in the kernel
 * for what only the others could do, and nothing but the end of the connection
 * wakes it. Its socket still listens.
 */
bool client_is_killed(const struct client *client);
/* Process id of the daemon, as the kernel says; 0 when it does not. */
pid_t client_peer(const struct client *client);

#endif
