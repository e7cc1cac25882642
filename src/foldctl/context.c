/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Finds the mount that is meant and asks its daemon; says what went wrong. */
#include "foldctl/context.h"
#include "foldctl/foreign.h"
#include "foldctl/keys.h"
#include "foldctl/swap_state.h"
#include "foldctl/table.h"
#include "foldctl/term.h"
#include "foldctl/verbs.h"
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TIMEOUT_MAX_S 86400
/* For changes, once the daemon is known to be alive. */
#define PATIENCE_MS 600000

int context_timeout(struct context *ctx, const char *argument)
{
	char *end;
	double seconds = strtod(argument, &end);

	if (end == argument || *end != '\0' || !(seconds > 0) ||
	    seconds > TIMEOUT_MAX_S)
		return context_usage(ctx,
				     "--timeout %s: not a number of seconds "
				     "above 0, at most %d",
				     argument, TIMEOUT_MAX_S);
	ctx->timeout_ms = (unsigned)ceil(seconds * 1000);
	ctx->timeout_given = true;
	return CONTEXT_GO_ON;
}

int context_option(struct context *ctx, int option, const char *argument,
		   const struct verb_help *help)
{
	switch (option) {
	case CONTEXT_TIMEOUT:
		return context_timeout(ctx, argument);
	case 'h':
		verb_print_help(ctx, help);
		return EXIT_DONE;
	}
	/* getopt_long() has said what is wrong. */
	fprintf(stderr, "Try 'foldctl %s --help'.\n", ctx->verb->name);
	return EXIT_USAGE;
}

int context_getopt(struct context *ctx, int argc, char **argv,
		   const struct verb_help *help, struct table_options *table,
		   const char **ret_number)
{
	static const struct option longs[] = {
		TABLE_OPTIONS, CONTEXT_OPTIONS, {0}};
	static const struct option no_table[] = {CONTEXT_OPTIONS, {0}};
	char shorts[64] = CONTEXT_SHORT;
	int c;

	if (table)
		strcat(shorts, TABLE_SHORT);
	if (ret_number) {
		*ret_number = NULL;
		strcat(shorts, "0::1::2::3::4::5::6::7::8::9::");
	}
	while ((c = getopt_long(argc, argv, shorts, table ? longs : no_table,
				NULL)) != -1) {
		int code;

		if (ret_number && c >= '0' && c <= '9') {
			*ret_number = argv[optind - 1];
			continue;
		}
		if (table && table_option(table, c, optarg))
			continue;
		code = context_option(ctx, c, optarg, help);
		if (code != CONTEXT_GO_ON)
			return code;
	}
	return table ? context_check_table(ctx, table) : CONTEXT_GO_ON;
}

int context_check_table(const struct context *ctx,
			const struct table_options *table)
{
	if (table->json && table->raw)
		return context_usage(ctx, "--json and --raw: one or the other");
	return CONTEXT_GO_ON;
}

