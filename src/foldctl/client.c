/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Finds the socket, and waits for answers until the deadline at most.
 *
 * connect() blocks while the daemon's queue is full, so the limit is given to
 * the kernel for it; everything after that is polled for.
 */
#include "foldctl/client.h"
#include "foldfs/control.h"
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define READ_STEP 65536

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static int connect_to(const char *path, unsigned timeout_ms, int *ret_fd)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct timeval limit = {
		.tv_sec = timeout_ms / 1000,
		.tv_usec = (suseconds_t)(timeout_ms % 1000) * 1000,
	};
	int r, fd;

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENOENT;
	strcpy(address.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) <
		    0 ||
	    connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		r = errno == EAGAIN ? -ETIMEDOUT : -errno;
		close(fd);
		return r;
	}
	*ret_fd = fd;
	return 0;
}

/*
 * The @i-th place where the socket may be; empty: none here. False behind the
 * last. Daemons of root and of others have theirs in different places: what
 * lies in the others' is left from a mount that has gone.
 */
static bool place(unsigned i, const struct mount *mount, char *path, size_t cap)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	uid_t me = geteuid();

	*path = '\0';
	switch (i) {
	case 0:
		if (mount->owner == 0)
			snprintf(path, cap, "%s/%u%s", FOLDFS_SOCKET_DIR,
				 mount->id, FOLDFS_SOCKET_SUFFIX);
		return true;
	case 1: /* root may have come from the owner, with his environment */
		if (mount->owner != 0 && runtime &&
		    (me == mount->owner || me == 0))
			snprintf(path, cap, "%s/%s/%u%s", runtime,
				 FOLDFS_SOCKET_USER_DIR, mount->id,
				 FOLDFS_SOCKET_SUFFIX);
		return true;
	case 2: /* root asks about the mount of somebody who is logged in */
		if (mount->owner != 0)
			snprintf(path, cap, "/run/user/%u/%s/%u%s",
				 mount->owner, FOLDFS_SOCKET_USER_DIR,
				 mount->id, FOLDFS_SOCKET_SUFFIX);
		return true;
	}
	return false;
}

int client_open(struct client *ret_client, const struct mount *mount,
		unsigned timeout_ms)
{
	struct client client = {.fd = -1, .timeout_ms = timeout_ms};
	char path[4096];
	int worst = -ENOENT;

	for (unsigned i = 0; place(i, mount, path, sizeof(path)); i++) {
		int r = *path ? connect_to(path, timeout_ms, &client.fd)
			      : -ENOENT;

		if (r == 0) {
			*ret_client = client;
			return 0;
		}
		if (worst == -ENOENT)
			worst = r;
	}
	return worst;
}

void client_close(struct client *client)
{
	close(client->fd);
	free(client->text);
	client->fd = -1;
	client->text = NULL;
	client->n = client->cap = 0;
}

static int send_all(int fd, const char *text, size_t n)
{
	while (n > 0) {
		ssize_t done = send(fd, text, n, MSG_NOSIGNAL);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return errno == EAGAIN  ? -ETIMEDOUT
			       : errno == EPIPE ? -ECONNRESET
						: -errno;
		text += done;
		n -= (size_t)done;
	}
	return 0;
}

int client_send(struct client *client, const char *request)
{
	char line[FOLDFS_REQUEST_MAX + 1];
	size_t n = strlen(request);

	/* A newline inside would be a second request. */
	if (n + 1 > FOLDFS_REQUEST_MAX || strchr(request, '\n'))
		return -EINVAL;
	memcpy(line, request, n);
	line[n] = '\n';
	client->deadline_ms = now_ms() + client->timeout_ms;
	return send_all(client->fd, line, n + 1);
}

