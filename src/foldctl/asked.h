/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A mount that is asked for all its keys, in two halves: whoever begins with
 * all mounts before waiting for the first answer pays for any number of hung
 * daemons with one time limit.
 */
#ifndef SRC_FOLDCTL_ASKED_H
#define SRC_FOLDCTL_ASKED_H

#include "foldctl/context.h"

struct asked {
	struct client client; /* after -EREMOTEIO: .error has why */
	int error; /* 0, or what client_open() and client_ask() say */
};

/* An asked_end() must follow, whatever comes of it. */
void asked_begin(struct context *ctx, const struct mount *mount,
		 struct asked *ret_asked);
/* The keys, a new reference; NULL: @asked->error says why not. */
json_t *asked_end(struct asked *asked) MUST_CHECK;

#endif
