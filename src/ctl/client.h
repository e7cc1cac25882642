/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One connection to the control socket: its line so far, its answer so far.
 *
 * It holds one line and one answer, never more: what else was sent waits in
 * the kernel until the answer has gone, and so does its sender.
 */
#ifndef SRC_CTL_CLIENT_H
#define SRC_CTL_CLIENT_H

#include "ctl/protocol.h"
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct ctl_change;

struct client {
	int fd; /* -1: this place is free */
	uid_t uid;
	enum ctl_right right;
	uint32_t events;   /* that it is watched for */
	uint64_t since_ns; /* when a byte came or went last */
	char *in;          /* FOLDFS_REQUEST_MAX bytes */
	size_t in_n;
	struct answer out;
	size_t out_at;
	struct ctl_change *change; /* being carried out; its answer follows */
	bool half_closed;          /* nothing more will come */
	bool ends;                 /* with what is in `out` */
	bool stops;                /* the mount, with what is in `out` */
};

/* Takes @fd over, on failure too. -ENOMEM. */
int client_open(struct client *c, int fd, uid_t uid, enum ctl_right right,
		uint64_t now_ns) MUST_CHECK;
void client_close(struct client *c);

/* Read what is there. -errno: the connection has gone. */
int client_fill(struct client *c, uint64_t now_ns) MUST_CHECK;
/* The first whole line, NUL instead of newline, until client_line_end().
 * NULL: there is none. */
char *client_line(struct client *c, size_t *ret_n);
void client_line_end(struct client *c, size_t n);
/* No newline in as many bytes as a line may have. */
bool client_too_long(const struct client *c);
bool client_has_line(const struct client *c);

void client_answer(struct client *c, struct answer answer);
/* Send of the answer what goes; it is done when `out` has no text. -errno. */
int client_send(struct client *c, uint64_t now_ns) MUST_CHECK;

/* It has to do something, and is cut off if it does not. */
bool client_is_waited_for(const struct client *c);

#endif
