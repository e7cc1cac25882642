/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What all verbs share: which mount is meant, asking its daemon, and saying
 * what failed. Functions that give an exit code have said why.
 */
#ifndef SRC_FOLDCTL_CONTEXT_H
#define SRC_FOLDCTL_CONTEXT_H

#include "base/compiler.h"
#include "foldctl/client.h"
#include "foldctl/exit.h"
#include "foldctl/mounts.h"
#include <getopt.h>
#include <jansson.h>
#include <stdbool.h>

struct verb;
struct table_column;

struct context {
	const struct verb *verb; /* the one that runs */
	unsigned timeout_ms;
	bool timeout_given; /* by --timeout */
	bool mounts_known;
	struct mounts mounts; /* once context_mounts() succeeded */
};

/*
 * Options of every verb. A verb's own switch comes first and hands the rest
 * to context_option(), which gives CONTEXT_GO_ON or the exit code to end with.
 */
#define CONTEXT_TIMEOUT 1000
#define CONTEXT_GO_ON (-1)
/* clang-format off */
#define CONTEXT_OPTIONS                                                        \
	{"timeout", required_argument, NULL, CONTEXT_TIMEOUT},                 \
	{"help", no_argument, NULL, 'h'}
/* clang-format on */
#define CONTEXT_SHORT "h"

struct verb_help {
	const char *options;                /* lines of --help, NULL: none */
	const struct table_column *columns; /* with .name NULL behind the last;
					       NULL: makes no table */
};
/* What --timeout is given. */
int context_timeout(struct context *ctx, const char *argument) MUST_CHECK;
int context_option(struct context *ctx, int option, const char *argument,
		   const struct verb_help *help);

struct table_options;
/*
 * The whole switch for verbs that have no options of their own: CONTEXT_GO_ON
 * and optind at the first operand, or the exit code. @table may be NULL: makes
 * no table. With @ret_number one operand may be as -2, which getopt_long()
 * would take for options: it is given there (else NULL), not left in argv.
 */
int context_getopt(struct context *ctx, int argc, char **argv,
		   const struct verb_help *help, struct table_options *table,
		   const char **ret_number) MUST_CHECK;

/* For a switch of one's own: CONTEXT_GO_ON, or the exit code when two of the
 * options of tables exclude one another. */
int context_check_table(const struct context *ctx,
			const struct table_options *table) MUST_CHECK;

/* Read the list of mounts if that was not done yet. */
int context_mounts(struct context *ctx) MUST_CHECK;
/* The mount that @word names (path, id or source); NULL: the only one. */
int context_mount(struct context *ctx, const char *word,
		  const struct mount **ret_mount) MUST_CHECK;
/* Whether the first operand of a verb is to name a mount and is not a key. */
bool context_is_mount(struct context *ctx, const char *word);
/* The mount that [MOUNT] as the next operand names, which is then taken;
 * else the only one. */
int context_take_mount(struct context *ctx, int argc, char **argv,
		       const struct mount **ret_mount) MUST_CHECK;
/* For verbs whose one operand is [MOUNT]: CONTEXT_GO_ON, or the exit code when
 * there are more. */
int context_one_mount(const struct context *ctx, int argc,
		      char **argv) MUST_CHECK;
/* CONTEXT_GO_ON where no operand is left, else an exit code; @what takes none. */
int context_take_nothing(const struct context *ctx, int argc, char **argv,
			 const char *what) MUST_CHECK;

/* client_open() and client_ask() that say what failed, as an exit code. */
int context_open(struct context *ctx, const struct mount *mount,
		 struct client *ret_client) MUST_CHECK;
int context_ask(const struct mount *mount, struct client *client,
		const char *request, json_t **ret_answer) MUST_CHECK;
/* Both and a close, for one question. */
int context_ask_once(struct context *ctx, const struct mount *mount,
		     const char *request, json_t **ret_answer) MUST_CHECK;
/* A change: as long as it takes, which may be until workers have finished. */
int context_ask_patiently(struct context *ctx, const struct mount *mount,
			  const char *request) MUST_CHECK;
/* All keys of a mount: the object behind "stats". */
int context_stats(struct context *ctx, const struct mount *mount,
		  json_t **ret_stats) MUST_CHECK;
/* Say why asking @mount failed with @error (of client_open(), _ask()). */
int context_no_answer(const struct mount *mount, int error,
		      const struct client *client);

/* Too many or too few operands. */
int context_usage(const struct context *ctx, const char *fmt, ...)
	PRINTF_LIKE(2, 3);

/* A number of a daemon's answer; 0 when it is not there or no number. */
uint64_t answer_number(const json_t *object, const char *key);
/* A text of it; NULL when it is not there or no text. */
const char *answer_text(const json_t *object, const char *key);

#endif
