/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Exhaustive model of slot life: pick, lock, use, retire, reap, re-up.
 *
 * Two slots; two users (stream_get, use, stream_put), a manager (stream_up,
 * stream_down) and a reaper (streams_reap). Each transition is one access to
 * shared memory, in the order of src/codec/stream.c; all interleavings are
 * visited. In every state reached:
 *
 *	use	a stream in use is whole, and used by the holder of its lock;
 *	end	no state but the end is without a way on (deadlock);
 *	alone	a user that runs alone finishes or waits for a lock, so its
 *		picking again is no loop (livelock);
 *	null	"no slot is up" is never the answer while the crew's rule holds
 *		that the last one stays.
 *
 * Then each of a list of wrong variants must break one of these: a model that
 * cannot fail proves nothing.
 */
#include "slot-life-explore.h"

#define SLOTS 2
#define USERS 2
#define MANAGER USERS
#define REAPER (USERS + 1)
#define ACTORS (USERS + 2)

/* --- variants --- */

enum wrong {
	RIGHT,
	FREE_OUTSIDE_LOCK,   /* stream_down() frees before it locks */
	CHECK_BEFORE_LOCK,   /* a getter looks first and locks then */
	NO_TOMBSTONE,        /* the slot still says up when it was freed */
	MASK_CLEARED_LAST,   /* the picking bit goes after the slot */
	REAP_CHECKS_FIRST,   /* the reaper looks first and locks then */
	PUBLISH_HALF_BUILT,  /* up before the contexts are made */
	EMPTY_STAYS_LOCKED,  /* a getter forgets to let an empty slot go */
	PUT_BEFORE_LAST_USE, /* a user touches the buffers after its put */
	LAST_MAY_GO,         /* the crew does not keep the last one */
	WRONG_NR
};

static const char *const wrong_names[] = {
	"as it is",
	"frees outside the lock",
	"checks before lock",
	"leaves no tombstone",
	"clears mask last",
	"reaper checks before lock",
	"publishes half built",
	"keeps an empty slot locked",
	"uses after put",
	"lets the last one go",
};

/* --- state: bytes only, so that it compares and hashes as it is --- */

enum content { NONE, HALF, WHOLE };

struct slot_state {
	uint8_t owner; /* actor + 1, 0: unlocked */
	uint8_t content;
	uint8_t up;
};

struct actor_state {
	uint8_t pc;
	uint8_t slot;
	uint8_t snap; /* user: slots left to try; others: a choice */
	uint8_t left; /* rounds to go */
};

struct state {
	uint8_t mask;
	struct slot_state slot[SLOTS];
	struct actor_state actor[ACTORS];
};

_Static_assert(_Alignof(struct state) == 1, "no padding to compare");

enum pc {
	DONE,
	/* user */
	PICK,
	TRY,
	PICK_TO_WAIT,
	WAIT,
	CHECK_TRIED,
	CHECK_WAITED,
	EMPTY_TRIED,
	EMPTY_WAITED,
	USE,
	USE_AGAIN,
	PUT,
	GOT_NULL,
	/* manager */
	IDLE,
	DOWN_CLEAR,
	DOWN_LOCK,
	DOWN_MARK,
	DOWN_FREE,
	DOWN_UNLOCK,
	DOWN_CLEAR_LATE,
	UP_LOCK,
	UP_BUILD,
	UP_BUILT,
	UP_MARK,
	UP_MASK,
	UP_UNLOCK,
	/* reaper */
	REAP_IDLE,
	REAP_LOCK,
	REAP_CHECK,
	REAP_FREE,
	REAP_UNLOCK,
};

static enum wrong wrong;

static uint8_t bit(unsigned slot)
{
	return (uint8_t)(1u << slot);
}

static uint8_t next_of(uint8_t mask, unsigned from)
{
	for (unsigned i = 0; i < SLOTS; i++)
		if (mask & bit((from + i) % SLOTS))
			return (uint8_t)((from + i) % SLOTS);
	abort();
}

