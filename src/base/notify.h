/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Telling a service manager how far we are: the protocol of sd_notify(3).
 *
 * It is one datagram of lines NAME=VALUE to the socket that NOTIFY_SOCKET
 * names: too little to link a library for. Where nobody asks, nothing is sent.
 * Nothing is logged; the functions may be called from any thread.
 */
#ifndef SRC_BASE_NOTIFY_H
#define SRC_BASE_NOTIFY_H

#include "base/compiler.h"
#include <stdarg.h>
#include <sys/socket.h>
#include <sys/un.h>

struct notify {
	struct sockaddr_un address;
	socklen_t length; /* of the address; 0: nobody asks */
};

/*
 * Take NOTIFY_SOCKET, and out of the environment: no child is to speak for
 * us. While there is one thread. 0; -EAFNOSUPPORT, -ENAMETOOLONG: it names no
 * socket, and nothing will be sent.
 */
int notify_init(struct notify *n) MUST_CHECK;

/* Nobody asks any more: who asked waits for another process than this. */
void notify_drop(struct notify *n);

/*
 * Send @fmt, "READY=1\nSTATUS=..." without a line feed at its end. 0; what
 * sendto() says; -E2BIG: too long.
 */
int notify_send(const struct notify *n, const char *fmt, ...) PRINTF_LIKE(2, 3);
int notify_vsend(const struct notify *n, const char *fmt, va_list args)
	PRINTF_LIKE(2, 0);

#endif
