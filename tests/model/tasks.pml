/* tasks.pml: tasks that wait by callback (runtime/queue/task.c). Checked exhaustively by spin.
 *
 * Two putters put items into a queue without bound (a counter); two tasks take one item each, pass
 * the wake-up on and go; each waits when there is nothing; a third waits, and takes itself back or, when
 * it was woken for all that, passes the wake-up on. The list of those who wait belongs to whoever
 * holds `held`; `work` tells him to look again before he leaves. To take the inbox is one step, and
 * so is each change of `serving` (held and work are two bits of one word). A lost wake-up is an end
 * at which items lie beside a task that sleeps.
 *
 *   -DWRONG=1   who waits does not look again after he has come to the inbox
 *   -DWRONG=2   the server leaves without a look whether there is more work
 *   -DWRONG=3   a task that took does not pass the wake-up on
 *   -DWRONG=4   who waits is counted after his second look
 *   -DWRONG=5   the server looks at the queue before he takes up the work
 */
#ifndef WRONG
#define WRONG 0
#endif
#define ITEMS 2
#define TASKS 3 /* the last one takes itself back */

byte items, put, waiting;
byte inbox, list; /* sets of tasks */
bool held, work;
bool woken[TASKS], armed[TASKS];

/* The lowest of those on the list goes. */
inline choose()
{
	atomic {
		list = list | inbox;
		inbox = 0
	};
	if
	:: list == 0 -> skip
	:: else ->
#if WRONG != 5
		ready = (items > 0);
#endif
		if
		:: !ready -> skip
		:: else ->
			d_step {
				if
				:: list & 1 -> first = 0
				:: (list & 3) == 2 -> first = 1
				:: list == 4 -> first = 2
				fi;
				list = list & (7 - (1 << first));
				armed[first] = false;
				waiting--;
				chosen = chosen | (1 << first);
				first = 0
			}
		fi
	fi
}

inline serve()
{
	do
	:: true ->
#if WRONG == 5
		ready = (items > 0);
#endif
		work = false;
		choose();
#if WRONG == 2
		held = false;
		break
#else
		atomic {
			if
			:: !work -> held = false; break
			:: else -> skip
			fi
		}
#endif
	od;
	do
	:: chosen & 1 -> woken[0] = true; chosen = chosen & 6
	:: chosen & 2 -> woken[1] = true; chosen = chosen & 5
	:: chosen & 4 -> woken[2] = true; chosen = chosen & 3
	:: chosen == 0 -> break
	od;
	ready = false
}

inline wake()
{
	atomic {
		before = held;
		held = true;
		work = true
	};
	if
	:: !before -> serve()
	:: else -> skip
	fi;
	before = false
}

inline pass_on()
{
	if
	:: waiting > 0 ->
		if
		:: items > 0 -> wake()
		:: else -> skip
		fi
	:: else -> skip
	fi
}

/* again: there is something already */
inline arm(me)
{
	again = (items > 0);
	if
	:: again -> skip
	:: else ->
		armed[me] = true;
#if WRONG != 4
		waiting++;
#endif
		inbox = inbox | (1 << me);
#if WRONG != 1
		if
		:: items > 0 -> wake()
		:: else -> skip
		fi;
#endif
#if WRONG == 4
		waiting++;
#endif
		skip
	fi
}

proctype putter()
{
	bool before, ready;
	byte chosen, first;

	do
	:: put == ITEMS -> break
	:: atomic { put < ITEMS -> put++ };
		items++;
		if
		:: waiting > 0 -> wake()
		:: else -> skip
		fi
	od
}

proctype task(byte me)
{
	bool before, ready, again, got;
	byte chosen, first;

end:	do
	:: woken[me] ->
		woken[me] = false;
		do
		:: true ->
			atomic {
				got = (items > 0);
				if
				:: got -> items--
				:: else -> skip
				fi
			};
			if
			:: got ->
#if WRONG != 3
				pass_on();
#endif
				goto gone
			:: else ->
				arm(me);
				if
				:: again -> skip
				:: else -> break
				fi
			fi
		od
	od;
gone:	skip
}

proctype fickle()
{
	bool before, ready, again, was;
	byte chosen, first;

	arm(2);
	if
	:: again -> skip
	:: else ->
		atomic { !held -> held = true };
		atomic {
			list = list | inbox;
			inbox = 0
		};
		atomic {
			was = armed[2];
			if
			:: was -> armed[2] = false; list = list & 3; waiting--
			:: else -> skip
			fi
		};
		serve();
		if
		:: was -> skip
		:: else ->
			woken[2];
			pass_on()
		fi
	fi
}

proctype watch()
{
	timeout -> assert(items == 0)
}

init {
	atomic {
		woken[0] = true;
		woken[1] = true;
		run putter();
		run putter();
		run task(0);
		run task(1);
		run fickle();
		run watch()
	}
}
