/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Asks for the keys of a mount and takes the answer, one half at a time. */
#include "foldctl/asked.h"
#include <errno.h>

void asked_begin(struct context *ctx, const struct mount *mount,
		 struct asked *ret_asked)
{
	struct client *client = &ret_asked->client;

	ret_asked->error = client_open(client, mount, ctx->timeout_ms);
	if (ret_asked->error < 0)
		return;
	ret_asked->error = client_send(client, "stat");
	if (ret_asked->error < 0)
		client_close(client);
}

json_t *asked_end(struct asked *asked)
{
	json_t *answer = NULL, *stats;

	if (asked->error < 0)
		return NULL;
	asked->error = client_receive(&asked->client, &answer);
	client_close(&asked->client);
	if (asked->error < 0)
		return NULL;
	stats = json_incref(json_object_get(answer, "stats"));
	if (!stats)
		asked->error = -EPROTO;
	json_decref(answer);
	return stats;
}
