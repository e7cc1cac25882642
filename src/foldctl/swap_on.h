/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What swap on was asked for, and its daemon's command line. */
#ifndef SRC_FOLDCTL_SWAP_ON_H
#define SRC_FOLDCTL_SWAP_ON_H

#include "foldctl/context.h"
#include <stdint.h>

#define SWAP_PRIORITY 100
#define SWAP_PRIORITY_MAX 32767
/* mkswap refuses less than ten pages, whose size may be 64 KiB. */
#define SWAP_SIZE_MIN (UINT64_C(1) << 20)

struct swap_request {
	uint64_t size_bytes, limit_bytes; /* 0: nobody said one */
	int priority;
	const char *compress, *spill, *forgo, *options; /* NULL: not said */
	bool mounted; /* the daemon is there already */
};

/* CONTEXT_GO_ON, or an exit code. */
int swap_request_parse(struct context *ctx, int argc, char **argv,
		       struct swap_request *ret_request) MUST_CHECK;
/* What nobody said, for a machine with so much memory. */
void swap_request_settle(struct swap_request *request, uint64_t ram_bytes);
/* The options for foldfs. -ENAMETOOLONG. */
int swap_request_format(const struct swap_request *request, char *text,
			size_t cap) MUST_CHECK;

#endif
