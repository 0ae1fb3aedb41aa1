/* awake.pml: who is awake is counted, and when nobody is the control thread looks whether anything can
 * still move (runtime/engine/task.c, own.c, control.c). Checked exhaustively by spin.
 *
 * Replicas with a thread each, and two stories, of which one happens. Either 0 and 1 send items to and
 * fro, BUDGET of them, and 1 asks for a time before it does anything; the control thread sees the time
 * come. Or a reload is under way, so that nobody looks for a deadlock, until a stop takes it back; then
 * 2, which slept until it is told to stop, ends, and what the control thread reads of that brings one
 * more item for 0.
 *
 * A deadlock may be told of only when nothing can move: nobody runs or will be woken, no item lies
 * before anybody, nothing is posted. And when nothing moves any more, it must have been told.
 * A notify is a look, a count and an exchange that may fail; a change of the count says whether it was
 * the last one: each is one step.
 *
 *   -DWRONG=1   who wakes counts after the exchange, as it was before fea10ac
 *   -DWRONG=2   the control thread takes the count from before its turns, as before e6c0cc2
 *   -DWRONG=3   it looks at the count a second time, and not whether somebody was woken between
 *   -DWRONG=4   whether a sleeper waits for a time stands beside its state, as before TASK_TIMED
 *   -DWRONG=5   who falls asleep last does not nudge the control thread
 */
#ifndef WRONG
#define WRONG 0
#endif
#define BUDGET 1 /* 2 is too many states */

#define IDLE     0
#define TIMED    1
#define QUEUED   2
#define RUNNING  3
#define NOTIFIED 4
#define ENDED    5

#define MESSAGE_WAKE  1
#define MESSAGE_ENDED 2

byte sched[3];
byte in[2], budget;
byte awake;
bool woken; /* the upper half of the word has changed since the control thread's look */
bool beside[3];    /* WRONG 4 */
byte messages;
bool nudged, told;
bool asked, time_waits, armed; /* the time that 1 asks for */
bool under_way, stop_asked, stop;

inline fall_asleep()
{
	atomic {
		awake--;
		last = (awake == 0)
	};
	if
	:: last && WRONG != 5 -> nudged = true
	:: else -> skip
	fi;
	last = false
}

inline count_awake()
{
	d_step {
		awake++;
		woken = true
	}
}

/* A thread of its own sees by itself that it may run: nothing more to do. */
inline notify(x)
{
	seen = sched[x];
	counted = false;
	do
	:: seen == ENDED -> break
	:: else ->
		if
		:: seen == IDLE && !counted && WRONG != 1 ->
			count_awake();
			counted = true
		:: else -> skip
		fi;
		atomic {
			if
			:: sched[x] != seen -> seen = sched[x]
			:: else ->
				if
				:: seen <= TIMED -> sched[x] = QUEUED
				:: seen == RUNNING -> sched[x] = NOTIFIED
				:: else -> skip
				fi;
				break
			fi
		}
	od;
	if
	:: WRONG == 1 && seen == IDLE -> count_awake()
	:: else -> skip
	fi;
	if
	:: counted && seen != IDLE -> fall_asleep()
	:: WRONG == 4 && seen == IDLE ->
		atomic {
			last = beside[x];
			beside[x] = false
		};
		if
		:: last -> fall_asleep()
		:: else -> skip
		fi
	:: else -> skip
	fi;
	seen = 0;
	counted = false
}

/* `again`: somebody has notified us meanwhile. */
inline settle(me)
{
#if WRONG == 4
	beside[me] = timed;
#endif
	atomic {
		again = (sched[me] != RUNNING);
		if
		:: again -> skip
		:: else -> sched[me] = (timed && WRONG != 4 -> TIMED : IDLE)
		fi
	};
	if
	:: again || timed -> skip
	:: else -> fall_asleep()
	fi
}

proctype replica(byte me)
{
	bool counted, last, timed, again;
	byte seen;

end:	do
	:: sched[me] > TIMED ->
		do
		:: true ->
			sched[me] = RUNNING;
			timed = false;
			if
			:: me == 1 && !asked ->
				asked = true;
				time_waits = true;
				timed = true;
				atomic { messages = messages | MESSAGE_WAKE; nudged = true }
			:: me == 1 && asked && time_waits -> timed = true
			:: else ->
				do
				:: in[me] > 0 ->
					in[me]--;
					if
					:: budget > 0 ->
						budget--;
						in[1 - me]++;
						notify(1 - me)
					:: else -> skip
					fi
				:: else -> break
				od
			fi;
			settle(me);
			if
			:: again -> skip
			:: else -> break
			fi
		od;
		timed = false;
		again = false
	od
}

proctype ender()
{
	bool last, again;
	bool timed = false;

end:	do
	:: sched[2] > TIMED ->
		do
		:: true ->
			sched[2] = RUNNING;
			if
			:: stop ->
				sched[2] = ENDED;
				atomic { messages = messages | MESSAGE_ENDED; nudged = true };
				fall_asleep();
				goto gone
			:: else -> settle(2)
			fi;
			if
			:: again -> skip
			:: else -> break
			fi
		od;
		again = false
	od;
gone:	skip
}

proctype control()
{
	bool counted, last;
	byte seen, posted, before;

	if
	:: under_way -> skip
	:: else -> notify(1)
	fi;
	in[0]++;
	notify(0);
	nudged = true;
end:	do
	:: nudged ->
		nudged = false;
		do
		:: true ->
			atomic {
				before = awake;
				woken = false
			};
			atomic {
				posted = messages;
				messages = 0
			};
			if
			:: posted & MESSAGE_WAKE -> armed = true
			:: else -> skip
			fi;
			if
			:: posted & MESSAGE_ENDED ->
				in[0]++;
				notify(0)
			:: else -> skip
			fi;
			if
			:: stop_asked ->
				stop_asked = false;
				under_way = false;
				stop = true;
				notify(2)
			:: else -> skip
			fi;
			if
			:: posted -> skip
			:: else ->
				if
				:: before > 0 || under_way -> break
#if WRONG == 3
				:: else ->
					if
					:: awake > 0 -> break
					:: else -> told = true
					fi
#elif WRONG != 2
				:: else ->
					atomic {
						if
						:: awake != before || woken -> break
						:: else -> skip
						fi
					};
					if
					:: messages != 0 -> break
					:: else -> told = true
					fi
#else
				:: else -> told = true
#endif
				fi
			fi;
			if
			:: told ->
				assert(in[0] == 0 && in[1] == 0 && messages == 0 && !armed && !time_waits);
				assert(sched[0] == IDLE && sched[1] == IDLE && (sched[2] == IDLE || sched[2] == ENDED));
				goto out
			:: else -> skip
			fi
		od;
		posted = 0;
		before = 0
	:: armed ->
		armed = false;
		time_waits = false;
		if
		:: in[1] == 0 -> in[1]++ /* so that it has something to do then */
		:: else -> skip
		fi;
		notify(1)
	od;
out:	skip
}

proctype stopper()
{
	stop_asked = true;
	nudged = true
}

proctype watch()
{
	timeout -> assert(told)
}

init {
	atomic {
		if
		:: true ->
			under_way = true;
			run ender();
			run stopper()
		:: true ->
			budget = BUDGET;
			run replica(1)
		fi;
		run replica(0);
		run control();
		run watch()
	}
}
