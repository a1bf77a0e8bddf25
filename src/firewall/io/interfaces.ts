// The interfaces of this network namespace. Not pure: ip and /proc. Not /sys: that shows the
// namespace it was mounted in.
import { readFile } from 'node:fs/promises';
import { type Run, run } from '../../command/io/run-command.ts';
import { type KernelInterface, parseInterfaces } from '../interfaces.ts';

/** Names, alternative names and addresses. Rejects when ip cannot tell. */
export async function readInterfaces(runCommand: Run = run, timeoutMs = 5_000): Promise<KernelInterface[]> {
  const { status, stdout, stderr } = await runCommand('ip', ['-j', 'address', 'show'], { timeoutMs });
  if (status !== 0) throw new Error(`ip: ${stderr.trim().slice(0, 300)}`);
  return parseInterfaces(stdout);
}

/** Their names alone: cheap, for often. */
export async function interfaceNames(): Promise<string[]> {
  const text = await readFile('/proc/self/net/dev', 'latin1').catch(() => '');
  return [...text.matchAll(/^\s*(\S+):/gm)].map(match => match[1] as string);
}
