/* dial_gate: see dial_gate.h.  Answers for the order of those who wait. */
#include "dial/dial_gate.h"

#include "base/mem.h"

void dial_gate_init(struct dial_gate *gate, unsigned loop_count)
{
	gate->width = DIAL_GATE_WIDTH / loop_count;
	if (gate->width < DIAL_GATE_WIDTH_MIN)
		gate->width = DIAL_GATE_WIDTH_MIN;
	gate->inside = 0;
	gate->admitting = false;
	TAILQ_INIT(&gate->waiting);
}

bool dial_gate_enter(struct dial_gate *gate, struct dial_gate_place *place)
{
	midrelay_assert(place->state == DIAL_GATE_OUTSIDE);
	if (gate->inside >= gate->width || !TAILQ_EMPTY(&gate->waiting)) {
		place->state = DIAL_GATE_WAITING;
		TAILQ_INSERT_TAIL(&gate->waiting, place, entry);
		return false;
	}
	place->state = DIAL_GATE_INSIDE;
	gate->inside++;
	return true;
}

/* One that is let in may leave at once: this loop then sees the place, rather than calling itself. */
static void admit(struct dial_gate *gate)
{
	struct dial_gate_place *place;

	if (gate->admitting)
		return;
	gate->admitting = true;
	while (gate->inside < gate->width && (place = TAILQ_FIRST(&gate->waiting)) != NULL) {
		TAILQ_REMOVE(&gate->waiting, place, entry);
		place->state = DIAL_GATE_INSIDE;
		gate->inside++;
		place->on_turn(place);
	}
	gate->admitting = false;
}

void dial_gate_leave(struct dial_gate *gate, struct dial_gate_place *place)
{
	switch (place->state) {
	case DIAL_GATE_OUTSIDE:
		return;
	case DIAL_GATE_WAITING:
		TAILQ_REMOVE(&gate->waiting, place, entry);
		break;
	case DIAL_GATE_INSIDE:
		gate->inside--;
		break;
	}
	place->state = DIAL_GATE_OUTSIDE;
	admit(gate);
}
