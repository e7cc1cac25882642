/* SPDX-License-Identifier: GPL-2.0-or-later */
/* foldctl swap: finds what is to be done with it. */
#include "foldctl/swap.h"
#include "foldctl/verbs.h"
#include <string.h>

/* Options stand behind the word, and so in the usage line. */
static int look_for_help(struct context *ctx, int argc, char **argv)
{
	static const struct verb_help help = {
		" 'foldctl swap on --help' and so on have the options of "
		"each.\n",
		NULL};
	const struct verb *verb = ctx->verb;
	const struct verb all = {"swap on|off|status", "", verb->sentence,
				 verb->main};
	int code;

	ctx->verb = &all;
	code = context_getopt(ctx, argc, argv, &help, NULL, NULL);
	ctx->verb = verb;
	return code;
}

int verb_swap(struct context *ctx, int argc, char **argv)
{
	/* Verbs of their own for their usage lines. */
	static const struct verb words[] = {
		{"swap on", "", "make a mount of its own and turn it into swap",
		 swap_on},
		{"swap off", "",
		 "bring back what was swapped out and take all of it down",
		 swap_off},
		{"swap status", "", "what there is of it, in a table",
		 swap_status},
	};

	for (size_t i = 0; argc > 1 && i < ARRAY_SIZE(words); i++)
		if (strcmp(argv[1], strchr(words[i].name, ' ') + 1) == 0) {
			ctx->verb = &words[i];
			/* getopt_long() names argv[0] in what it says. */
			argv[1] = argv[0];
			return words[i].main(ctx, argc - 1, argv + 1);
		}
	if (argc > 1 && *argv[1] == '-') {
		int code = look_for_help(ctx, argc, argv);

		if (code != CONTEXT_GO_ON)
			return code;
	}
	return context_usage(ctx, "swap: say on, off or status, and then "
				  "options");
}
