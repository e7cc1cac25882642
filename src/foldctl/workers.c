/* SPDX-License-Identifier: GPL-2.0-or-later */
/* foldctl workers: who they are and what each does; and a change of them. */
#include "foldctl/rows.h"
#include "foldctl/table.h"
#include "foldctl/term.h"
#include "foldctl/verbs.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum column {
	SLOT,
	STATE,
	THREAD,
	REQUESTS,
	IN,
	OUT,
	STREAM,
	HEAP,
	EMPTY,
};

static const struct table_column columns[] = {
	[SLOT] = {"SLOT", TABLE_NUMBER, false, "its number"},
	[STATE] = {"STATE", TABLE_TEXT, false,
		   "offline, coming, running, leaving, ended"},
	[THREAD] = {"THREAD", TABLE_NUMBER, false, "thread id, as in ps -L"},
	[REQUESTS] = {"REQUESTS", TABLE_NUMBER, false, "requests served"},
	[IN] = {"IN", TABLE_BYTES, false, "bytes that programs wrote by it"},
	[OUT] = {"OUT", TABLE_BYTES, false, "bytes that programs read by it"},
	[STREAM] = {"STREAM", TABLE_BYTES, false,
		    "RAM of its compression buffers"},
	[HEAP] = {"HEAP", TABLE_BYTES, true, "RAM that the heap keeps for it"},
	[EMPTY] = {"EMPTY", TABLE_NUMBER, true,
		   "times that its buffers were found gone"},
	{0},
};

/* What the daemon calls each column. */
static const char *const fields[] = {
	[SLOT] = "slot",           [STATE] = "state",
	[THREAD] = "thread",       [REQUESTS] = "requests",
	[IN] = "bytes_in",         [OUT] = "bytes_out",
	[STREAM] = "stream_bytes", [HEAP] = "arena_bytes",
	[EMPTY] = "found_empty",
};

static const char *color_of(const char *state)
{
	if (strcmp(state, "running") == 0)
		return "green";
	return strcmp(state, "offline") == 0 ? "reset" : "yellow";
}

static void add_row(struct table *t, const json_t *row)
{
	const char *state = answer_text(row, fields[STATE]);

	table_row(t);
	for (unsigned i = 0; i < ARRAY_SIZE(fields); i++)
		rows_cell(t, i, row, fields[i]);
	if (state)
		table_color(t, STATE, color_of(state));
}

static int show(struct context *ctx, const struct mount *mount,
		const struct table_options *options)
{
	struct table *t = table_new("workers", columns, options);
	json_t *answer, *rows;
	int code;

	if (!t)
		return EXIT_USAGE;
	code = context_ask_once(ctx, mount, "get slots", &answer);
	if (code == EXIT_DONE) {
		rows = json_object_get(answer, "value");
		for (size_t i = 0; i < json_array_size(rows); i++)
			add_row(t, json_array_get(rows, i));
		if (table_print(t, stdout) < 0)
			code = EXIT_FAILED;
		json_decref(answer);
	}
	table_free(t);
	return code;
}

/* How many there are now; 0 when the daemon does not say. */
static uint64_t count(struct context *ctx, const struct mount *mount)
{
	json_t *answer;
	uint64_t n;

	if (context_ask_once(ctx, mount, "get workers", &answer) != EXIT_DONE)
		return 0;
	n = answer_number(answer, "value");
	json_decref(answer);
	return n;
}

static bool is_change(const char *word)
{
	const char *number = word + (*word && strchr("+-=", *word));

	return strcmp(word, "auto") == 0 ||
	       (*number && strspn(number, "0123456789") == strlen(number));
}

/* Meant as one, even if it is wrong: no mount is called by nothing. */
static bool is_meant_as_change(struct context *ctx, const char *word)
{
	if (strchr("+-=", *word))
		return true;
	return is_change(word) && !context_is_mount(ctx, word);
}

static int change(struct context *ctx, const struct mount *mount,
		  const char *how)
{
	char request[64];
	uint64_t before, after;
	int code;

	if (!is_change(how) || strlen(how) > 16)
		return context_usage(ctx, "%s: not +N, -N, =N or auto", how);
	before = count(ctx, mount);
	if (before == 0)
		return EXIT_NO_ANSWER;
	snprintf(request, sizeof(request), "set workers %s", how);
	code = context_ask_patiently(ctx, mount, request);
	if (code != EXIT_DONE)
		return code;
	after = count(ctx, mount);
	if (after > 0)
		printf("workers: %" PRIu64 " (were %" PRIu64 ")%s\n", after,
		       before, strcmp(how, "auto") == 0 ? ", auto" : "");
	return EXIT_DONE;
}

int verb_workers(struct context *ctx, int argc, char **argv)
{
	static const struct verb_help help = {TABLE_HELP, columns};
	struct table_options options = {0};
	const struct mount *mount;
	const char *how;
	const char *word = NULL;
	int code = context_getopt(ctx, argc, argv, &help, &options, &how);

	if (code != CONTEXT_GO_ON)
		return code;
	/* "workers 41" is mount 41 if there is one, else 41 workers. */
	if (!how &&
	    (argc - optind == 2 ||
	     (argc - optind == 1 && is_meant_as_change(ctx, argv[optind]))))
		how = argv[--argc];
	if (optind < argc)
		word = argv[optind++];
	if (optind < argc)
		return context_usage(ctx, "%s: not +N, -N, =N or auto",
				     argv[optind]);
	if (how && table_is_wanted(&options))
		return context_usage(ctx, "%s: a change prints no table", how);
	code = context_mount(ctx, word, &mount);
	if (code != EXIT_DONE)
		return code;
	return how ? change(ctx, mount, how) : show(ctx, mount, &options);
}
