/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The protocol of sd_notify(3); a socket for each message, as there are few. */
#include "base/notify.h"
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MESSAGE_MAX 512

/* A path, or @ and a name in the abstract namespace. */
static int parse_address(struct notify *n, const char *name)
{
	size_t bytes = strlen(name);

	if ((*name != '/' && *name != '@') || bytes < 2)
		return -EAFNOSUPPORT;
	if (bytes >= sizeof(n->address.sun_path))
		return -ENAMETOOLONG;
	n->address = (struct sockaddr_un){.sun_family = AF_UNIX};
	memcpy(n->address.sun_path, name, bytes);
	if (*name == '@')
		n->address.sun_path[0] = '\0';
	/* An abstract name has no end but its length. */
	n->length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + bytes);
	return 0;
}

int notify_init(struct notify *n)
{
	const char *name = getenv("NOTIFY_SOCKET");
	int r;

	*n = (struct notify){0};
	if (!name || !*name)
		return 0;
	r = parse_address(n, name);
	unsetenv("NOTIFY_SOCKET");
	return r;
}

void notify_drop(struct notify *n)
{
	n->length = 0;
}

static int send_text(const struct notify *n, const char *text, size_t bytes)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ssize_t put;
	int r;

	if (fd < 0)
		return -errno;
	do
		put = sendto(fd, text, bytes, MSG_NOSIGNAL,
			     (const struct sockaddr *)&n->address, n->length);
	while (put < 0 && errno == EINTR);
	r = put < 0 ? -errno : 0;
	close(fd);
	return r;
}

int notify_vsend(const struct notify *n, const char *fmt, va_list args)
{
	char text[MESSAGE_MAX];
	int bytes;

	if (n->length == 0)
		return 0;
	bytes = vsnprintf(text, sizeof(text), fmt, args);
	if (bytes < 0 || (size_t)bytes >= sizeof(text))
		return -E2BIG;
	return send_text(n, text, (size_t)bytes);
}

int notify_send(const struct notify *n, const char *fmt, ...)
{
	va_list args;
	int r;

	va_start(args, fmt);
	r = notify_vsend(n, fmt, args);
	va_end(args);
	return r;
}
