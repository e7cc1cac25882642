/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Knobs in, numbers out: one table of keys behind the xattrs of the hidden
 * file, the JSON, and later the control socket and the metrics.
 *
 * keys.def says each key's name, kind, unit, sentence and whether it can be
 * set; nothing else in the program spells a key. Where the numbers come from
 * and who carries out a change is the owner's business (struct ctl_ops).
 * Layer 4, beside fs: knows base only.
 */
#ifndef SRC_CTL_CTL_H
#define SRC_CTL_CTL_H

#include "base/compiler.h"
#include "ctl/json.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum ctl_key {
#define KEY(id, kind, unit, access, sentence) CTL_##id,
#include "foldfs/keys.def"
#undef KEY
	CTL_NR
};

enum ctl_kind {
	CTL_KIND_COUNTER,
	CTL_KIND_GAUGE,
	CTL_KIND_TEXT,
	CTL_KIND_TABLE /* rows of fields: ctl/rows.h */
};
enum ctl_unit {
	CTL_UNIT_NONE,
	CTL_UNIT_BYTES,
	CTL_UNIT_PAGES,
	CTL_UNIT_SECONDS
};
enum ctl_access { CTL_READ, CTL_SET };

struct ctl_key_info {
	const char *name; /* without the user.foldfs. prefix */
	enum ctl_kind kind;
	enum ctl_unit unit;
	enum ctl_access access;
	const char *sentence;
};
const struct ctl_key_info *ctl_key_info(enum ctl_key key);
/* What it can be set to, for people; NULL: it cannot be set. */
const char *ctl_key_values(enum ctl_key key);

/* The longest value that can be set. What is read may be longer. */
#define CTL_TEXT_MAX 4096

/* The longest sentence about a change that failed, with its NUL. */
#define CTL_WHY_MAX 512

/* One reading of everything. */
struct ctl_values {
	uint64_t number[CTL_NR]; /* counters and gauges */
	char *text[CTL_NR];      /* texts, tables: heap_alloc()ed or NULL */
};
void ctl_values_fini(struct ctl_values *values);

struct ctl_ops {
	/* Fill in all values. -ENOMEM. */
	int (*collect)(void *arg, struct ctl_values *ret_values);
	/* @value is NUL-terminated and trimmed. -EINVAL, -ERANGE, -EBUSY... */
	int (*set)(void *arg, enum ctl_key key, const char *value);
	/* The cause behind what `set` gave, where an errno is too little: a
	 * constant sentence, or one in @room; NULL: nothing to add. */
	const char *(*why)(void *arg, enum ctl_key key, int error,
			   char room[CTL_WHY_MAX]);
};

struct ctl {
	const struct ctl_ops *ops;
	void *arg;
};

/*
 * xattr-shaped access; @name is the whole "user.foldfs.KEY"; also
 * "user.foldfs.stats", the JSON of all. @cap 0 asks for the size. -ENODATA no
 * such key, -ERANGE does not fit.
 */
int ctl_get(const struct ctl *ctl, const char *name, void *buf, size_t cap,
	    size_t *ret_n) MUST_CHECK;
/* -ENODATA no such key, -EPERM read-only, else what ops->set says. */
int ctl_set(const struct ctl *ctl, const char *name, const void *value,
	    size_t n) MUST_CHECK;
int ctl_list(const struct ctl *ctl, char *buf, size_t cap,
	     size_t *ret_n) MUST_CHECK;
/* All keys as one JSON object, heap_alloc()ed, NUL-terminated. -ENOMEM. */
int ctl_json(const struct ctl *ctl, char **ret_text, size_t *ret_n) MUST_CHECK;

/* For whoever writes an answer of its own: a reading, to be given to
 * ctl_values_fini(), -ENOMEM; a key by its bare name, -ENODATA; one value and
 * all of them (the members of an object that has begun). */
int ctl_collect(const struct ctl *ctl,
		struct ctl_values *ret_values) MUST_CHECK;
int ctl_find(const char *bare_name, enum ctl_key *ret_key) MUST_CHECK;
void ctl_put_value(struct json *j, const char *name, enum ctl_key key,
		   const struct ctl_values *values);
void ctl_put_values(struct json *j, const struct ctl_values *values);

#endif
