/* ready_demand: see ready_demand.h. */
#include "relay/ready_demand.h"

static unsigned second_largest(const struct ready_demand *demand, int64_t since_ms)
{
	unsigned first = 0, second = 0, i;

	for (i = 0; i < READY_GROUPS; i++) {
		const struct ready_group *group = &demand->groups[i];

		if (group->size == 0 || group->began_ms < since_ms)
			continue;
		if (group->size > first) {
			second = first;
			first = group->size;
		} else if (group->size > second) {
			second = group->size;
		}
	}
	return second < READY_AUTO_MAX ? second : READY_AUTO_MAX;
}

void ready_demand_note(struct ready_demand *demand, int64_t now_ms, int64_t window_ms)
{
	struct ready_group *group = &demand->groups[(demand->next + READY_GROUPS - 1) % READY_GROUPS];

	if (group->size == 0 || now_ms - group->began_ms >= READY_GROUP_MS) {
		group = &demand->groups[demand->next];
		*group = (struct ready_group){.began_ms = now_ms};
		demand->next = (demand->next + 1) % READY_GROUPS;
	}
	group->size++;
	demand->wanted = second_largest(demand, now_ms - window_ms);
	demand->last_ms = now_ms;
}

unsigned ready_demand_wanted(const struct ready_demand *demand, int64_t now_ms, int64_t window_ms)
{
	return now_ms - demand->last_ms < window_ms ? demand->wanted : 0;
}