static bool try_lock(struct state *s, unsigned who)
{
	struct slot_state *slot = &s->slot[s->actor[who].slot];

	if (slot->owner != 0)
		return false;
	slot->owner = (uint8_t)(who + 1);
	return true;
}

static void unlock(struct state *s, unsigned who)
{
	struct slot_state *slot = &s->slot[s->actor[who].slot];

	if (slot->owner != who + 1)
		abort();
	slot->owner = 0;
}

/* --- the user: src/codec/stream.c, stream_get() --- */

static enum outcome user_take(struct state *s, unsigned who, enum pc checked)
{
	struct actor_state *a = &s->actor[who];

	if (wrong == CHECK_BEFORE_LOCK) {
		/* Its check was the pick; the lock alone is trusted. */
		a->pc = USE;
		return MOVED;
	}
	a->pc = (uint8_t)checked;
	return MOVED;
}

static enum outcome user_pick(struct state *s, unsigned who)
{
	struct actor_state *a = &s->actor[who];

	a->snap = s->mask;
	if (a->snap == 0) {
		a->pc = GOT_NULL;
		return MOVED;
	}
	/* Each user's own slot is its hint. */
	a->slot = next_of(a->snap, who % SLOTS);
	a->pc = a->pc == PICK ? TRY : WAIT;
	return MOVED;
}

static enum outcome user_next(struct actor_state *a, unsigned who)
{
	a->snap &= (uint8_t)~bit(a->slot);
	if (a->snap != 0)
		a->slot = next_of(a->snap, who % SLOTS);
	a->pc = a->snap != 0 ? TRY : PICK_TO_WAIT;
	return MOVED;
}

static enum outcome user_empty(struct state *s, unsigned who)
{
	struct actor_state *a = &s->actor[who];

	if (wrong != EMPTY_STAYS_LOCKED)
		unlock(s, who);
	if (a->pc == EMPTY_TRIED)
		return user_next(a, who);
	a->pc = PICK;
	return MOVED;
}

static enum outcome user_use(struct state *s, unsigned who)
{
	struct actor_state *a = &s->actor[who];
	const struct slot_state *slot = &s->slot[a->slot];

	if (slot->content != WHOLE || slot->owner != who + 1)
		return BROKEN;
	if (a->pc == USE && wrong == PUT_BEFORE_LAST_USE)
		unlock(s, who);
	a->pc++;
	return MOVED;
}

static enum outcome user_step(struct state *s, unsigned who)
{
	struct actor_state *a = &s->actor[who];

	switch ((enum pc)a->pc) {
	case PICK:
	case PICK_TO_WAIT:
		return user_pick(s, who);
	case TRY:
		if (!try_lock(s, who))
			return user_next(a, who);
		return user_take(s, who, CHECK_TRIED);
	case WAIT:
		if (!try_lock(s, who))
			return BLOCKED;
		return user_take(s, who, CHECK_WAITED);
	case CHECK_TRIED:
	case CHECK_WAITED:
		if (s->slot[a->slot].up)
			a->pc = USE;
		else
			a->pc = a->pc == CHECK_TRIED ? EMPTY_TRIED
						     : EMPTY_WAITED;
		return MOVED;
	case EMPTY_TRIED:
	case EMPTY_WAITED:
		return user_empty(s, who);
	case USE:
	case USE_AGAIN:
		return user_use(s, who);
	case PUT:
		unlock(s, who);
		a->left--;
		a->pc = a->left > 0 ? PICK : DONE;
		return MOVED;
	case GOT_NULL:
		return BROKEN;
	default:
		return AT_END;
	}
}

/* --- the manager: stream_up(), stream_down() under the crew's rules --- */

/* @choice: slot, and up / down and keep / down and free. */
static enum outcome manager_choose(struct state *s, unsigned choice)
{
	struct actor_state *a = &s->actor[MANAGER];
	unsigned other;

