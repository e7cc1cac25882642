/* SPDX-License-Identifier: GPL-2.0-or-later */
/* foldctl help: the verbs, or what one of them takes. */
#include "foldctl/verbs.h"
#include <stdio.h>

static int help_of(struct context *ctx, char **argv, const char *name)
{
	static char flag[] = "--help";
	char *words[] = {argv[0], flag, NULL};
	const char *near = NULL;
	const struct verb *verb = verb_find(name, &near);

	if (!verb)
		return verb_unknown(ctx, name, near);
	ctx->verb = verb;
	optind = 0; /* glibc: begin anew */
	return verb->main(ctx, 2, words);
}

int verb_help(struct context *ctx, int argc, char **argv)
{
	static const struct verb_help help = {NULL, NULL};
	int code = context_getopt(ctx, argc, argv, &help, NULL, NULL);

	if (code != CONTEXT_GO_ON)
		return code;
	if (argc - optind > 1)
		return context_usage(ctx, "%s: help takes one verb",
				     argv[optind + 1]);
	if (optind < argc)
		return help_of(ctx, argv, argv[optind]);
	verbs_help(stdout);
	return EXIT_DONE;
}
