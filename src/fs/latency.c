/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which request counts as what, and the histograms as keys. */
#include "fs/latency.h"
#include "base/check.h"
#include "ctl/rows.h"
#include <linux/fuse.h>

static const char *const op_names[] = {
	[LATENCY_READ] = "read",       [LATENCY_WRITE] = "write",
	[LATENCY_LOOKUP] = "lookup",   [LATENCY_FORGET] = "forget",
	[LATENCY_GETATTR] = "getattr", [LATENCY_SETATTR] = "setattr",
	[LATENCY_CREATE] = "create",   [LATENCY_UNLINK] = "unlink",
	[LATENCY_RENAME] = "rename",   [LATENCY_READDIR] = "readdir",
	[LATENCY_XATTR] = "xattr",     [LATENCY_ALLOCATE] = "allocate",
	[LATENCY_COPY] = "copy",       [LATENCY_OTHER] = "other",
};
_Static_assert(ARRAY_SIZE(op_names) == LATENCY_NR, "a name for each");

/* One up, so that 0 is what stands nowhere here. */
#define IS(op) (LATENCY_##op + 1)

static const uint8_t op_table[] = {
	[FUSE_READ] = IS(READ),
	[FUSE_WRITE] = IS(WRITE),
	[FUSE_LOOKUP] = IS(LOOKUP),
	[FUSE_FORGET] = IS(FORGET),
	[FUSE_BATCH_FORGET] = IS(FORGET),
	[FUSE_GETATTR] = IS(GETATTR),
	[FUSE_SETATTR] = IS(SETATTR),
	[FUSE_CREATE] = IS(CREATE),
	[FUSE_MKNOD] = IS(CREATE),
	[FUSE_MKDIR] = IS(CREATE),
	[FUSE_SYMLINK] = IS(CREATE),
	[FUSE_LINK] = IS(CREATE),
	[FUSE_TMPFILE] = IS(CREATE),
	[FUSE_UNLINK] = IS(UNLINK),
	[FUSE_RMDIR] = IS(UNLINK),
	[FUSE_RENAME] = IS(RENAME),
	[FUSE_RENAME2] = IS(RENAME),
	[FUSE_READDIR] = IS(READDIR),
	[FUSE_READDIRPLUS] = IS(READDIR),
	[FUSE_GETXATTR] = IS(XATTR),
	[FUSE_SETXATTR] = IS(XATTR),
	[FUSE_LISTXATTR] = IS(XATTR),
	[FUSE_REMOVEXATTR] = IS(XATTR),
	[FUSE_FALLOCATE] = IS(ALLOCATE),
	[FUSE_COPY_FILE_RANGE] = IS(COPY),
};

enum latency_op latency_op(uint32_t opcode)
{
	if (opcode >= ARRAY_SIZE(op_table) || op_table[opcode] == 0)
		return LATENCY_OTHER;
	return (enum latency_op)(op_table[opcode] - 1);
}

static uint64_t tenths_of_us(uint64_t ns)
{
	return ns / 100 + (ns % 100 >= 50);
}

static void put_latency(struct rows *rows, const char *op,
			const struct histogram_total *t)
{
	rows_next(rows);
	rows_word(rows, "op", op);
	rows_number(rows, "count", t->count);
	rows_tenths(rows, "total_us", tenths_of_us(t->sum));
	rows_tenths(rows, "p50_us", tenths_of_us(histogram_quantile(t, 500)));
	rows_tenths(rows, "p99_us", tenths_of_us(histogram_quantile(t, 990)));
	rows_tenths(rows, "max_us", tenths_of_us(t->most));
}

static void put_buckets(struct rows *rows, const char *op,
			const struct histogram_total *t)
{
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		if (t->bucket[i] == 0)
			continue;
		rows_next(rows);
		rows_word(rows, "op", op);
		rows_number(rows, "le_ns", histogram_bound(i));
		rows_number(rows, "count", t->bucket[i]);
	}
}

/* Slots that never served are passed over: their rows were never touched. */
static void total_of(const struct fs *fs, unsigned op,
		     struct histogram_total *ret)
{
	*ret = (struct histogram_total){0};
	for (unsigned slot = 0; slot < CREW_MAX; slot++)
		if (count_of(fs, slot, COUNT_REQUESTS))
			histogram_total_add(ret, &fs->latency->row[slot][op]);
}

int latency_values(const struct fs *fs, struct ctl_values *values)
{
	struct rows rows, buckets;
	int r;

	rows_init(&rows);
	rows_init(&buckets);
	for (unsigned op = 0; op < LATENCY_NR; op++) {
		struct histogram_total total;

		total_of(fs, op, &total);
		if (total.count == 0)
			continue;
		put_latency(&rows, op_names[op], &total);
		put_buckets(&buckets, op_names[op], &total);
	}
	r = rows_take(&rows, &values->text[CTL_latency]);
	if (!r)
		r = rows_take(&buckets, &values->text[CTL_latency_buckets]);
	rows_fini(&buckets);
	return r;
}
