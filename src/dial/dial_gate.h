/*
 * dial_gate: how many clients of one relay and loop may be dialling at once; the rest wait in order.
 *
 * After an outage every client comes back in the same second.  Without a bound each of them is a CONNECT and a
 * full handshake at the same moment: for the proxy that is an attack, and for us it is work thrown away, since
 * most would end only after their client has given up.  Behind a bound the first ones finish, and those after
 * them resume their TLS sessions, at half the cost.
 *
 * Belongs to one loop.
 */
#ifndef MIDRELAY_DIAL_DIAL_GATE_H
#define MIDRELAY_DIAL_DIAL_GATE_H

#include <stdbool.h>
#include <sys/queue.h>

/*
 * Of one relay, over all loops.  A MID Server has about 60 connections, 250 when tuned: it never waits.  At 100
 * ms a round trip it lets some 850 clients a second through.
 */
#define DIAL_GATE_WIDTH 256
/* What each loop gets at least, however many there are. */
#define DIAL_GATE_WIDTH_MIN 16

enum dial_gate_state { DIAL_GATE_OUTSIDE, DIAL_GATE_WAITING, DIAL_GATE_INSIDE };

/* One client's place; embedded in its owner, zero-initialised. */
struct dial_gate_place {
	TAILQ_ENTRY(dial_gate_place) entry;
	enum dial_gate_state state;
	/*
	 * Its turn has come, and it is inside.  Called from another one's dial_gate_leave(), at most once; may
	 * leave at once.
	 */
	void (*on_turn)(struct dial_gate_place *place);
};

struct dial_gate {
	unsigned width, inside;
	bool admitting;
	TAILQ_HEAD(, dial_gate_place) waiting;
};

void dial_gate_init(struct dial_gate *gate, unsigned loop_count);
/* True: inside.  False: it waits, and on_turn() is called later. */
bool dial_gate_enter(struct dial_gate *gate, struct dial_gate_place *place);
/* From any state; the next in order may come in. */
void dial_gate_leave(struct dial_gate *gate, struct dial_gate_place *place);

#endif
