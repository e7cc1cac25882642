/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who of the socket's clients goes when one more comes. */
#include "ctl/seats.h"
#include "foldfs/control.h"

/* How much would be lost with @c: owner and root before strangers, who is
 * waited for before who rests, the latest before the oldest. */
static bool is_dearer(const struct client *c, const struct client *than)
{
	if (c->right != than->right)
		return c->right > than->right;
	if (client_is_waited_for(c) != client_is_waited_for(than))
		return client_is_waited_for(c);
	return c->since_ns > than->since_ns;
}

bool seat_is_strangers(const struct client *c)
{
	return c->fd >= 0 && c->right < CTL_MAY_CHANGE;
}

/* Whom one like @next may push out: nobody with more rights, and nobody but
 * its own kind when that has its share. */
static bool can_push_out(const struct client *next, bool has_share,
			 const struct client *c)
{
	return c->fd >= 0 && !c->change && c->right <= next->right &&
	       (!has_share || c->uid == next->uid);
}

/* Strangers who are @uid. */
static unsigned count_of(const struct client *all, uid_t uid)
{
	unsigned n = 0;

	for (unsigned i = 0; i < FOLDFS_SOCKET_CLIENTS_MAX; i++)
		n += seat_is_strangers(&all[i]) && all[i].uid == uid;
	return n;
}

static struct client *free_one(struct client *all)
{
	for (unsigned i = 0; i < FOLDFS_SOCKET_CLIENTS_MAX; i++)
		if (all[i].fd < 0)
			return &all[i];
	return NULL;
}

struct client *seat_for(struct client *all, const struct client *next)
{
	bool has_share = seat_is_strangers(next) &&
			 count_of(all, next->uid) >= FOLDFS_SOCKET_STRANGER_MAX;
	struct client *least = has_share ? NULL : free_one(all);

	if (least)
		return least;
	for (unsigned i = 0; i < FOLDFS_SOCKET_CLIENTS_MAX; i++) {
		struct client *c = &all[i];

		if (can_push_out(next, has_share, c) &&
		    (!least || is_dearer(least, c)))
			least = c;
	}
	return least;
}
