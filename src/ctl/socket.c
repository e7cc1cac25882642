/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The control socket's thread: one epoll set, one turn after the other.
 *
 * A client is watched for reading until it has sent a whole line, then for
 * writing until it has taken the answer, so it is its own brake. In each turn
 * all who wait outside are taken in, for who they are is only known then; then
 * each client is served one request, root and owner before strangers. So nobody
 * is kept waiting by a thousand requests, or a thousand clients, of another.
 */
#include "ctl/socket.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/heap.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/resident.h"
#include "ctl/client.h"
#include "ctl/place.h"
#include "ctl/seats.h"
#include "foldfs/control.h"
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

/* Tags of events that are no client's number. */
#define TAG_LISTEN FOLDFS_SOCKET_CLIENTS_MAX
#define TAG_WAKE (FOLDFS_SOCKET_CLIENTS_MAX + 1)
#define EVENTS_MAX (FOLDFS_SOCKET_CLIENTS_MAX + 2)
/* Taken in before the clients have their turn: an endless stream may come. */
#define ACCEPTS_MAX 256

/* What is charged for a client: its line and an answer. */
#define CLIENT_BYTES (2 * FOLDFS_REQUEST_MAX)
/* What the kernel keeps for a client that reads nothing. */
#define SEND_BUFFER_BYTES (32 << 10)

struct ctl_socket {
	struct ctl_socket_config config;
	struct place place;
	int epoll_fd;
	int wake_fd; /* changes are done, or it is time to stop */
	pthread_t thread;
	_Atomic bool stopping;
	struct lock lock; /* the two below; leaf */
	struct cond idle; /* no change is under way */
	struct ctl_change *done GUARDED_BY(lock);
	unsigned changes GUARDED_BY(lock);
	/* From here on the thread's own. */
	uint64_t deaf_until_ns; /* nobody can be taken in; 0: listens */
	struct client client[FOLDFS_SOCKET_CLIENTS_MAX];
};

/* --- watching --- */

static int watch(struct ctl_socket *s, int op, int fd, uint32_t events,
		 uint32_t tag)
{
	struct epoll_event event = {.events = events, .data.u32 = tag};

	return epoll_ctl(s->epoll_fd, op, fd, &event) < 0 ? -errno : 0;
}

static uint32_t tag_of(const struct ctl_socket *s, const struct client *c)
{
	return (uint32_t)(c - s->client);
}

/* Watch @c for what it has to do next. */
static void watch_client(struct ctl_socket *s, struct client *c)
{
	uint32_t events = EPOLLIN;

	if (c->change)
		events = 0;
	else if (c->out.text || client_has_line(c))
		events = EPOLLOUT;
	if (events == c->events)
		return;
	invariant(watch(s, EPOLL_CTL_MOD, c->fd, events, tag_of(s, c)) == 0);
	c->events = events;
}

/* --- coming and going --- */

static void let_go(struct ctl_socket *s, struct client *c)
{
	if (c->change)
		c->change->client = NULL;
	if (c->stops)
		s->config.ops->stop(s->config.arg);
	/* A child on its way to exec() may hold a copy of it yet. */
	watch(s, EPOLL_CTL_DEL, c->fd, 0, 0);
	client_close(c);
	budget_give(s->config.budget, CLIENT_BYTES);
}

/* A place for one like @next; NULL: there is none. */
static struct client *make_place(struct ctl_socket *s,
				 const struct client *next)
{
	struct client *c = seat_for(s->client, next);

	if (c && c->fd >= 0)
		let_go(s, c);
	return c;
}

/* Who it is, as far as the kernel knows. */
static void identify(struct ctl_socket *s, struct client *c)
{
	struct ucred peer;
	socklen_t n = sizeof(peer);

	c->uid = (uid_t)-1;
	c->right = CTL_MAY_NOTHING;
	if (getsockopt(c->fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) < 0)
		return;
	c->uid = peer.uid;
	c->right = s->config.ops->right(s->config.arg, peer.uid);
}

/* Do not even look at who knocks, for a moment: there is nothing to take them
 * in with, and the knocking would keep the thread busy. */
