/* park.pml: parking and waking (runtime/queue/wait.c). Checked exhaustively by spin.
 *
 * Two putters put ITEMS items in all into a queue without bound (a counter: what the waiter looks
 * at); each of two takers takes its half of them and goes, and parks when there is nothing. The
 * futex is a set of sleepers: to sleep and to compare the event is one step, as in the kernel. A
 * lost wake-up is an end state in which somebody sleeps though there are items: spin reports it
 * as invalid end state. The event counts modulo 8, more than there can be wake-ups in a run.
 *
 *   -DWRONG=1   pending is cleared after the look instead of before it
 *   -DWRONG=2   pending is cleared before the event is read
 *   -DWRONG=3   a taker that was woken and took does not pass it on
 */
#ifndef WRONG
#define WRONG 0
#endif
#define ITEMS  4
#define TAKERS 2

byte items, put;
byte event;   /* changes with every wake-up */
byte waiting; /* threads */
bit pending;
bool asleep[TAKERS];

inline wake_one()
{
	/* load, then exchange: two steps, as in the code */
	if
	:: pending == 1 -> skip
	:: else ->
		atomic {
			old = pending;
			pending = 1
		};
		if
		:: old == 0 ->
			event = (event + 1) % 8;
			atomic {
				if
				:: asleep[0] -> asleep[0] = false
				:: asleep[1] -> asleep[1] = false
				:: else -> skip
				fi
			}
		:: else -> skip
		fi
	fi
}

proctype putter()
{
	bit old;

	do
	:: atomic {
		put < ITEMS -> put++
	};
		items++;
		if
		:: waiting > 0 -> wake_one(); old = 0
		:: else -> skip
		fi
	:: put >= ITEMS -> break
	od
}

proctype taker(byte me)
{
	byte seen;
	bit old;
	bool got;
	byte mine;

	do
	:: mine == ITEMS / TAKERS -> break
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
			waiting++;
			do
			:: true ->
#if WRONG == 2
				pending = 0;
				seen = event;
				if
				:: items > 0 -> break
				:: else -> skip
				fi;
#elif WRONG == 1
				seen = event;
				if
				:: items > 0 -> pending = 0; break
				:: else -> skip
				fi;
				pending = 0;
#else
				seen = event;
				pending = 0;
				if
				:: items > 0 -> break
				:: else -> skip
				fi;
#endif
				atomic {
					if
					:: event == seen -> asleep[me] = true
					:: else -> skip
					fi
				};
				(!asleep[me])
			od;
			waiting--
		fi;
		d_step { seen = 0; old = 0; got = false }
	od
}

init {
	atomic {
		run putter();
		run putter();
		run taker(0);
		run taker(1)
	}
}
