// Makes and keeps the private veth (private-link.ts), adopting it when it is there. Not pure.
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Run } from '../../../command/io/run-command.ts';
import { LINK_SETTINGS, type LinkPlan, type LinkSetting, parseInterfaceLines, planLink } from '../private-link.ts';

const SETTINGS_DIR = '/proc/sys/net';

export interface PrivateLinkState {
  readonly masterAddress: string;
  readonly listenerAddress: string;
  /** What was done just now, each a clause. */
  readonly changes: readonly string[];
}

/** What ensureLink would do. Rejects with a sentence that says what to do. */
export async function planInterface(runCommand: Run): Promise<LinkPlan> {
  const { status, stdout, stderr } = await runCommand('ip', ['-j', '-d', 'address', 'show']);
  if (status !== 0) throw new Error(`the interfaces cannot be listed: ${stderr.trim().slice(0, 300)}`);
  const plan = planLink(parseInterfaceLines(stdout));
  if (typeof plan === 'string') throw new Error(plan);
  return plan;
}

/**
 * Puts the link into its wanted state; idempotent. `stopMaster` is called before anything is done
 * that would leave a running master daemon bound to what is no more: whatever becomes of us
 * meanwhile, the next look finds it missing and starts it. Rejects with a sentence that says what
 * to do.
 */
export async function ensureLink(runCommand: Run, stopMaster: () => Promise<void>): Promise<PrivateLinkState> {
  const plan = await planInterface(runCommand);
  if (plan.renewsMaster) await stopMaster();
  await batch(runCommand, plan.create);
  // Before it is up: IPv6 would give itself an address and speak.
  const written: string[] = [];
  for (const setting of LINK_SETTINGS) if (await writeSetting(setting)) written.push(setting.path);
  await batch(runCommand, plan.finish);
  const { masterAddress, listenerAddress } = plan;
  const repaired = plan.create.length === 0 && written.length > 0;
  return {
    masterAddress,
    listenerAddress,
    changes: [...plan.changes, ...(repaired ? [`set ${written.join(', ')}`] : [])],
  };
}

async function batch(runCommand: Run, lines: readonly string[]): Promise<void> {
  if (lines.length === 0) return;
  const { status, stderr } = await runCommand('ip', ['-batch', '-'], { input: `${lines.join('\n')}\n` });
  if (status === 0) return;
  throw new Error(
    `the private interface for sync cannot be made (${lines[0]} …): ${stderr.trim().slice(0, 300)}; is the kernel's veth module there (\`modprobe veth\`)?`,
  );
}

/** True when it had another value. */
async function writeSetting({ path: name, value, optional }: LinkSetting): Promise<boolean> {
  const file = path.join(SETTINGS_DIR, name);
  const now = await readFile(file, 'utf8').catch(() => undefined);
  if (now === undefined && optional) return false;
  if (now?.trim() === value) return false;
  try {
    await writeFile(file, `${value}\n`);
  } catch (cause) {
    throw new Error(`cannot set ${file} to ${value}; does the unit allow it (ReadWritePaths=/proc/sys/net)?`, {
      cause,
    });
  }
  return true;
}
