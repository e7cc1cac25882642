/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Exhaustive model of the life of a parameter set's number beside slot life:
 * stores, loads, codec changes and sweeps, in the order of src/codec/sets.c.
 *
 * A storer enters (two accesses), makes an object, counts it, leaves, and
 * later frees it. A loader holds a stream, copies an object's bytes and
 * decodes them after the object may have gone. A changer makes new sets
 * current out of two numbers; a sweeper lets numbers go in two phases.
 * Parameters are told apart by a serial number for each making of a set.
 *
 *	decode	bytes are decoded with the parameters they were made with;
 *	store	the set of a store is LIVE from enter to leave;
 *	end	no state but the end is without a way on.
 *
 * Wrong variants must each break one of these.
 */
#include "slot-life-explore.h"

enum wrong {
	RIGHT,
	NO_SECOND_LOOK,    /* enter does not read current again */
	SUM_BEFORE_HELD,   /* a sweep counts objects, then looks who holds */
	COUNT_AFTER_LEAVE, /* the object is counted outside the bracket */
	UNCOUNT_EARLY,     /* the object is uncounted before it is gone */
	NO_WAIT,           /* a number is free at once, loaders or not */
	NO_HELD,           /* a sweep does not ask who holds the set */
	SWEEP_CURRENT,     /* a sweep does not spare the current set */
	WRONG_NR
};

static const char *const wrong_names[] = {
	"as it is",
	"enter looks once",
	"sweep counts first",
	"counts after leave",
	"uncounts what is there",
	"sweep never waits",
	"sweep ignores holders",
	"sweep takes current",
};

#define NUMBERS 2
enum number_state { FREE, LIVE, DYING };
enum actor { STORER, LOADER, CHANGER, SWEEPER, ACTORS };

struct state {
	uint8_t number[NUMBERS]; /* enum number_state */
	uint8_t params[NUMBERS]; /* the word: serial of what it means */
	uint8_t objects[NUMBERS];
	uint8_t current;
	uint8_t serial; /* last one given */
	uint8_t held;   /* number + 1, by the storer */
	uint8_t stream; /* held by the loader */
	uint8_t lock;   /* LOCK_SETS: actor + 1 */
	/* The stored object: its tag, and what it was really made with. */
	uint8_t object, object_tag, object_made;
	uint8_t pc[ACTORS];
	uint8_t left[ACTORS];
	/* Private to an actor. */
	uint8_t set;         /* storer */
	uint8_t tag, loaded; /* loader */
	uint8_t chosen;      /* changer */
	uint8_t swept, zero; /* sweeper */
};

_Static_assert(_Alignof(struct state) == 1, "no padding to compare");

static enum wrong wrong;

/* --- storer: sets_enter(), an object, sets_leave(); then the free --- */

enum {
	S_READ,
	S_SAY,
	S_LOOK,
	S_MAKE,
	S_COUNT,
	S_LEAVE,
	S_FREE,
	S_UNCOUNT,
	S_DONE
};

static void store_unmake(struct state *s, bool uncount)
{
	if (uncount)
		s->objects[s->object_tag]--;
	else
		s->object = 0;
}

static enum outcome store_step(struct state *s)
{
	uint8_t *pc = &s->pc[STORER];

	switch ((*pc)++) {
	case S_READ:
		s->set = s->current;
		return MOVED;
	case S_SAY:
		s->held = (uint8_t)(s->set + 1);
		if (wrong == NO_SECOND_LOOK)
			*pc = S_MAKE;
		return MOVED;
	case S_LOOK:
		if (s->current != s->set) {
			s->set = s->current;
			*pc = S_SAY;
		}
		return MOVED;
	case S_MAKE:
		if (s->number[s->set] != LIVE)
			return BROKEN;
		s->object = 1;
		s->object_tag = s->set;
		s->object_made = s->params[s->set];
		if (wrong == COUNT_AFTER_LEAVE)
			*pc = S_LEAVE;
		return MOVED;
	case S_COUNT:
		if (wrong != COUNT_AFTER_LEAVE && s->number[s->set] != LIVE)
			return BROKEN;
		s->objects[s->set]++;
		if (wrong == COUNT_AFTER_LEAVE)
			*pc = S_FREE;
		return MOVED;
	case S_LEAVE:
		s->held = 0;
		if (wrong == COUNT_AFTER_LEAVE)
			*pc = S_COUNT;
		return MOVED;
	case S_FREE:
		store_unmake(s, wrong == UNCOUNT_EARLY);
		return MOVED;
	case S_UNCOUNT:
		store_unmake(s, wrong != UNCOUNT_EARLY);
		if (--s->left[STORER] > 0)
			*pc = S_READ;
		return MOVED;
	default:
		*pc = S_DONE;
		return AT_END;
	}
}

/* --- loader: stream_get(), copy under the page's lock, decode, put --- */

enum { L_GET, L_COPY, L_DECODE, L_PUT, L_DONE };

static enum outcome load_step(struct state *s)
{
	uint8_t *pc = &s->pc[LOADER];

	switch ((*pc)++) {
	case L_GET:
		s->stream = 1;
		return MOVED;
	case L_COPY:
		if (!s->object) {
			*pc = L_PUT;
			return MOVED;
		}
		s->tag = s->object_tag;
		s->loaded = s->object_made;
		return MOVED;
	case L_DECODE:
		return s->params[s->tag] == s->loaded ? MOVED : BROKEN;
	case L_PUT:
		s->stream = 0;
		s->tag = s->loaded = 0;
		if (--s->left[LOADER] > 0)
			*pc = L_GET;
		return MOVED;
	default:
		*pc = L_DONE;
		return AT_END;
	}
}