int context_usage(const struct context *ctx, const char *fmt, ...)
{
	char text[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	say("%s", text);
	fprintf(stderr, "Try 'foldctl %s%s--help'.\n",
		ctx->verb ? ctx->verb->name : "", ctx->verb ? " " : "");
	return EXIT_USAGE;
}

int context_mounts(struct context *ctx)
{
	int r;

	if (ctx->mounts_known)
		return EXIT_DONE;
	r = mounts_read(&ctx->mounts, NULL);
	if (r < 0) {
		say("/proc/self/mountinfo: %s", strerror(-r));
		return EXIT_FAILED;
	}
	ctx->mounts_known = true;
	return EXIT_DONE;
}

static void tell_mount(const struct mount *mount)
{
	foreign_print(stderr, "  %s (id %u, source %s)", mount->point,
		      mount->id, mount->source);
	fputc('\n', stderr);
}

static void list_mounts(const struct mounts *mounts)
{
	for (unsigned i = 0; i < mounts->n; i++)
		if (!mounts->list[i].again)
			tell_mount(&mounts->list[i]);
}

static int the_only_one(const struct mounts *mounts,
			const struct mount **ret_mount)
{
	const struct mount *found = NULL;

	for (unsigned i = 0; i < mounts->n; i++) {
		if (mounts->list[i].again)
			continue;
		if (found) {
			say("there is more than one mount; say which:");
			list_mounts(mounts);
			return EXIT_NO_MOUNT;
		}
		found = &mounts->list[i];
	}
	if (!found) {
		say("there is no foldfs mount");
		return EXIT_NO_MOUNT;
	}
	*ret_mount = found;
	return EXIT_DONE;
}

static const struct mount *by_path(const struct mounts *mounts,
				   const char *word)
{
	char here[PATH_MAX] = "/", path[PATH_MAX];

	if (*word != '/' && !getcwd(here, sizeof(here)))
		return NULL;
	if (path_normal(here, word, path, sizeof(path)) < 0)
		return NULL;
	return mounts_of_path(mounts, path);
}

int context_mount(struct context *ctx, const char *word,
		  const struct mount **ret_mount)
{
	const struct mount *found;
	unsigned n = 0;
	int code = context_mounts(ctx);

	if (code != EXIT_DONE)
		return code;
	if (!word)
		return the_only_one(&ctx->mounts, ret_mount);
	found = mounts_of_name(&ctx->mounts, word, &n);
	if (n > 1) {
		say("%s is the source of more than one mount; say which:",
		    word);
		list_mounts(&ctx->mounts);
		return EXIT_NO_MOUNT;
	}
	if (!found)
		found = by_path(&ctx->mounts, word);
	if (!found) {
		say("%s: no foldfs mount", word);
		return EXIT_NO_MOUNT;
	}
	*ret_mount = found;
	return EXIT_DONE;
}

bool context_is_mount(struct context *ctx, const char *word)
{
	unsigned n;

	if (strchr(word, '/') || strcmp(word, ".") == 0 ||
	    strcmp(word, "..") == 0)
		return true;
	if (key_prefix(word) || key_find(word) ||
	    context_mounts(ctx) != EXIT_DONE)
		return false;
	return mounts_of_name(&ctx->mounts, word, &n) != NULL;
}

int context_take_mount(struct context *ctx, int argc, char **argv,
		       const struct mount **ret_mount)
{
	bool named = optind < argc && context_is_mount(ctx, argv[optind]);

	return context_mount(ctx, named ? argv[optind++] : NULL, ret_mount);
}

int context_one_mount(const struct context *ctx, int argc, char **argv)
{
	if (argc - optind > 1)
		return context_usage(ctx, "%s: %s takes one mount",
				     argv[optind + 1], ctx->verb->name);
	return CONTEXT_GO_ON;
}

int context_take_nothing(const struct context *ctx, int argc, char **argv,
			 const char *what)
{
	if (optind < argc)
		return context_usage(ctx, "%s: %s takes no operand",
				     argv[optind], what);
	return CONTEXT_GO_ON;
}

/* What clears a mount away whose daemon is gone. */
static const char *cure(const struct mount *mount, char *text, size_t cap)
{
	char word[PATH_MAX];

	if (strcmp(mount->point, SWAP_POINT) == 0)
		snprintf(text, cap, "foldctl swap off");
	else
		snprintf(text, cap, "umount -l %s",
			 foreign_word(mount->point, word, sizeof(word)));
	return text;
}

int context_no_answer(const struct mount *mount, int error,
		      const struct client *client)
{
	const char *point = mount->point;
	char text[PATH_MAX + 16];

	switch (-error) {
	case EREMOTEIO:
		say("%s: %s", point, client->error);
		return EXIT_FAILED;
	case ENOENT:
		say("%s: no control socket %u.sock; if its daemon is gone, "
		    "'%s' clears it",
		    point, mount->id, cure(mount, text, sizeof(text)));
		return EXIT_NO_ANSWER;
	case ECONNREFUSED:
		say("%s is dead: its daemon is gone; '%s' clears it", point,
		    cure(mount, text, sizeof(text)));
		return EXIT_NO_ANSWER;
	case EOWNERDEAD:
		say("%s is dead: its daemon was killed and cannot end while "
		    "the kernel waits for it; 'foldctl stop --dead %s' clears "
		    "it",
		    point, foreign_word(point, text, sizeof(text)));
		return EXIT_NO_ANSWER;
	case ETIMEDOUT:
		say("%s: the daemon does not answer", point);
		return EXIT_NO_ANSWER;
	case ECONNRESET:
		say("%s: the daemon hung up", point);
		return EXIT_NO_ANSWER;
	case EPROTO:
		say("%s: the daemon's answer makes no sense", point);
		return EXIT_NO_ANSWER;
	}
	say("%s: %s", point, strerror(-error));
	return EXIT_FAILED;
}

int context_open(struct context *ctx, const struct mount *mount,
		 struct client *ret_client)
{
	int r = client_open(ret_client, mount, ctx->timeout_ms);

	return r < 0 ? context_no_answer(mount, r, NULL) : EXIT_DONE;
}

int context_ask(const struct mount *mount, struct client *client,
		const char *request, json_t **ret_answer)
{
	int r = client_ask(client, request, ret_answer);

	return r < 0 ? context_no_answer(mount, r, client) : EXIT_DONE;
}

int context_ask_once(struct context *ctx, const struct mount *mount,
		     const char *request, json_t **ret_answer)
{
	struct client client;
	int code = context_open(ctx, mount, &client);

	if (code != EXIT_DONE)
		return code;
	code = context_ask(mount, &client, request, ret_answer);
	client_close(&client);
	return code;
}

int context_ask_patiently(struct context *ctx, const struct mount *mount,
			  const char *request)
{
	struct client client;
	json_t *answer;
	int code = context_open(ctx, mount, &client);

	if (code != EXIT_DONE)
		return code;
	/* A daemon that hangs is told from one that works by whether it greets;
	 * the change itself may wait for requests that are under way. */
	code = context_ask(mount, &client, "hello", &answer);
	if (code == EXIT_DONE) {
		json_decref(answer);
		progress("%s: waiting for the daemon", mount->point);
		client.timeout_ms = PATIENCE_MS;
		code = context_ask(mount, &client, request, &answer);
		progress_end();
	}
	if (code == EXIT_DONE)
		json_decref(answer);
	client_close(&client);
	return code;
}

int context_stats(struct context *ctx, const struct mount *mount,
		  json_t **ret_stats)
{
	json_t *answer, *stats;
	int code = context_ask_once(ctx, mount, "stat", &answer);

	if (code != EXIT_DONE)
		return code;
	stats = json_object_get(answer, "stats");
	if (json_is_object(stats))
		*ret_stats = json_incref(stats);
	else
		code = context_no_answer(mount, -EPROTO, NULL);
	json_decref(answer);
	return code;
}

uint64_t answer_number(const json_t *object, const char *key)
{
	json_int_t n = json_integer_value(json_object_get(object, key));

	return n > 0 ? (uint64_t)n : 0;
}

const char *answer_text(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}
