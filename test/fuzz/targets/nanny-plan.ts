// Plans of checks for the fuzzer: two bytes choose the fields.
import type { CheckPlan, TlsPlan } from '../../../src/nanny/check-plan.ts';
import { planFor } from '../../nanny/plan-for.ts';

const UNTIL = ['transfer', 'transfer', 'transfer', 'login', 'greeting', 'connect'] as const;
const MODES = [undefined, 'explicit', 'implicit'] as const;

export function planOf(flags: number, more: number): CheckPlan {
  const mode = MODES[flags % 3];
  const tls: TlsPlan | undefined = mode && {
    mode,
    name: undefined,
    ca: undefined,
    verify: flags & 64 ? 'none' : 'chain',
  };
  return planFor({
    tls,
    until: UNTIL[(flags >> 2) % UNTIL.length] ?? 'transfer',
    patient: (flags & 128) !== 0,
    data: (['pasv', 'active', 'epsv'] as const)[more % 3] ?? 'pasv',
    fetch: more & 4 ? 'health' : undefined,
    upload: more & 8 ? '.probe.a.ftp' : undefined,
    directory: more & 16 ? 'pub' : undefined,
    banner: more & 32 ? 'hi' : undefined,
    content: {
      size: more & 64 ? 40 : undefined,
      sha256: more & 128 ? 'a'.repeat(64) : undefined,
      text: more & 4 ? 'is well' : undefined,
    },
    maxBytes: 1_000,
  });
}
