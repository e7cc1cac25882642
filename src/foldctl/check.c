/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * foldctl check: has the daemon walk all of its state, and prints what does
 * not add up; or (check_data.c) read what is in the backing file.
 *
 * The daemon is asked to greet first, so that one which hangs is told within
 * the usual time from one that checks.
 */
#include "foldctl/check_data.h"
#include "foldctl/term.h"
#include "foldctl/verbs.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

/* Millions of files take minutes. */
#define CHECK_S 300
/* Between two looks at the clock, and before anything is said. */
#define STEP_MS 200
#define SILENT_MS 1000
/* An option without a letter. */
#define GIVE_UP 1001

/* As client_receive(), telling how long it takes. */
static int wait_for_answer(struct client *client, const struct mount *mount,
			   unsigned patience_ms, json_t **ret_answer)
{
	uint64_t begun_ms = client->deadline_ms;
	uint64_t end_ms = begun_ms + patience_ms;
	int r;

	do {
		uint64_t passed_ms = client->deadline_ms - begun_ms;

		if (passed_ms >= SILENT_MS)
			progress("%s: checking for %" PRIu64 " s", mount->point,
				 passed_ms / 1000);
		client->deadline_ms += STEP_MS;
		if (client->deadline_ms > end_ms)
			client->deadline_ms = end_ms;
		r = client_receive(client, ret_answer);
	} while (r == -ETIMEDOUT && client->deadline_ms < end_ms);
	progress_end();
	return r;
}

static int ask(struct context *ctx, const struct mount *mount,
	       json_t **ret_answer)
{
	unsigned patience_ms =
		ctx->timeout_given ? ctx->timeout_ms : CHECK_S * 1000u;
	struct client client;
	json_t *hello;
	int r, code = context_open(ctx, mount, &client);

	if (code != EXIT_DONE)
		return code;
	code = context_ask(mount, &client, "hello", &hello);
	if (code == EXIT_DONE) {
		json_decref(hello);
		/* From now on in steps. */
		client.timeout_ms = 0;
		r = client_send(&client, "check");
		if (r == 0)
			r = wait_for_answer(&client, mount, patience_ms,
					    ret_answer);
		if (r < 0)
			code = context_no_answer(mount, r, &client);
	}
	client_close(&client);
	return code;
}

static void print_all(const struct mount *mount, const json_t *answer)
{
	const json_t *checked = json_object_get(answer, "checked");
	const json_t *faults = json_object_get(answer, "faults");
	uint64_t found = answer_number(answer, "found");
	size_t kept = json_array_size(faults);

	for (size_t i = 0; i < kept; i++)
		printf("%s: %s\n", mount->point,
		       json_string_value(json_array_get(faults, i)));
	if (found > kept)
		printf("%s: and %" PRIu64 " more\n", mount->point,
		       found - kept);
	printf("%s: %" PRIu64 " inodes, %" PRIu64 " names, %" PRIu64
	       " pages in %" PRIu64 " objects checked in %" PRIu64 " ms: ",
	       mount->point, answer_number(checked, "inodes"),
	       answer_number(checked, "names"), answer_number(checked, "pages"),
	       answer_number(checked, "objects"),
	       answer_number(answer, "took_ms"));
	if (found)
		printf("%" PRIu64 " fault%s\n", found, found == 1 ? "" : "s");
	else
		puts("all of it adds up");
}

static int check(struct context *ctx, const struct mount *mount, bool json)
{
	json_t *answer;
	int code = ask(ctx, mount, &answer);

	if (code != EXIT_DONE)
		return code;
	if (!json_is_array(json_object_get(answer, "faults"))) {
		code = context_no_answer(mount, -EPROTO, NULL);
	} else {
		if (json) {
			json_dumpf(answer, stdout, JSON_INDENT(3));
			putchar('\n');
		} else {
			print_all(mount, answer);
		}
		if (json_array_size(json_object_get(answer, "faults")))
			code = EXIT_FAILED;
	}
	json_decref(answer);
	return code;
}

static int parse(struct context *ctx, int argc, char **argv,
		 struct check_data *data)
{
	static const struct option longs[] = {
		{"data", no_argument, NULL, 'd'},
		{"give-up", no_argument, NULL, GIVE_UP},
		{"json", no_argument, NULL, 'J'},
		CONTEXT_OPTIONS,
		{0},
	};
	static const struct verb_help help = {
		" -d, --data           read all that is in the backing file "
		"instead\n"
		"     --give-up        and give up what cannot be read\n"
		" -J, --json           the daemon's answer, as it is\n"
		"     (a check may take 300 seconds where --timeout is not "
		"given)\n",
		NULL};
	int c, code = CONTEXT_GO_ON;

	while (code == CONTEXT_GO_ON &&
	       (c = getopt_long(argc, argv, "dJ" CONTEXT_SHORT, longs, NULL)) !=
		       -1) {
		if (c == 'J')
			data->json = true;
		else if (c == 'd')
			data->wanted = true;
		else if (c == GIVE_UP)
			data->give_up = true;
		else
			code = context_option(ctx, c, optarg, &help);
	}
	if (code == CONTEXT_GO_ON && data->give_up && !data->wanted)
		code = context_usage(ctx, "--give-up belongs to --data");
	return code == CONTEXT_GO_ON ? context_one_mount(ctx, argc, argv)
				     : code;
}

int verb_check(struct context *ctx, int argc, char **argv)
{
	struct check_data data = {0};
	const struct mount *mount;
	int code = parse(ctx, argc, argv, &data);

	if (code != CONTEXT_GO_ON)
		return code;
	code = context_mount(ctx, argv[optind], &mount);
	if (code != EXIT_DONE)
		return code;
	return data.wanted ? check_data(ctx, mount, &data)
			   : check(ctx, mount, data.json);
}
