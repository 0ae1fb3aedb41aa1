/* slots.pml: the slots are the tail, and late batches are poisoned. Checked exhaustively by spin.
 *
 * The put of runtime/queue/put.c and the take of take.c, two putters and two takers: each putter
 * puts a batch of two (BUSY, fill, publish; anew when poisoned), the first one then a single item. Slots are
 * used once; the model has enough of them for every poisoning that can happen. A taker that finds
 * a late batch with an item behind it poisons it at once, without waiting: the worst it can do.
 *
 * Checked: nothing is taken twice; per putter the order is kept; never more than CAPACITY claimed;
 * at the end all items have come out, and nobody hangs (spin's invalid end states). The counters
 * of the opening comment's I1 to I3 are asserted where they hold.
 *
 *   -DWRONG=1   the batch is published by a store instead of a CAS
 *   -DWRONG=2   a putter steps one slot over BUSY(k) instead of k
 *   -DWRONG=3   a taker steps one slot over POISON(k)
 *   -DWRONG=4   room is one too much
 */
#ifndef WRONG
#define WRONG 0
#endif

#define SLOTS    13
#define CAPACITY 3
#define PUTTERS  2
#define ITEMS    5 /* of both putters together */

/* A slot: 0, an item 1 … ITEMS, BUSY, POISON (of two). */
#define BUSY   100
#define POISON 101

byte slot[SLOTS];
byte head;
byte hint;
byte limit = CAPACITY;
byte taken;      /* items in all */
bool out[ITEMS + 1];
byte last[PUTTERS];
byte finished;

#define ITEM(me, n) (1 + (me) * 3 + (n))

/* Walk from the hint to the first free slot. */
inline find_tail(p, w)
{
	p = hint;
	do
	:: true ->
		assert(p < SLOTS);
		w = slot[p];
		if
		:: w == 0 -> break
#if WRONG == 2
		:: w == BUSY -> p = p + 1
#else
		:: w == BUSY -> p = p + 2
#endif
		:: w == POISON -> p = p + 2
		:: else -> p = p + 1
		fi
	od
}

/* More than `k` places from p? r = how many of them. */
inline look(p, k, r)
{
	if
	:: p + k <= limit -> r = k
	:: else ->
		/* one load of head decides everything */
		atomic {
			r = 0;
			if
			:: head > p -> r = k
			:: else ->
#if WRONG == 4
				if
				:: p - head < CAPACITY + 1 -> r = CAPACITY + 1 - (p - head)
				:: else -> skip
				fi;
				limit = head + CAPACITY + 1
#else
				if
				:: p - head < CAPACITY -> r = CAPACITY - (p - head)
				:: else -> skip
				fi;
				limit = head + CAPACITY
#endif
			fi;
			if
			:: r > k -> r = k
			:: else -> skip
			fi
		}
	fi
}

proctype putter(byte me; byte count)
{
	byte p, w, r, n = 0;
	bool won;

	do
	:: n == count -> break
	:: n < count ->
		find_tail(p, w);
		look(p, (n == 0 -> 2 : 1), r);
		if
		:: r == 0 -> (head + CAPACITY > p) /* full: until a taker moves */
		:: r == 2 ->
			atomic {
				won = (slot[p] == 0);
				if
				:: won -> slot[p] = BUSY; assert(p + 2 - head <= CAPACITY)
				:: else -> skip
				fi
			};
			if
			:: won ->
				hint = p + 2;
				slot[p + 1] = ITEM(me, 1);
#if WRONG == 1
				slot[p] = ITEM(me, 0);
				n = 2
#else
				atomic {
					if
					:: slot[p] == BUSY -> slot[p] = ITEM(me, 0); n = 2
					:: else -> skip /* poisoned: anew */
					fi
				}
#endif
			:: else -> skip
			fi
		:: r == 1 ->
			atomic {
				won = (slot[p] == 0);
				if
				:: won -> slot[p] = ITEM(me, n); assert(p + 1 - head <= CAPACITY)
				:: else -> skip
				fi
			};
			if
			:: won -> hint = p + 1; n = n + 1
			:: else -> skip
			fi
		fi;
		d_step { p = 0; w = 0; r = 0; won = false }
	od;
	finished++
}

proctype taker()
{
	byte h, w, b;

	do
	:: taken == ITEMS -> break
	:: else ->
		h = head;
		assert(h < SLOTS);
		w = slot[h];
		if
		:: w == 0 -> (slot[h] != 0 || taken == ITEMS) /* empty: until something comes */
		:: w == POISON ->
			atomic {
				if
#if WRONG == 3
				:: head == h -> head = h + 1
#else
				:: head == h -> head = h + 2
#endif
				:: else -> skip
				fi
			}
		:: w == BUSY ->
			/* worth it only if an item stands behind */
			b = h + 2;
			do
			:: true ->
				w = slot[b];
				if
				:: w == BUSY || w == POISON -> b = b + 2
				:: else -> break
				fi
			od;
			if
			:: w == 0 -> (slot[h] != BUSY || slot[b] != 0 || taken == ITEMS)
			:: else ->
				atomic {
					if
					:: slot[h] == BUSY -> slot[h] = POISON
					:: else -> skip
					fi
				}
			fi
		:: else ->
			atomic {
				if
				:: head == h ->
					head = h + 1;
					assert(w <= ITEMS && !out[w]);
					out[w] = true;
					taken++;
					/* the order of each putter */
					assert(last[(w - 1) / 3] == (w - 1) % 3);
					last[(w - 1) / 3]++
				:: else -> skip
				fi
			}
		fi;
		d_step { h = 0; w = 0; b = 0 }
	od
}

init {
	atomic {
		run putter(0, 3);
		run putter(1, 2);
		run taker();
		run taker()
	}
}
