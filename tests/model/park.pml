/* park.pml: parking and waking (runtime/queue/wait.c). Checked exhaustively by spin.
 *
 * Two putters put ITEMS items in all into a queue without bound (a counter: what the waiter looks
 * at); a single taker or each of two takes his part of them and goes, and parks when there is nothing. The
 * futex is a set of sleepers: to sleep and to compare the word is one step, as in the kernel. The word
 * is `event`, modulo 8, more than there can be wake-ups in a run, and `pending`. A lost wake-up is an end
 * state in which somebody sleeps though there are items: spin reports it as invalid end state.
 * And a single taker is called at most once for each time that he waits, and once more for each call that
 * came for an item that he had taken already.
 *
 *   -DWRONG=1   who finds pending set sleeps without clearing it
 *   -DWRONG=2   who finds pending set clears it and sleeps without a second look
 *   -DWRONG=3   a taker that was woken and took does not pass it on
 *   -DWRONG=4   who leaves does not clear pending
 *   -DWRONG=5   pending is cleared before each look: it does not hold while a woken thread is about to leave
 *   -DWRONG=6   who leaves clears pending first and is no waiter only then
 *   -DWRONG=7   the waker does not look at `waiting` after pending
 */
#ifndef WRONG
#define WRONG 0
#endif
#define ITEMS 3

byte takers;
byte items, put;
byte event;   /* changes with every wake-up */
bit pending;  /* of the same word */
byte waiting; /* threads */
byte may_call; /* of a single taker: so many calls are justified */
bool asleep[2];

inline wake_one()
{
	do
	:: true ->
		atomic {
			old = event;
			was = pending
		};
		if
		:: was -> break
		:: else -> skip
		fi;
#if WRONG != 7
		if
		:: waiting == 0 -> break
		:: else -> skip
		fi;
#endif
		atomic {
			if
			:: event == old && pending == 0 ->
				event = (event + 1) % 8;
				pending = 1;
				was = true;
				if
				:: takers == 1 ->
					assert(may_call > 0);
					may_call--
				:: else -> skip
				fi
			:: else -> skip
			fi
		};
		if
		:: was ->
			atomic {
				if
				:: asleep[0] -> asleep[0] = false
				:: asleep[1] -> asleep[1] = false
				:: else -> skip
				fi
			};
			break
		:: else -> skip
		fi
	od;
	atomic { old = 0; was = 0 }
}

inline leave()
{
#if WRONG == 6
	pending = 0;
	waiting--
#elif WRONG == 4 || WRONG == 5
	waiting--
#else
	waiting--;
	pending = 0
#endif
}

proctype putter()
{
	byte old;
	bit was;

	do
	:: atomic {
		put < ITEMS -> put++
	};
		items++;
		if
		:: waiting > 0 -> wake_one()
		:: else -> skip
		fi
	:: put >= ITEMS -> break
	od
}

proctype taker(byte me)
{
	byte seen, old, mine;
	bit flag, was;
	bool got;

	do
	:: mine == (takers == 1 -> ITEMS : 2 - me) -> break
	:: else ->
		atomic {
			got = (items > 0);
			if
			:: got -> items--; mine++
			:: else -> skip
			fi
		};
		if
		:: got ->
#if WRONG != 3
			/* pass it on */
			if
			:: waiting > 0 ->
				if
				:: items > 0 -> wake_one()
				:: else -> skip
				fi
			:: else -> skip
			fi
#else
			skip
#endif
		:: else ->
			atomic {
				waiting++;
				may_call = may_call + (takers == 1)
			};
			do
			:: true ->
				atomic {
					seen = event;
					flag = pending
				};
#if WRONG == 5
				pending = 0;
				flag = 0;
#endif
				if
				:: items > 0 -> break
				:: else -> skip
				fi;
#if WRONG == 1
				flag = 0;
#endif
				if
				:: flag ->
					atomic {
						if
						:: event == seen && pending ->
							pending = 0;
							may_call = may_call + (takers == 1)
						:: else -> skip
						fi
					}
				:: else -> skip
				fi;
				if
#if WRONG != 2
				:: flag -> skip /* and look again */
				:: else ->
#else
				:: true ->
#endif
					atomic {
						if
#if WRONG == 1
						:: event == seen -> asleep[me] = true
#else
						:: event == seen && pending == 0 ->
							asleep[me] = true
#endif
						:: else -> skip
						fi
					};
					(!asleep[me])
				fi
			od;
			leave()
		fi;
		d_step { seen = 0; flag = 0; got = false }
	od
}

init {
	atomic {
		if
		:: takers = 1
		:: takers = 2
		fi;
		run putter();
		run putter();
		run taker(0);
		if
		:: takers == 2 -> run taker(1)
		:: else -> skip
		fi
	}
}
