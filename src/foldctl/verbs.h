/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The verbs of foldctl: verbs.def as a table. */
#ifndef SRC_FOLDCTL_VERBS_H
#define SRC_FOLDCTL_VERBS_H

#include "foldctl/context.h"
#include <stdio.h>

struct verb {
	const char *name;
	const char *operands; /* for usage lines */
	const char *sentence; /* what it is for, no full stop */
	/* argv[0] is the verb; an exit code. */
	int (*main)(struct context *ctx, int argc, char **argv);
};

/* Ends with a name of NULL. */
extern const struct verb verb_table[];

#define VERB(id, name, operands, sentence)                                     \
	int verb_##id(struct context *ctx, int argc, char **argv);
#include "foldctl/verbs.def"
#undef VERB

/* NULL: no such verb; then what it might have been, or NULL. */
const struct verb *verb_find(const char *name, const char **ret_near);
/* Says so; the exit code. */
int verb_unknown(const struct context *ctx, const char *name, const char *near);
/* --help of the verb that runs. */
void verb_print_help(const struct context *ctx, const struct verb_help *help);
/* --help of foldctl. */
void verbs_help(FILE *out);

#endif
