/* SPDX-License-Identifier: GPL-2.0-or-later */
/* foldctl set: one knob of one mount, while it runs. */
#include "foldctl/keys.h"
#include "foldctl/verbs.h"
#include "foldfs/control.h"
#include <stdio.h>
#include <string.h>

/* KEY VALUE or KEY=VALUE, as one request. */
static int request_of(struct context *ctx, int n, char **words,
		      const char *number, char request[FOLDFS_REQUEST_MAX])
{
	const char *value = n == 2 ? words[1] : number;
	const char *equals = n > 0 ? strchr(words[0], '=') : NULL;
	int len, key_n;

	if (n == 1 && !number && equals && equals != words[0])
		value = equals + 1;
	else
		equals = NULL;
	if (n < 1 || n > 2 || (n == 2 && number) || !value)
		return context_usage(ctx, "set what? KEY VALUE or KEY=VALUE");
	words[0] += key_prefix(words[0]);
	key_n = (int)(equals ? (size_t)(equals - words[0]) : strlen(words[0]));
	if (strchr(value, '\n') || memchr(words[0], '\n', (size_t)key_n))
		return context_usage(ctx, "a value is one line");
	len = snprintf(request, FOLDFS_REQUEST_MAX, "set %.*s %s", key_n,
		       words[0], value);
	if (len >= FOLDFS_REQUEST_MAX - 1)
		return context_usage(ctx, "that is too long for a value");
	return EXIT_DONE;
}

int verb_set(struct context *ctx, int argc, char **argv)
{
	static const struct verb_help help = {NULL, NULL};
	char request[FOLDFS_REQUEST_MAX];
	const struct mount *mount;
	const char *number;
	int code = context_getopt(ctx, argc, argv, &help, NULL, &number);

	if (code != CONTEXT_GO_ON)
		return code;
	if (optind == argc)
		return context_usage(ctx, "set what? KEY VALUE or KEY=VALUE");
	code = context_take_mount(ctx, argc, argv, &mount);
	if (code != EXIT_DONE)
		return code;
	code = request_of(ctx, argc - optind, argv + optind, number, request);
	if (code != EXIT_DONE)
		return code;
	return context_ask_patiently(ctx, mount, request);
}
