/* SPDX-License-Identifier: GPL-2.0-or-later */
/* foldctl: finds the verb and lets it run. */
#include "foldctl/term.h"
#include "foldctl/verbs.h"
#include <locale.h>
#include <stdio.h>
#include <string.h>

static bool is_version(const char *word)
{
	return strcmp(word, "-V") == 0 || strcmp(word, "--version") == 0;
}

static bool is_help(const char *word)
{
	return strcmp(word, "-h") == 0 || strcmp(word, "--help") == 0;
}

/* --timeout may stand before the verb too: how many words it takes there. */
static int timeout_words(int argc, char **argv, const char **ret_seconds)
{
	static const char name[] = "--timeout";
	size_t n = sizeof(name) - 1;

	if (argc < 2 || strncmp(argv[1], name, n) != 0)
		return 0;
	if (argv[1][n] == '=') {
		*ret_seconds = argv[1] + n + 1;
		return 1;
	}
	if (argv[1][n] != '\0' || argc < 3)
		return 0;
	*ret_seconds = argv[2];
	return 2;
}

/* All of them, taken off the words. */
static int take_timeouts(struct context *ctx, int *argc, char ***argv)
{
	const char *seconds;
	int n, code = CONTEXT_GO_ON;

	while (code == CONTEXT_GO_ON &&
	       (n = timeout_words(*argc, *argv, &seconds)) > 0) {
		code = context_timeout(ctx, seconds);
		(*argv)[n] = (*argv)[0];
		*argc -= n;
		*argv += n;
	}
	return code;
}

/* Without a verb it is list, which takes no operand: a verb that stands behind
 * options is told as such. */
static int late_verb(const struct context *ctx, int argc, char **argv)
{
	const char *near;

	for (int i = 1; i < argc; i++)
		if (verb_find(argv[i], &near))
			return context_usage(
				ctx, "%s: the verb comes before its options",
				argv[i]);
	return CONTEXT_GO_ON;
}

static int run(struct context *ctx, int argc, char **argv)
{
	const char *near = NULL;
	bool named;
	int code = take_timeouts(ctx, &argc, &argv);

	if (code != CONTEXT_GO_ON)
		return code;
	named = argc > 1 && argv[1][0] != '-';
	if (argc > 1 && is_version(argv[1])) {
		printf("foldctl %s\n", FOLDFS_VERSION);
		return EXIT_DONE;
	}
	if (argc > 1 && is_help(argv[1])) {
		verbs_help(stdout);
		return EXIT_DONE;
	}
	if (!named)
		code = late_verb(ctx, argc, argv);
	if (code != CONTEXT_GO_ON)
		return code;
	ctx->verb = verb_find(named ? argv[1] : "list", &near);
	if (!ctx->verb)
		return verb_unknown(ctx, argv[1], near);
	/* getopt_long() names argv[0] in what it says. */
	argv[named] = argv[0];
	return ctx->verb->main(ctx, argc - named, argv + named);
}

int main(int argc, char **argv)
{
	static char name[] = "foldctl";
	struct context ctx = {.timeout_ms = CLIENT_TIMEOUT_MS};
	int code;

	/* Names are shown as the terminal has them; numbers stay plain. */
	setlocale(LC_CTYPE, "");
	term_setup();
	if (argc > 0)
		argv[0] = name;
	code = run(&ctx, argc, argv);
	if (ctx.mounts_known)
		mounts_fini(&ctx.mounts);
	return term_finish(code);
}
