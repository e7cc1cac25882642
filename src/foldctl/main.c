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

/* --timeout may stand before the verb too: it then goes behind it. */
static bool is_timeout(int argc, char **argv)
{
	return argc > 3 && strcmp(argv[1], "--timeout") == 0 &&
	       argv[3][0] != '-';
}

static void move_verb_first(char **argv)
{
	char *verb = argv[3];

	argv[3] = argv[2];
	argv[2] = argv[1];
	argv[1] = verb;
}

static int run(struct context *ctx, int argc, char **argv)
{
	const char *near = NULL;
	bool named;

	if (is_timeout(argc, argv))
		move_verb_first(argv);
	named = argc > 1 && argv[1][0] != '-';
	if (argc > 1 && is_version(argv[1])) {
		printf("foldctl %s\n", FOLDFS_VERSION);
		return EXIT_DONE;
	}
	if (argc > 1 && is_help(argv[1])) {
		verbs_help(stdout);
		return EXIT_DONE;
	}
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