	if (a->left == 0) {
		a->pc = DONE;
		return choice == 0 ? MOVED : BLOCKED;
	}
	a->slot = (uint8_t)(choice % SLOTS);
	a->snap = (uint8_t)(choice / SLOTS);
	a->left--;
	other = 1u - a->slot;
	if (a->snap == 0) {
		a->pc = UP_LOCK;
		return MOVED;
	}
	/* Only what is up goes down, and the last one never. */
	if (!s->slot[a->slot].up ||
	    (!s->slot[other].up && wrong != LAST_MAY_GO))
		return BLOCKED;
	a->pc = wrong == MASK_CLEARED_LAST ? DOWN_LOCK : DOWN_CLEAR;
	return MOVED;
}

static enum outcome manager_down(struct state *s)
{
	struct actor_state *a = &s->actor[MANAGER];
	struct slot_state *slot = &s->slot[a->slot];

	switch ((enum pc)a->pc) {
	case DOWN_CLEAR:
		s->mask &= (uint8_t)~bit(a->slot);
		if (wrong == FREE_OUTSIDE_LOCK && a->snap == 2)
			slot->content = NONE;
		a->pc = DOWN_LOCK;
		return MOVED;
	case DOWN_LOCK:
		if (!try_lock(s, MANAGER))
			return BLOCKED;
		a->pc = DOWN_MARK;
		return MOVED;
	case DOWN_MARK:
		if (wrong != NO_TOMBSTONE)
			slot->up = 0;
		a->pc = DOWN_FREE;
		return MOVED;
	case DOWN_FREE:
		if (a->snap == 2)
			slot->content = NONE;
		a->pc = DOWN_UNLOCK;
		return MOVED;
	case DOWN_UNLOCK:
		unlock(s, MANAGER);
		a->pc = wrong == MASK_CLEARED_LAST ? DOWN_CLEAR_LATE : IDLE;
		return MOVED;
	default:
		s->mask &= (uint8_t)~bit(a->slot);
		a->pc = IDLE;
		return MOVED;
	}
}

static enum outcome manager_up(struct state *s)
{
	struct actor_state *a = &s->actor[MANAGER];
	struct slot_state *slot = &s->slot[a->slot];
	bool early = wrong == PUBLISH_HALF_BUILT;

	switch ((enum pc)a->pc) {
	case UP_LOCK:
		/* The wrong one publishes first and so builds unlocked. */
		if (!early && !try_lock(s, MANAGER))
			return BLOCKED;
		a->pc = UP_BUILD;
		return MOVED;
	case UP_BUILD:
		/* A kept one is taken up again. */
		if (slot->content == NONE) {
			slot->content = HALF;
			if (early) {
				slot->up = 1;
				s->mask |= bit(a->slot);
			}
		}
		a->pc = UP_BUILT;
		return MOVED;
	case UP_BUILT:
		slot->content = WHOLE;
		a->pc = UP_MARK;
		return MOVED;
	case UP_MARK:
		slot->up = 1;
		a->pc = UP_MASK;
		return MOVED;
	case UP_MASK:
		s->mask |= bit(a->slot);
		a->pc = UP_UNLOCK;
		return MOVED;
	default:
		if (!early)
			unlock(s, MANAGER);
		a->pc = IDLE;
		return MOVED;
	}
}

static enum outcome manager_step(struct state *s, unsigned choice)
{
	unsigned pc = s->actor[MANAGER].pc;

	if (pc == DONE)
		return AT_END;
	if (pc == IDLE)
		return manager_choose(s, choice);
	if (choice > 0)
		return BLOCKED;
	return pc >= UP_LOCK ? manager_up(s) : manager_down(s);
}

/* --- the reaper: streams_reap() with every kept stream's time over --- */

static bool reapable(const struct slot_state *slot)
{
	return !slot->up && slot->content != NONE;
}