/* --- changer: sets_use() with new parameters, or those of a number --- */

enum { C_LOCK, C_CHOOSE, C_CURRENT, C_UNLOCK, C_DONE };

/* @choice: which number; it is taken up again, or made if it is free. */
static enum outcome change_step(struct state *s, unsigned choice)
{
	uint8_t *pc = &s->pc[CHANGER];

	if (choice > 0 && *pc != C_CHOOSE)
		return BLOCKED;
	switch ((*pc)++) {
	case C_LOCK:
		if (s->lock)
			return BLOCKED;
		s->lock = CHANGER + 1;
		return MOVED;
	case C_CHOOSE:
		if (s->number[choice] == FREE)
			s->params[choice] = ++s->serial;
		s->number[choice] = LIVE;
		s->chosen = (uint8_t)choice;
		return MOVED;
	case C_CURRENT:
		s->current = s->chosen;
		s->chosen = 0;
		return MOVED;
	case C_UNLOCK:
		s->lock = 0;
		if (--s->left[CHANGER] > 0)
			*pc = C_LOCK;
		return MOVED;
	default:
		*pc = C_DONE;
		return AT_END;
	}
}

/* --- sweeper: sets_sweep(), looking at one number a round --- */

enum {
	W_LOCK,
	W_CURRENT,
	W_HELD,
	W_SUM,
	W_MARK,
	W_WAIT,
	W_RELOCK,
	W_FREE,
	W_UNLOCK,
	W_DONE
};

static enum outcome sweep_look(struct state *s, unsigned n)
{
	uint8_t *pc = &s->pc[SWEEPER];

	switch (*pc) {
	case W_CURRENT:
		*pc = s->number[n] != LIVE || (s->current == n &&
					       wrong != SWEEP_CURRENT)
			      ? W_UNLOCK
			      : W_HELD;
		if (wrong == SUM_BEFORE_HELD)
			s->zero = s->objects[n] == 0;
		return MOVED;
	case W_HELD:
		*pc = s->held == n + 1 && wrong != NO_HELD ? W_UNLOCK : W_SUM;
		return MOVED;
	case W_SUM:
		if (wrong != SUM_BEFORE_HELD)
			s->zero = s->objects[n] == 0;
		*pc = s->zero ? W_MARK : W_UNLOCK;
		s->zero = 0;
		return MOVED;
	default: /* W_MARK */
		s->number[n] = wrong == NO_WAIT ? FREE : DYING;
		*pc = wrong == NO_WAIT ? W_UNLOCK : W_WAIT;
		s->lock = wrong == NO_WAIT ? s->lock : 0;
		return MOVED;
	}
}

/* @choice: the number this round looks at. */
static enum outcome sweep_step(struct state *s, unsigned choice)
{
	uint8_t *pc = &s->pc[SWEEPER];
	unsigned n = s->swept;

	if (choice > 0 && *pc != W_LOCK)
		return BLOCKED;
	switch (*pc) {
	case W_LOCK:
	case W_RELOCK:
		if (s->lock)
			return BLOCKED;
		if (*pc == W_LOCK)
			s->swept = (uint8_t)choice;
		s->lock = SWEEPER + 1;
		(*pc)++;
		return MOVED;
	case W_WAIT:
		/* Passing through the stream's lock. */
		if (s->stream)
			return BLOCKED;
		*pc = W_RELOCK;
		return MOVED;
	case W_FREE:
		if (s->number[n] == DYING)
			s->number[n] = FREE;
		*pc = W_UNLOCK;
		return MOVED;
	case W_UNLOCK:
		s->lock = 0;
		*pc = --s->left[SWEEPER] > 0 ? W_LOCK : W_DONE;
		return MOVED;
	case W_DONE:
		return AT_END;
	default:
		return sweep_look(s, n);
	}
}

/* --- all interleavings --- */

static enum outcome step(struct state *s, unsigned who, unsigned choice)
{
	if (who == CHANGER)
		return change_step(s, choice);
	if (who == SWEEPER)
		return sweep_step(s, choice);
	if (choice > 0)
		return BLOCKED;
	return who == STORER ? store_step(s) : load_step(s);
}

static const char *expand(struct seen *seen, const void *state)
{
	unsigned moved = 0, ended = 0;

	for (unsigned who = 0; who < ACTORS; who++) {
		for (unsigned choice = 0; choice < NUMBERS; choice++) {
			struct state next;
			enum outcome o;

			memcpy(&next, state, sizeof(next));
			o = step(&next, who, choice);
			if (o == BROKEN)
				return who == STORER ? "store" : "decode";
			if (o == MOVED)
				seen_add(seen, &next);
			moved += o == MOVED;
			ended += o == AT_END && choice == 0;
		}
	}
	return moved == 0 && ended < ACTORS ? "end" : NULL;
}

static struct state first_state(void)
{
	struct state s;

	memset(&s, 0, sizeof(s));
	s.number[0] = LIVE;
	s.params[0] = s.serial = 1;
	s.left[STORER] = s.left[LOADER] = 2;
	s.left[CHANGER] = s.left[SWEEPER] = 3;
	return s;
}

int main(void)
{
	static const char *const expected[WRONG_NR] = {
		NULL,     "store",  "decode", "decode",
		"decode", "decode", "store",  "store",
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