static void turn_deaf(struct ctl_socket *s, int r, uint64_t now)
{
	log_limited(LOG_AT_WARNING, "%s: control socket: %s",
		    s->config.protocol.mountpoint, strerror(-r));
	watch(s, EPOLL_CTL_MOD, s->place.fd, 0, TAG_LISTEN);
	s->deaf_until_ns = now + s->config.patience_ns / 10;
}

static void take_in(struct ctl_socket *s, struct client *c,
		    const struct client *next, uint64_t now)
{
	int bytes = SEND_BUFFER_BYTES;
	int r;

	setsockopt(next->fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	r = client_open(c, next->fd, next->uid, next->right, now);
	if (r) {
		turn_deaf(s, r, now);
		return;
	}
	/* Without asking: a full mount must still say that it is full. */
	budget_force(s->config.budget, CLIENT_BYTES);
	c->events = EPOLLIN;
	r = watch(s, EPOLL_CTL_ADD, c->fd, c->events, tag_of(s, c));
	if (r) {
		let_go(s, c);
		turn_deaf(s, r, now);
	}
}

/* False: nobody knocks any more, or cannot be taken in. */
static bool on_knock(struct ctl_socket *s)
{
	/* Of several in one turn the latest is known. */
	uint64_t now = clock_ns();
	struct client next = {0}, *c;

	next.fd =
		accept4(s->place.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (next.fd < 0) {
		/* Who knocked may have gone again. */
		if (errno == ECONNABORTED || errno == EINTR)
			return true;
		if (errno != EAGAIN)
			turn_deaf(s, -errno, now);
		return false;
	}
	identify(s, &next);
	c = make_place(s, &next);
	if (c)
		take_in(s, c, &next, now);
	else
		close(next.fd);
	return s->deaf_until_ns == 0;
}

/* --- changes --- */

static void give_back(struct ctl_change *change)
{
	struct ctl_socket *s = change->socket;

	lock_take(&s->lock);
	change->next = s->done;
	s->done = change;
	s->changes--;
	eventfd_write(s->wake_fd, 1);
	cond_signal(&s->idle);
	lock_drop(&s->lock);
}

void ctl_change_done(struct ctl_change *change, int result)
{
	change->result = result;
	give_back(change);
}

void ctl_check_done(struct ctl_change *change, struct answer answer)
{
	change->answer = answer;
	give_back(change);
}

static void change_free(struct ctl_change *change)
{
	answer_fini(&change->answer);
	heap_free(change);
}

static struct answer take_answer(struct ctl_change *change)
{
	struct answer answer = change->answer;

	change->answer = (struct answer){0};
	return change->is_check ? answer
				: protocol_set_answer(
					  change->socket->config.protocol.ctl,
					  change->key, change->result);
}

/* NULL: for a check. */
static int hand_over(struct ctl_socket *s, struct client *c,
		     const struct protocol_set *set)
{
	size_t n = set ? set->n + 1 : 0;
	struct ctl_change *change = heap_alloc(sizeof(*change) + n);
	int r;

	if (!change)
		return -ENOMEM;
	*change = (struct ctl_change){
		.socket = s,
		.client = c,
		.is_check = !set,
	};
	if (set) {
		change->key = set->key;
		change->n = set->n;
		memcpy(change->value, set->value, n);
	}
	lock_take(&s->lock);
	s->changes++;
	lock_drop(&s->lock);
	c->change = change;
	r = s->config.ops->change(s->config.arg, change);
	if (r) {
		lock_take(&s->lock);
		s->changes--;
		lock_drop(&s->lock);
		c->change = NULL;
		heap_free(change);
	}
	return r;
}

static struct ctl_change *take_done(struct ctl_socket *s)
{
	struct ctl_change *all;

	lock_take(&s->lock);
	all = s->done;
	s->done = NULL;
	lock_drop(&s->lock);
	return all;
}

/* --- serving --- */

static void serve(struct ctl_socket *s, struct client *c)
{
	struct answer answer = {0};
	struct protocol_set set;
	size_t n;
	char *line = client_line(c, &n);
	int r;

	switch (protocol_line(&s->config.protocol, c->right, line, n, &answer,
			      &set)) {
	case PROTOCOL_ANSWERED:
		break;
	case PROTOCOL_STOP:
		c->stops = true;
		break;
	case PROTOCOL_SET:
		r = hand_over(s, c, &set);
		if (r)
			answer = protocol_set_answer(s->config.protocol.ctl,
						     set.key, r);
		break;
	case PROTOCOL_CHECK:
		r = hand_over(s, c, NULL);
		if (r)
			answer = protocol_check_refusal(r);
	}
	client_answer(c, answer);
	client_line_end(c, n);
}

/* Send, and do what was to be done after it. -errno: @c is to go. */
static int send_on(struct ctl_socket *s, struct client *c, uint64_t now)
{
	int r = client_send(c, now);

	if (r || c->out.text)
		return r;
	if (c->stops) {
		c->stops = false;
		s->config.ops->stop(s->config.arg);
	}
	return c->ends ? -ESHUTDOWN : 0;
}

/* One step of @c. -errno: it is to go. */
static int step(struct ctl_socket *s, struct client *c, uint64_t now)
{
	int r;

	if (c->change)
		return -EPIPE;
	if (c->out.text)
		return send_on(s, c, now);
	if (!client_has_line(c)) {
		r = client_fill(c, now);
		if (r)
			return r;
	}
	if (client_has_line(c)) {
		serve(s, c);
	} else if (client_too_long(c)) {
		client_answer(c, protocol_too_long());
		c->ends = true;
	}
	return c->out.text ? send_on(s, c, now) : 0;
}

static bool is_over(const struct client *c)
{
	return c->half_closed && !c->out.text && !c->change &&
	       !client_has_line(c);
}

static void go_on(struct ctl_socket *s, struct client *c, int r)
{
	if (r || is_over(c))
		let_go(s, c);
	else
		watch_client(s, c);
}

static void on_wake(struct ctl_socket *s, uint64_t now)
{
	struct ctl_change *change, *next;
	eventfd_t n;

	if (eventfd_read(s->wake_fd, &n) < 0)
		return;
	for (change = take_done(s); change; change = next) {
		struct client *c = change->client;

		next = change->next;
		if (c) {
			c->change = NULL;
			client_answer(c, take_answer(change));
			go_on(s, c, send_on(s, c, now));
		}
		change_free(change);
	}
}

/* --- time --- */

/* When something is due that no event tells; UINT64_MAX: never. */
static uint64_t next_due(const struct ctl_socket *s)
{
	uint64_t due = s->deaf_until_ns ? s->deaf_until_ns : UINT64_MAX;

	for (unsigned i = 0; i < FOLDFS_SOCKET_CLIENTS_MAX; i++) {
		const struct client *c = &s->client[i];
		uint64_t end = c->since_ns + s->config.patience_ns;

		if (c->fd >= 0 && client_is_waited_for(c) && end < due)
			due = end;
	}
	return due;
}

static int milliseconds_until(uint64_t due)
{
	uint64_t now = clock_ns();

	if (due == UINT64_MAX)
		return -1;
	return due <= now ? 0 : (int)((due - now) / 1000000 + 1);
}

/* It has done its part: we are late, not the client. */
static bool is_ready(const struct client *c)
{
	struct pollfd pfd = {.fd = c->fd, .events = (short)c->events};

	return poll(&pfd, 1, 0) > 0;
}

static void lose_patience(struct ctl_socket *s, uint64_t now)
{
	for (unsigned i = 0; i < FOLDFS_SOCKET_CLIENTS_MAX; i++) {
		struct client *c = &s->client[i];

		if (c->fd >= 0 && client_is_waited_for(c) &&
		    now >= c->since_ns + s->config.patience_ns && !is_ready(c))
			let_go(s, c);
	}
	if (s->deaf_until_ns && now >= s->deaf_until_ns) {
		s->deaf_until_ns = 0;
		watch(s, EPOLL_CTL_MOD, s->place.fd, EPOLLIN, TAG_LISTEN);
	}
}

/* --- turns --- */

/* One request of each. An event may be of one who has gone, or whose place has
 * been taken: a step does no harm to somebody who did nothing. */
static void serve_clients(struct ctl_socket *s, const struct epoll_event *event,
			  int n, bool strangers)
{
	for (int i = 0; i < n; i++) {
		struct client *c;

		if (event[i].data.u32 >= FOLDFS_SOCKET_CLIENTS_MAX)
			continue;
		c = &s->client[event[i].data.u32];
		if (c->fd >= 0 && seat_is_strangers(c) == strangers)
			go_on(s, c, step(s, c, clock_ns()));
	}
}

static void take_turn(struct ctl_socket *s, const struct epoll_event *event,
		      int n)
{
	for (int i = 0; i < n; i++) {
		if (event[i].data.u32 == TAG_WAKE)
			on_wake(s, clock_ns());
		if (event[i].data.u32 != TAG_LISTEN)
			continue;
		for (unsigned k = 0; k < ACCEPTS_MAX && on_knock(s); k++)
			;
	}
	serve_clients(s, event, n, false);
	serve_clients(s, event, n, true);
}

static void *socket_main(void *arg)
{
	struct ctl_socket *s = arg;
	struct epoll_event event[EVENTS_MAX];

	pthread_setname_np(pthread_self(), "foldfs-socket");
	resident_stack();
	while (!atomic_load_explicit(&s->stopping, memory_order_acquire)) {
		uint64_t due = next_due(s);
		int n = epoll_wait(s->epoll_fd, event, EVENTS_MAX,
				   milliseconds_until(due));

		take_turn(s, event, n);
		if (clock_ns() >= due)
			lose_patience(s, clock_ns());
	}
	return NULL;
}

/* --- start and stop --- */

static int open_descriptors(struct ctl_socket *s)
{
	int r;

	s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (s->epoll_fd < 0)
		return -errno;
	s->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->wake_fd < 0)
		return -errno;
	r = place_open(s->config.dir, s->config.protocol.id,
		       s->config.patience_ns / 5, &s->place);
	if (!r)
		r = watch(s, EPOLL_CTL_ADD, s->wake_fd, EPOLLIN, TAG_WAKE);
	if (!r)
		r = watch(s, EPOLL_CTL_ADD, s->place.fd, EPOLLIN, TAG_LISTEN);
	return r;
}

static void close_all(struct ctl_socket *s)
{
	if (s->place.fd >= 0)
		place_close(&s->place);
	if (s->wake_fd >= 0)
		close(s->wake_fd);
	if (s->epoll_fd >= 0)
		close(s->epoll_fd);
	cond_fini(&s->idle);
	lock_fini(&s->lock);
	heap_free(s);
}

int ctl_socket_start(const struct ctl_socket_config *config,
		     struct ctl_socket **ret)
{
	struct ctl_socket *s = heap_zalloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->config = *config;
	s->epoll_fd = s->wake_fd = s->place.fd = -1;
	for (unsigned i = 0; i < FOLDFS_SOCKET_CLIENTS_MAX; i++)
		s->client[i].fd = -1;
	lock_init(&s->lock, LOCK_LEAF);
	cond_init(&s->idle);
	r = open_descriptors(s);
	if (!r)
		r = -pthread_create(&s->thread, NULL, socket_main, s);
	if (r) {
		if (s->place.fd >= 0)
			place_remove(&s->place);
		close_all(s);
		return r;
	}
	*ret = s;
	return 0;
}

void ctl_socket_stop(struct ctl_socket *s)
{
	struct ctl_change *change, *next;

	if (!s)
		return;
	place_remove(&s->place);
	atomic_store_explicit(&s->stopping, true, memory_order_release);
	eventfd_write(s->wake_fd, 1);
	pthread_join(s->thread, NULL);
	for (unsigned i = 0; i < FOLDFS_SOCKET_CLIENTS_MAX; i++)
		if (s->client[i].fd >= 0)
			let_go(s, &s->client[i]);
	lock_take(&s->lock);
	while (s->changes > 0)
		cond_wait(&s->idle, &s->lock);
	lock_drop(&s->lock);
	for (change = take_done(s); change; change = next) {
		next = change->next;
		change_free(change);
	}
	close_all(s);
}
