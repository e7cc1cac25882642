/* SPDX-License-Identifier: GPL-2.0-or-later */
/* foldctl swap: finds what is to be done with it. */
#include "foldctl/swap.h"
#include "foldctl/verbs.h"
#include <string.h>

int verb_swap(struct context *ctx, int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*main)(struct context *ctx, int argc, char **argv);
	} words[] = {
		{"on", swap_on},
		{"off", swap_off},
		{"status", swap_status},
	};
	static const struct verb_help help = {
		" 'foldctl swap on --help' and so on have the options of "
		"each.\n",
		NULL};

	for (size_t i = 0; argc > 1 && i < ARRAY_SIZE(words); i++)
		if (strcmp(argv[1], words[i].name) == 0) {
			/* getopt_long() names argv[0] in what it says. */
			argv[1] = argv[0];
			return words[i].main(ctx, argc - 1, argv + 1);
		}
	if (argc > 1 && *argv[1] == '-') {
		int code = context_getopt(ctx, argc, argv, &help, NULL, NULL);

		if (code != CONTEXT_GO_ON)
			return code;
	}
	return context_usage(ctx, "swap: say on, off or status");
}
