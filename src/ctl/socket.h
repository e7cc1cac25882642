/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The control socket of one mount: a thread of its own that answers clients.
 *
 * It shares nothing with the workers but what a reading of the keys takes for
 * moments, so it answers when the mount is stuck. What may have to wait (a
 * change) is handed to the owner and answered when it is done; meanwhile the
 * others are served. Whatever clients do, there are FOLDFS_SOCKET_CLIENTS_MAX
 * of them with one line and one answer each.
 */
#ifndef SRC_CTL_SOCKET_H
#define SRC_CTL_SOCKET_H

#include "base/budget.h"
#include "ctl/protocol.h"
#include <stdint.h>
#include <sys/types.h>

struct ctl_socket;
struct client;

/* A change of a key, or a check, on its way. */
struct ctl_change {
	struct ctl_socket *socket; /* the socket's own from here ... */
	struct ctl_change *next;
	struct client *client; /* who waits for it; NULL: it has gone */
	int result;
	struct answer answer; /* ... to here */
	bool is_check;        /* there is no key and no value */
	enum ctl_key key;
	size_t n;
	char value[];
};

/* Called in the socket's thread; nothing here may wait. */
struct ctl_socket_ops {
	enum ctl_right (*right)(void *arg, uid_t peer);
	/* Have protocol_set() done elsewhere and its result given to
	 * ctl_change_done(), however it ends; or the check made and its answer
	 * given to ctl_check_done(). -errno: it will not be. */
	int (*change)(void *arg, struct ctl_change *change);
	void (*stop)(void *arg);
};

struct ctl_socket_config {
	struct protocol protocol; /* its `id` names the socket's file */
	const struct ctl_socket_ops *ops;
	void *arg;
	struct budget *budget; /* pays for the clients' buffers */
	const char *dir;
	uint64_t patience_ns;
};

/* @config is copied, what it points to is not. -EADDRINUSE, -ENAMETOOLONG,
 * -ENOMEM, -errno. */
int ctl_socket_start(const struct ctl_socket_config *config,
		     struct ctl_socket **ret) MUST_CHECK;
/* The file goes first; waits for changes that are under way. NULL is fine. */
void ctl_socket_stop(struct ctl_socket *s);

/* From any thread; @change is gone with it. */
void ctl_change_done(struct ctl_change *change, int result);
/* The same for a check; takes @answer over. */
void ctl_check_done(struct ctl_change *change, struct answer answer);

#endif
