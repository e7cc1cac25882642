/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The keys that are about spilling, and the one that sends a file's pages out
 * or brings them back. */
#ifndef SRC_FS_SPILL_KNOBS_H
#define SRC_FS_SPILL_KNOBS_H

#include "fs/spiller.h"

/* Whether setting @key may take minutes: in the slow later thread then, after
 * spiller_claim(). */
bool spill_knob_is_slow(enum ctl_key key);
/* -EINVAL, -ERANGE, and what the spiller says; -EPERM: no key of ours. */
int spill_knob(struct fs *fs, enum ctl_key key, const char *value) MUST_CHECK;
int spill_values(struct fs *fs, struct ctl_values *v) MUST_CHECK;

#define SPILL_RANGES_MAX 64

/* "out", "in 5", "out 0-99 200-299": pages, both ends included. */
struct spill_order {
	bool out;
	unsigned n;
	struct {
		uint64_t first_page, end_page;
	} range[SPILL_RANGES_MAX];
};
/* -EINVAL; -ERANGE: a range that ends before it starts, or too many. */
int spill_order(const char *text, struct spill_order *ret) MUST_CHECK;

/* FOLDFS_FILE_SPILL is set on @node to the @n bytes of @value; replies. */
void spill_file_request(fuse_req_t req, fuse_ino_t node, const char *value,
			size_t n);

#endif
