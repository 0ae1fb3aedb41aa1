/* segments.pml: nobody meets a segment that has been freed. Checked exhaustively by spin.
 *
 * The chain of runtime/queue: putters append and move the tail on, takers move head_segment on
 * and retire what it leaves; two of each. Segments have one slot, so every item crosses an end. A
 * retired segment is freed when every read section that was open at its retirement has ended: the
 * best case for whoever would meet it too early. No stress test finds the error of WRONG=1, and
 * liburcu's own queue has it (research/queues.md).
 *
 *   -DWRONG=1   a segment is retired though the tail may still name it
 *   -DWRONG=2   putters open no read section
 *   -DWRONG=3   a segment is retired before head_segment has left it
 */
#ifndef WRONG
#define WRONG 0
#endif
#define EACH  2 /* items of each putter */
#define ITEMS 4
#define SEGS  5

bool slot[SEGS];
byte next[SEGS]; /* 0: none */
byte tail, head_segment, head, put, taken;
byte in; /* open sections, a bit each */
bool retired[SEGS];
byte waits_for[SEGS];

#define FREED(s) (retired[s] && waits_for[s] == 0)

inline enter() { in = in | me }

inline leave()
{
	atomic {
		in = in & (255 - me);
		waits_for[0] = waits_for[0] & (255 - me);
		waits_for[1] = waits_for[1] & (255 - me);
		waits_for[2] = waits_for[2] & (255 - me);
		waits_for[3] = waits_for[3] & (255 - me);
		waits_for[4] = waits_for[4] & (255 - me)
	}
}

inline retire(s)
{
	atomic {
		assert(!retired[s]);
		retired[s] = true;
		waits_for[s] = in
	}
}

proctype putter(byte me)
{
	byte s, n, mine;

	do
	:: mine == EACH -> break
	:: else ->
#if WRONG != 2
		enter();
#endif
		s = tail;
		do
		:: true ->
			assert(!FREED(s));
			atomic {
				if
				:: !slot[s] -> slot[s] = true; put++; mine++; break
				:: else -> skip
				fi
			};
			atomic { /* append, unless another has */
				assert(!FREED(s));
				if
				:: next[s] == 0 && s + 1 < SEGS -> next[s] = s + 1
				:: else -> skip
				fi;
				n = next[s]
			};
			assert(n != 0);
			atomic {
				if
				:: tail == s -> tail = n
				:: else -> skip
				fi
			};
			s = n
		od;
#if WRONG != 2
		leave();
#endif
		skip;
		d_step { s = 0; n = 0 }
	od
}

proctype taker(byte me)
{
	byte h, s, n, t;
	bool won;

	do
	:: taken == ITEMS -> break
	:: else ->
		enter();
		h = head;
		s = head_segment;
		assert(!FREED(s));
		if
		:: h < s -> skip /* both have moved */
		:: h == s ->
			if
			:: slot[s] ->
				atomic {
					if
					:: head == h -> head = h + 1; taken++
					:: else -> skip
					fi
				}
			:: else -> skip
			fi
		:: h > s ->
			n = next[s];
			if
			:: n == 0 -> skip
			:: else ->
#if WRONG == 3
				won = (head_segment == s && !retired[s]);
				if
				:: won -> retired[s] = true; waits_for[s] = in
				:: else -> skip
				fi;
				atomic {
					if
					:: head_segment == s -> head_segment = n
					:: else -> skip
					fi
				}
#else
				atomic {
					won = (head_segment == s);
					if
					:: won -> head_segment = n
					:: else -> skip
					fi
				};
				if
				:: won ->
#if WRONG != 1
					t = tail;
					do
					:: t >= n -> break
					:: else ->
						assert(!FREED(t));
						atomic {
							if
							:: tail == t -> tail = next[t]
							:: else -> skip
							fi;
							t = tail
						}
					od;
#endif
					retire(s)
				:: else -> skip
				fi
#endif
			fi
		fi;
		leave();
		d_step { h = 0; s = 0; n = 0; t = 0; won = false };
		(put > head || taken == ITEMS)
	od
}

init {
	atomic {
		run putter(1);
		run putter(2);
		run taker(4);
		run taker(8)
	}
}
