/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * foldctl list: one row for each mount, whatever state its daemon is in.
 *
 * All daemons are asked before the first answer is waited for, so that any
 * number of hung ones cost the time limit once.
 */
#include "foldctl/list.h"
#include "foldctl/asked.h"
#include "foldctl/table.h"
#include "foldctl/term.h"
#include "foldctl/verbs.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum column {
	MOUNT,
	SIZE,
	LOGICAL,
	RESIDENT,
	SPILLED,
	RATIO,
	WORKERS,
	CODEC,
	STATE,
	LIMIT,
	FILES,
	PID,
	ID,
	SOURCE,
	OPTIONS
};

const struct table_column list_columns[] = {
	[MOUNT] = {"MOUNT", TABLE_TEXT, false, "where it is mounted"},
	[SIZE] = {"SIZE", TABLE_BYTES, false,
		  "most bytes of file pages, before compression"},
	[LOGICAL] = {"LOGICAL", TABLE_BYTES, false,
		     "bytes of file pages held, before compression"},
	[RESIDENT] = {"RESIDENT", TABLE_BYTES, false,
		      "RAM taken, everything counted"},
	[SPILLED] = {"SPILLED", TABLE_BYTES, false,
		     "bytes in the backing file"},
	[RATIO] = {"RATIO", TABLE_RATIO, false,
		   "LOGICAL / (RESIDENT + SPILLED): above 1 is a gain"},
	[WORKERS] = {"WORKERS", TABLE_NUMBER, false, "threads that serve"},
	[CODEC] = {"CODEC", TABLE_TEXT, false, "codec of new data"},
	[STATE] = {"STATE", TABLE_TEXT, false,
		   "ok; of the backing file: stopped (after errors), damaged "
		   "(pages that cannot be read), full, detaching; lost (pages "
		   "given up); dead (daemon gone), silent (does not answer), "
		   "refused (not told to you), unknown (no socket)"},
	[LIMIT] = {"LIMIT", TABLE_BYTES, true, "most RAM it may take"},
	[FILES] = {"FILES", TABLE_NUMBER, true, "inodes in use"},
	[PID] = {"PID", TABLE_NUMBER, true, "process id of the daemon"},
	[ID] = {"ID", TABLE_NUMBER, true,
		"minor number of the device; names the socket"},
	[SOURCE] = {"SOURCE", TABLE_TEXT, true, "name given at the mount"},
	[OPTIONS] = {"OPTIONS", TABLE_TEXT, true, "options of the mount"},
	{0},
};

/* Of a daemon that answers: the worst first. */
static const char *health_of(const json_t *stats)
{
	const char *spill = answer_text(stats, "spill_state");

	if (spill && strcmp(spill, "stopped") == 0)
		return "stopped";
	if (answer_number(stats, "spill_damaged"))
		return "damaged";
	if (answer_number(stats, "lost_pages"))
		return "lost";
	if (spill && strcmp(spill, "full") == 0)
		return "full";
	if (spill && strncmp(spill, "detaching", 9) == 0)
		return "detaching";
	return "ok";
}

static const char *state_of(int error, const json_t *stats)
{
	switch (-error) {
	case 0:
		return health_of(stats);
	case ECONNREFUSED:
	case EOWNERDEAD:
		return "dead";
	case EREMOTEIO:
		return "refused";
	case ETIMEDOUT:
	case ECONNRESET:
	case EPROTO:
		return "silent";
	}
	return "unknown";
}

static const char *color_of(const char *state)
{
	static const char *const bad[] = {"dead", "stopped", "damaged", "lost"};

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
		if (strcmp(state, bad[i]) == 0)
			return "red";
	return strcmp(state, "ok") == 0 ? "green" : "yellow";
}

static void add_numbers(struct table *t, const json_t *stats)
{
	uint64_t logical = answer_number(stats, "orig_data_size");
	uint64_t resident = answer_number(stats, "mem_used_total");
	uint64_t spilled = answer_number(stats, "spilled_bytes");

	table_number(t, SIZE, answer_number(stats, "size"));
	table_number(t, LOGICAL, logical);
	table_number(t, RESIDENT, resident);
	table_number(t, SPILLED, spilled);
	table_ratio(t, RATIO, logical, resident + spilled);
	table_number(t, WORKERS, answer_number(stats, "workers"));
	table_text(t, CODEC, answer_text(stats, "compress"));
	table_number(t, LIMIT, answer_number(stats, "mem_limit"));
	table_number(t, FILES, answer_number(stats, "inodes_used"));
	table_number(t, PID, answer_number(stats, "pid"));
}

static void add_row(struct table *t, const struct mount *mount,
		    struct asked *asked)
{
	json_t *stats = asked_end(asked);
	const char *state = state_of(asked->error, stats);

	table_row(t);
	table_text(t, MOUNT, mount->point);
	table_number(t, ID, mount->id);
	table_text(t, SOURCE, mount->source);
	table_text(t, OPTIONS, mount->options);
	table_text(t, STATE, state);
	table_color(t, STATE, color_of(state));
	if (stats)
		add_numbers(t, stats);
	json_decref(stats);
}

/* Below the table, on standard error, so that it disturbs no reader of it. */
static void tell_the_dead(const struct mounts *mounts,
			  const struct asked *asked)
{
	for (unsigned i = 0; i < mounts->n; i++)
		if (asked[i].error == -ECONNREFUSED ||
		    asked[i].error == -EOWNERDEAD)
			context_no_answer(&mounts->list[i], asked[i].error,
					  NULL);
}

/* The kernel's list alone has the rest: completions ask for these. */
static bool needs_daemons(const struct table *t)
{
	for (unsigned i = 0; list_columns[i].name; i++)
		if (table_shows(t, i) && i != MOUNT && i != ID && i != SOURCE &&
		    i != OPTIONS)
			return true;
	return false;
}

static int list(struct context *ctx, struct table *t)
{
	const struct mounts *mounts = &ctx->mounts;
	struct asked *asked = calloc(mounts->n + 1, sizeof(*asked));
	int r;

	if (!asked)
		die("%s", strerror(ENOMEM));
	for (unsigned i = 0; i < mounts->n; i++)
		asked[i].error = -ENODATA;
	for (unsigned i = 0; i < mounts->n && needs_daemons(t); i++)
		if (!mounts->list[i].again)
			asked_begin(ctx, &mounts->list[i], &asked[i]);
	for (unsigned i = 0; i < mounts->n; i++)
		if (!mounts->list[i].again)
			add_row(t, &mounts->list[i], &asked[i]);
	r = table_print(t, stdout);
	term_flush();
	tell_the_dead(mounts, asked);
	free(asked);
	return r < 0 ? EXIT_FAILED : EXIT_DONE;
}

int verb_list(struct context *ctx, int argc, char **argv)
{
	static const struct verb_help help = {TABLE_HELP, list_columns};
	struct table_options options = {0};
	struct table *t;
	int code = context_getopt(ctx, argc, argv, &help, &options, NULL);

	if (code == CONTEXT_GO_ON)
		code = context_take_nothing(ctx, argc, argv, "list");
	if (code != CONTEXT_GO_ON)
		return code;
	code = context_mounts(ctx);
	if (code != EXIT_DONE)
		return code;
	t = table_new("mounts", list_columns, &options);
	if (!t)
		return EXIT_USAGE;
	code = list(ctx, t);
	table_free(t);
	return code;
}
