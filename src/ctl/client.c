/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One connection to the control socket: bytes in, bytes out, nothing else. */
#include "ctl/client.h"
#include "base/heap.h"
#include "foldfs/control.h"
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int client_open(struct client *c, int fd, uid_t uid, enum ctl_right right,
		uint64_t now_ns)
{
	char *in = heap_alloc(FOLDFS_REQUEST_MAX);

	if (!in) {
		close(fd);
		return -ENOMEM;
	}
	*c = (struct client){
		.fd = fd,
		.uid = uid,
		.right = right,
		.since_ns = now_ns,
		.in = in,
	};
	return 0;
}

void client_close(struct client *c)
{
	close(c->fd);
	heap_free(c->in);
	answer_fini(&c->out);
	*c = (struct client){.fd = -1};
}

int client_fill(struct client *c, uint64_t now_ns)
{
	ssize_t n = recv(c->fd, c->in + c->in_n, FOLDFS_REQUEST_MAX - c->in_n,
			 MSG_DONTWAIT);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	c->half_closed = n == 0;
	c->in_n += (size_t)n;
	c->since_ns = now_ns;
	return 0;
}

bool client_has_line(const struct client *c)
{
	return memchr(c->in, '\n', c->in_n) != NULL;
}

char *client_line(struct client *c, size_t *ret_n)
{
	char *end = memchr(c->in, '\n', c->in_n);

	if (!end)
		return NULL;
	*end = '\0';
	*ret_n = (size_t)(end - c->in);
	return c->in;
}

void client_line_end(struct client *c, size_t n)
{
	c->in_n -= n + 1;
	memmove(c->in, c->in + n + 1, c->in_n);
}

bool client_too_long(const struct client *c)
{
	return c->in_n == FOLDFS_REQUEST_MAX && !client_has_line(c);
}

void client_answer(struct client *c, struct answer answer)
{
	c->out = answer;
	c->out_at = 0;
}

int client_send(struct client *c, uint64_t now_ns)
{
	ssize_t n = send(c->fd, c->out.text + c->out_at, c->out.n - c->out_at,
			 MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	c->since_ns = now_ns;
	c->out_at += (size_t)n;
	if (c->out_at == c->out.n)
		answer_fini(&c->out);
	return 0;
}

bool client_is_waited_for(const struct client *c)
{
	return c->out.text || (c->in_n > 0 && !c->change);
}