static int wait_readable(const struct client *client)
{
	for (;;) {
		struct pollfd p = {.fd = client->fd, .events = POLLIN};
		uint64_t now = now_ms();
		int left = now < client->deadline_ms
				   ? (int)(client->deadline_ms - now)
				   : 0;
		int r = poll(&p, 1, left);

		if (r > 0)
			return 0;
		if (r == 0)
			return client_is_killed(client) ? -EOWNERDEAD
							: -ETIMEDOUT;
		if (errno != EINTR)
			return -errno;
	}
}

static int make_room(struct client *client)
{
	char *text;

	if (client->n + READ_STEP <= client->cap)
		return 0;
	if (client->cap >= CLIENT_ANSWER_MAX)
		return -EPROTO;
	text = realloc(client->text, client->cap * 2 + READ_STEP);
	if (!text)
		return -ENOMEM;
	client->text = text;
	client->cap = client->cap * 2 + READ_STEP;
	return 0;
}

static int read_some(struct client *client)
{
	ssize_t got;
	int r = make_room(client);

	if (r == 0)
		r = wait_readable(client);
	if (r < 0)
		return r;
	got = recv(client->fd, client->text + client->n,
		   client->cap - client->n, MSG_DONTWAIT);
	if (got < 0)
		return errno == EINTR || errno == EAGAIN ? 0 : -errno;
	if (got == 0)
		return -ECONNRESET;
	client->n += (size_t)got;
	return 0;
}

static int judge(struct client *client, json_t *answer)
{
	const char *error;

	if (!json_is_object(answer))
		return -EPROTO;
	if (json_is_true(json_object_get(answer, "ok")))
		return 0;
	error = json_string_value(json_object_get(answer, "error"));
	snprintf(client->error, sizeof(client->error), "%s",
		 error ? error : "refused without a reason");
	return -EREMOTEIO;
}

/* Take the first @n bytes, a line, off what came. */
static int take_line(struct client *client, size_t n, json_t **ret_answer)
{
	json_t *answer = json_loadb(client->text, n, 0, NULL);
	int r = judge(client, answer);

	client->n -= n + 1;
	memmove(client->text, client->text + n + 1, client->n);
	if (r < 0)
		json_decref(answer);
	else
		*ret_answer = answer;
	return r;
}

int client_receive(struct client *client, json_t **ret_answer)
{
	size_t looked = 0;

	for (;;) {
		const char *end = NULL;
		int r;

		if (client->n > looked)
			end = memchr(client->text + looked, '\n',
				     client->n - looked);
		if (end)
			return take_line(client, (size_t)(end - client->text),
					 ret_answer);
		looked = client->n;
		r = read_some(client);
		if (r < 0)
			return r;
	}
}

int client_receive_within(struct client *client, unsigned ms,
			  json_t **ret_answer)
{
	client->deadline_ms = now_ms() + ms;
	return client_receive(client, ret_answer);
}

int client_ask(struct client *client, const char *request, json_t **ret_answer)
{
	int r = client_send(client, request);

	return r < 0 ? r : client_receive(client, ret_answer);
}

/* Or numbers in it are those of other processes. */
static bool proc_is_ours(void)
{
	char text[32];
	ssize_t n = readlink("/proc/self", text, sizeof(text) - 1);

	if (n < 0)
		return false;
	text[n] = '\0';
	return strtol(text, NULL, 10) == getpid();
}

bool client_is_killed(const struct client *client)
{
	char path[64], line[256], *end;
	FILE *file;

	if (!proc_is_ours())
		return false;
	snprintf(path, sizeof(path), "/proc/%d/stat", client_peer(client));
	file = fopen(path, "re");
	if (!file)
		return false;
	/* Its name may have blanks and brackets. */
	end = fgets(line, sizeof(line), file) ? strrchr(line, ')') : NULL;
	fclose(file);
	return end && strncmp(end, ") Z", 3) == 0;
}

pid_t client_peer(const struct client *client)
{
	struct ucred peer;
	socklen_t n = sizeof(peer);

	if (getsockopt(client->fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) < 0)
		return 0;
	return peer.pid;
}
