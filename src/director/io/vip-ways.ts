// Puts the ways to the VIP on each real server (../vip-ways.ts) into the kernel, and takes them
// away. Not pure. One at a time; whatever a killed director left is found by priority and name.
import { isDeepStrictEqual } from 'node:util';
import { type Run, run } from '../../command/io/run-command.ts';
import type { Family } from '../../units/address.ts';
import {
  additionLines,
  isInKernel,
  parseDevices,
  parseRules,
  removalLines,
  routeLines,
  type VipWay,
  type WaysInKernel,
} from '../vip-ways.ts';

export interface VipWays {
  /** Makes the kernel have these and no others. Never rejects: why not, as a clause. */
  ensure(ways: readonly VipWay[]): Promise<string | undefined>;
}

const FAMILIES: readonly Family[] = [4, 6];

export function createVipWays(runCommand: Run = run): VipWays {
  let before: readonly VipWay[] | undefined;
  let last: Promise<unknown> = Promise.resolve();
  const work = async (ways: readonly VipWay[]): Promise<string | undefined> => {
    try {
      // What is none is looked for once only.
      if (ways.length === 0 && before?.length === 0) return undefined;
      const inKernel = await read(runCommand);
      if (!isDeepStrictEqual(ways, before) || !isInKernel(ways, inKernel)) {
        for (const family of FAMILIES) await batch(runCommand, family, removalLines(inKernel, family), true);
        for (const family of FAMILIES) await batch(runCommand, family, additionLines(ways, family));
      }
      for (const family of FAMILIES) await batch(runCommand, family, routeLines(ways, family));
      before = ways;
      return undefined;
    } catch (error) {
      before = undefined;
      return error instanceof Error ? error.message : String(error);
    }
  };
  return {
    ensure: ways => {
      const done = last.then(() => work(ways));
      last = done;
      return done;
    },
  };
}

async function read(runCommand: Run): Promise<WaysInKernel> {
  const [four, six, links] = await Promise.all([
    listed(runCommand, ['-4', '-j', 'rule', 'show']),
    listed(runCommand, ['-6', '-j', 'rule', 'show']),
    listed(runCommand, ['-j', 'link', 'show']),
  ]);
  return { tables: { 4: parseRules(four), 6: parseRules(six) }, devices: parseDevices(links) };
}

async function listed(runCommand: Run, args: readonly string[]): Promise<string> {
  const { status, stdout, stderr } = await runCommand('ip', args);
  if (status !== 0) throw new Error(`ip ${args.join(' ')} failed: ${stderr.trim().slice(0, 300)}`);
  // Without rules of a family ip prints nothing.
  return stdout.trim() === '' ? '[]' : stdout;
}

async function batch(runCommand: Run, family: Family, lines: readonly string[], force = false): Promise<void> {
  if (lines.length === 0) return;
  const args = [`-${family}`, ...(force ? ['-force'] : []), '-batch', '-'];
  const { status, stderr } = await runCommand('ip', args, { input: `${lines.join('\n')}\n` });
  if (status !== 0 && !force)
    throw new Error(`ip refused \`${lines[0]}\` or what follows: ${stderr.trim().slice(0, 300)}`);
}
