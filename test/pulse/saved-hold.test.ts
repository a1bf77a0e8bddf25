// What is left of a hold when pulse starts again: by the monotonic clock of the same boot, whatever the wall clock says.
import test from 'ava';
import { parseState, renderState } from '../../src/pulse/io/state-file.ts';
import { recalledHold, savedHold } from '../../src/pulse/saved-hold.ts';
import { type At, after, between, ms } from '../../src/units/duration.ts';

const HALF_HOUR = ms(1_800_000);
const WALL = Date.UTC(2026, 11, 1);
const SAVED_AT = 5_000_000 as At;

/** As a pulse of this version wrote it, half an hour before its end. */
function written() {
  const hold = savedHold({ on: true, until: after(SAVED_AT, HALF_HOUR) }, { boot: 'b1', now: SAVED_AT }, WALL);
  return parseState(Buffer.from(renderState({ ceiling: 0, hold, decisions: [] }))).hold;
}

function leftAt(now: At, { until }: { readonly until: At | undefined }): number | undefined {
  return until === undefined ? undefined : between(now, until);
}

const clocks = {
  right: WALL,
  'of 2020, without a battery': Date.UTC(2020, 0, 1),
  'a day ahead': WALL + 86_400_000,
};

for (const [clock, nowMs] of Object.entries(clocks)) {
  test(`a hold goes on after a restart and after a reboot, with a clock that is ${clock}`, t => {
    const wall = { nowMs, writtenMs: nowMs };
    const later = after(SAVED_AT, ms(600_000));
    t.is(leftAt(later, recalledHold(written(), { boot: 'b1', now: later }, wall)), 1_200_000);
    const soon = 9_000 as At;
    t.is(leftAt(soon, recalledHold(written(), { boot: 'b2', now: soon }, wall)), 1_800_000);
    t.deepEqual(recalledHold(written(), { boot: 'b1', now: after(SAVED_AT, HALF_HOUR) }, wall), {
      on: false,
      until: undefined,
    });
  });
}

test('a hold without an end, and no hold, are as they were', t => {
  const moment = { boot: 'b1', now: SAVED_AT };
  for (const on of [true, false]) {
    const saved = savedHold({ on, until: undefined }, moment, WALL);
    t.deepEqual(recalledHold(saved, moment, { nowMs: WALL, writtenMs: WALL }), { on, until: undefined });
  }
});

test('a hold of 0.3, which has only the end by the wall clock, never gets longer', t => {
  const saved = { on: true, until: WALL + HALF_HOUR };
  const left = (nowMs: number) =>
    leftAt(SAVED_AT, recalledHold(saved, { boot: 'b1', now: SAVED_AT }, { nowMs, writtenMs: WALL }));
  t.is(left(WALL + 600_000), 1_200_000);
  t.is(left(Date.UTC(2020, 0, 1)), 1_800_000);
  t.is(left(WALL + 86_400_000), undefined);
});
