// What a hook of the config does, as the runner does it, and as the director means it. Pure.
import { createHash } from 'node:crypto';
import type { Ms } from '../units/duration.ts';
import { PROGRAM_ENVIRONMENT, type Script } from './check-script.ts';
import type { Config } from './schema.ts';
import { OWN_VARIABLES } from './variables.ts';

interface CommandTask extends Script {
  readonly type: 'command';
}
interface WebhookTask {
  readonly type: 'webhook';
  /** Undefined: it is in urlFile. */
  readonly url: string | undefined;
  /** Secret files, which only root can read. */
  readonly urlFile: string | undefined;
  readonly headerFile: string | undefined;
  readonly caFile: string | undefined;
  readonly timeoutMs: Ms;
}

interface MailTask {
  readonly type: 'mail';
  readonly sendmail: string;
  readonly to: readonly string[];
  readonly from: string | undefined;
  readonly timeoutMs: Ms;
}

export type HookTask = CommandTask | WebhookTask | MailTask;

/** What the hook of that name does; undefined: the config has none, or it does nothing. */
export function hookTask({ hooks }: Pick<Config, 'hooks'>, node: string, name: string): HookTask | undefined {
  const hook = Object.hasOwn(hooks, name) ? hooks[name] : undefined;
  if (hook === undefined) return undefined;
  if (hook.webhook !== undefined) {
    const { url, url_file: urlFile, header_file: headerFile, ca_file: caFile } = hook.webhook;
    return { type: 'webhook', url, urlFile, headerFile, caFile, timeoutMs: hook.timeout };
  }
  if (hook.mail !== undefined) {
    const { to, from, sendmail } = hook.mail;
    return { type: 'mail', sendmail, to, from, timeoutMs: hook.timeout };
  }
  const [program, ...args] = hook.command ?? [];
  if (program === undefined) return undefined;
  const own = { [`${OWN_VARIABLES}ROUTER`]: node, [`${OWN_VARIABLES}HOOK`]: name };
  const environment = { ...PROGRAM_ENVIRONMENT, ...hook.environment, ...own };
  return { type: 'command', command: [program, ...args], environment, timeoutMs: hook.timeout };
}

/** Stands for all of it, to tell whether two configs mean the same by a hook's name. */
export function hookDigest(task: HookTask): string {
  const sorted = (_: string, part: unknown) =>
    typeof part === 'object' && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([one], [other]) => (one < other ? -1 : 1)))
      : part;
  return createHash('sha256').update(JSON.stringify(task, sorted)).digest('hex').slice(0, 16);
}
