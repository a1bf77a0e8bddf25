// The standby's look at the addresses, whose word makes the pair FAILED: a black hole is told, a
// firewall that limits echoes is none.
import test from 'ava';
import type { Machine, Settings } from '../../src/pulse/election/machine.ts';
import { findingsOf, hear, nextRound, type VipCheck } from '../../src/pulse/vip-check.ts';
import { type At, after, ms } from '../../src/units/duration.ts';
import { PROBE_WINDOW_MS_MAX } from '../../src/vip/protocol.ts';
import { Driver, PEER_MAC } from './election/driver.ts';

const STEP_MS = 10;

/** Who answers: `passes` is asked for each echo, in the order of their sending. */
class Owner {
  #machine: Machine;
  #check: VipCheck | undefined;
  #at: At;
  /** How often a silence began to be told. */
  told = 0;
  silent: readonly number[] = [];
  answering: readonly number[] = [];
  /** How often nobody answered any more. */
  quiet = 0;

  constructor(addresses: number) {
    const addressLans: Settings['addressLans'] = Array.from({ length: addresses }, () => 0);
    const driver = Driver.standby({ addressLans });
    this.#machine = driver.machine;
    this.#at = driver.now as At;
  }

  run(forMs: number, passes: (index: number, at: At) => boolean): this {
    for (let left = forMs; left > 0; left -= STEP_MS) {
      this.#at = after(this.#at, ms(STEP_MS));
      const next = nextRound(this.#check, this.#machine, this.#at);
      if (!next) continue;
      this.#check = next.check;
      for (const { id, index } of next.probes)
        if (passes(index, this.#at))
          this.#check = hear(this.#check, { type: 'reply', id, index, via: 'echo', mac: PEER_MAC });
      const { answering, silent } = findingsOf(this.#check, this.#machine, this.#at) ?? { answering: [], silent: [] };
      if (silent.length > 0 && this.silent.length === 0) this.told += 1;
      if (answering.length === 0 && this.answering.length > 0) this.quiet += 1;
      Object.assign(this, { silent, answering });
    }
    return this;
  }

  /** The standby's own LAN dies, or lives again. */
  lan(dead: boolean): this {
    const lanHealth = this.#machine.lanHealth.map(health => ({ ...health, dead }));
    this.#machine = { ...this.#machine, lanHealth };
    return this;
  }
}

/** As `limit rate` of nftables: a bucket of tokens. */
function limiter(perSecond: number, burst: number): (index: number, at: At) => boolean {
  let tokens = burst;
  let last: number | undefined;
  return (_, at) => {
    tokens = Math.min(burst, tokens + ((at - (last ?? at)) * perSecond) / 1_000);
    last = at;
    if (tokens < 1) return false;
    tokens -= 1;
    return true;
  };
}

const ANSWERED = 5_000;

for (const addresses of [2, 4, 16, 64])
  test(`${addresses} addresses, echoes limited to one a second: nobody is called silent`, t => {
    const owner = new Owner(addresses).run(300_000, limiter(1, 5));
    t.is(owner.told, 0);
    t.is(owner.quiet, 0);
  });

test('a stricter limit is told once at most', t => {
  const owner = new Owner(4).run(3_600_000, limiter(1 / 6, 5));
  t.true(owner.told <= 1, `${owner.told} times`);
});

for (const addresses of [1, 2, 64])
  test(`${addresses} addresses, none lets anything in: silence is told within four rounds, and its end in one`, t => {
    const owner = new Owner(addresses).run(ANSWERED, () => true);
    t.deepEqual(owner.silent, []);
    owner.run(4 * 900 + STEP_MS, () => false);
    t.true(owner.silent.length > 0);
    owner.run(3 * 900, () => true);
    t.deepEqual(owner.silent, []);
  });

for (const addresses of [1, 2, 16, 64])
  test(`${addresses} addresses of an owner that has died: within four rounds none counts as answering`, t => {
    const owner = new Owner(addresses).run(ANSWERED, () => true);
    t.is(owner.answering.length, addresses);
    owner.run(4 * 900 + STEP_MS, () => false);
    t.deepEqual(owner.answering, []);
    owner.run(900 + STEP_MS, () => true);
    t.true(owner.answering.length > 0);
  });

test('one of several that lets nothing in does not make the others count as silent', t => {
  const owner = new Owner(4).run(ANSWERED, () => true).run(60_000, index => index !== 2);
  t.deepEqual(owner.answering, [0, 1, 3]);
  t.is(owner.quiet, 0);
});

test('where the LAN is dead here no answer is missed; once it lives again silence counts anew', t => {
  const owner = new Owner(2)
    .run(ANSWERED, () => true)
    .lan(true)
    .run(20_000, () => false);
  t.deepEqual(owner.silent, []);
  owner.lan(false).run(2 * 900, () => false);
  t.deepEqual(owner.silent, []);
  owner.run(3 * 900, () => false);
  t.true(owner.silent.length > 0);
});

test('one address of several that lets nothing in is told, also behind a limit', t => {
  const hole = (index: number) => index !== 2;
  t.deepEqual(new Owner(4).run(ANSWERED, () => true).run(5_000, hole).silent, [2]);
  const limit = limiter(1, 5);
  const owner = new Owner(4).run(ANSWERED, limit).run(20_000, (index, at) => limit(index, at) && hole(index));
  t.deepEqual(owner.silent, [2]);
});

for (const [intervalMs, windowMs] of [
  [100, 100],
  [5_000, PROBE_WINDOW_MS_MAX],
] as const)
  test(`a heartbeat every ${intervalMs} ms: vipd is asked to wait ${windowMs} ms, which it accepts`, t => {
    const { machine, now } = Driver.standby({
      intervalMs: ms(intervalMs),
      leaseMs: ms(3 * intervalMs),
      deadMs: ms(4 * intervalMs),
    });
    const probes = nextRound(undefined, machine, now as At)?.probes ?? [];
    t.deepEqual(new Set(probes.map(probe => probe.windowMs)), new Set([windowMs]));
  });
