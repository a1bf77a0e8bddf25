// The plan of an ordinary check, as the config's defaults make it, for tests to change.
import type { CheckPlan } from '../../src/nanny/check-plan.ts';
import type { Address } from '../../src/units/address.ts';
import { ms } from '../../src/units/duration.ts';

export function planFor(changes: Partial<CheckPlan> = {}): CheckPlan {
  return {
    address: '198.51.100.11' as Address,
    origin: undefined,
    controlPort: 21,
    announce: '192.0.2.100' as Address,
    passivePorts: { first: 10_000, last: 20_000 },
    until: 'transfer',
    tls: undefined,
    user: 'anonymous',
    password: 'tandem@',
    data: 'pasv',
    activePort: 20,
    banner: undefined,
    directory: undefined,
    fetch: undefined,
    content: { size: undefined, sha256: undefined, text: undefined },
    upload: undefined,
    maxBytes: 65_536,
    timeoutMs: ms(8_000),
    stageTimeoutMs: ms(3_000),
    slowFail: {},
    patient: false,
    greetingOnly: false,
    ...changes,
  };
}

/** The same for a server of the test, on loopback: any port of users is in its range. */
export function planHere(port: number, changes: Partial<CheckPlan> = {}): CheckPlan {
  const here = '127.0.0.1' as Address;
  const about = { address: here, announce: here, controlPort: port, passivePorts: { first: 1_024, last: 65_535 } };
  return planFor({ ...about, ...changes });
}
