/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The socket's FOLDFS_SOCKET_CLIENTS_MAX seats: who may have one, and whose.
 *
 * Strangers never cost root or the owner theirs, and one stranger, by however
 * many connections, has his share of them and no more.
 */
#ifndef SRC_CTL_SEATS_H
#define SRC_CTL_SEATS_H

#include "ctl/client.h"

/* Somebody sits there who may not change anything. */
bool seat_is_strangers(const struct client *c);
/* Of @all the seat for one like @next, free or to be freed; NULL: none. */
struct client *seat_for(struct client *all, const struct client *next);

#endif
