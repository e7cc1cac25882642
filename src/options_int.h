/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the options_*.c files share with one another and with nobody else. */
#ifndef SRC_OPTIONS_INT_H
#define SRC_OPTIONS_INT_H

#include "options.h"

enum option_id {
#define OPTION(name, value, right, help) OPTION_##name,
#include "options.def"
#undef OPTION
	OPTION_NR
};

struct option_info {
	const char *name;
	const char *value; /* what stands for it in --help; NULL: takes none */
	const char *right; /* what would be right, for messages and --help */
	const char *help;
	/* -EINVAL, -ERANGE or -ENOMEM; may write a message of its own. */
	int (*parse)(struct options *o, const char *value);
};

/* By enum option_id. */
extern const struct option_info option_table[OPTION_NR];

/* Write o->error; gives -EINVAL. A message there already goes before. */
int options_fail(struct options *o, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* The bits of struct options.generic at the start. */
unsigned generic_default(void);
/* The bit that the generic option @on sets. */
unsigned generic_of(const char *on);
/*
 * A generic option of mount(8). 0: taken or passed over; -ENOENT: none of
 * them; -EOPNOTSUPP: known, but not to be had, and why in @ret_why.
 */
int generic_take(unsigned *generic, const char *name, bool has_value,
		 const char **ret_why) MUST_CHECK;
void generic_help(FILE *out);
/* The @i-th name, NULL behind the last: for "did you mean". */
const char *generic_name(unsigned i);

#endif