static enum outcome reaper_step(struct state *s, unsigned choice)
{
	struct actor_state *a = &s->actor[REAPER];

	if (a->pc == DONE)
		return AT_END;
	if (choice > 0 && (a->pc != REAP_IDLE || choice >= SLOTS))
		return BLOCKED;
	switch ((enum pc)a->pc) {
	case REAP_IDLE:
		a->slot = (uint8_t)choice;
		a->snap = reapable(&s->slot[choice]);
		a->pc = a->left > 0 ? REAP_LOCK : DONE;
		a->left -= a->left > 0;
		return MOVED;
	case REAP_LOCK:
		if (!try_lock(s, REAPER))
			return BLOCKED;
		a->pc = REAP_CHECK;
		return MOVED;
	case REAP_CHECK:
		if (wrong != REAP_CHECKS_FIRST)
			a->snap = reapable(&s->slot[a->slot]);
		a->pc = a->snap ? REAP_FREE : REAP_UNLOCK;
		return MOVED;
	case REAP_FREE:
		s->slot[a->slot].content = NONE;
		a->pc = REAP_UNLOCK;
		return MOVED;
	default:
		unlock(s, REAPER);
		a->pc = REAP_IDLE;
		return MOVED;
	}
}

/* --- all interleavings --- */

#define CHOICES (3 * SLOTS)

static enum outcome step(struct state *s, unsigned who, unsigned choice)
{
	if (who == MANAGER)
		return manager_step(s, choice);
	if (who == REAPER)
		return reaper_step(s, choice);
	return choice == 0 ? user_step(s, who) : BLOCKED;
}

/* More steps than any way through one round of a user can have. */
#define ALONE_MAX 64

static bool user_ends_alone(struct state s, unsigned who)
{
	for (unsigned i = 0; i < ALONE_MAX; i++)
		if (user_step(&s, who) != MOVED)
			return true;
	return false;
}

/* The rule that state @s or a step out of it breaks; NULL: none. */
static const char *expand(struct seen *seen, const void *state)
{
	unsigned moved = 0, ended = 0;
	struct state s;

	memcpy(&s, state, sizeof(s));
	for (unsigned who = 0; who < ACTORS; who++) {
		for (unsigned choice = 0; choice < CHOICES; choice++) {
			struct state next = s;
			enum outcome o = step(&next, who, choice);

			if (o == BROKEN)
				return s.actor[who].pc == GOT_NULL ? "null"
								   : "use";
			if (o == MOVED)
				seen_add(seen, &next);
			moved += o == MOVED;
			ended += o == AT_END && choice == 0;
		}
	}
	if (moved == 0 && ended < ACTORS)
		return "end";
	for (unsigned who = 0; who < USERS; who++)
		if (!user_ends_alone(s, who))
			return "alone";
	return NULL;
}

static struct state first_state(void)
{
	struct state s;

	memset(&s, 0, sizeof(s));
	s.mask = bit(0);
	s.slot[0] = (struct slot_state){0, WHOLE, 1};
	for (unsigned u = 0; u < USERS; u++)
		s.actor[u] = (struct actor_state){PICK, 0, 0, u ? 1 : 2};
	s.actor[MANAGER] = (struct actor_state){IDLE, 0, 0, 3};
	s.actor[REAPER] = (struct actor_state){REAP_IDLE, 0, 0, 2};
	return s;
}

int main(void)
{
	/* Which rule each wrong variant breaks; the first must break none. */
	static const char *const expected[WRONG_NR] = {
		NULL,  "use", "use", "use", "alone",
		"use", "use", "end", "use", "null",
	};
	int bad = 0;

	for (unsigned v = 0; v < WRONG_NR; v++) {
		struct state first = first_state();
		const char *broken;
		size_t states;

		wrong = (enum wrong)v;
		broken = explore(&first, sizeof(first), expand, &states);
		bad += !report(wrong_names[v], states, broken, expected[v]);
	}
	return bad > 0;
}
