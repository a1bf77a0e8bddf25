// What the runner has to do for one request. Pure.
import { PROGRAM_ENVIRONMENT, type Script, scriptLabel } from '../config/check-script.ts';
import type { HookTask } from '../config/hook-task.ts';
import { OWN_VARIABLES } from '../config/variables.ts';
import { mailText } from './mail-text.ts';
import type { RunRequest } from './runner-message.ts';
import { type WebRequest, webRequest } from './web-request.ts';

interface Program {
  readonly type: 'program';
  /** Hooks have places of their own: no check waits for them. */
  readonly kind: 'check' | 'hook';
  /** For people. */
  readonly name: string;
  readonly script: Script;
  /** For its standard input; absent: it has none. */
  readonly input?: string;
}

/** For people. */
export function workLabel(run: RunRequest['run']): string {
  return run.type === 'hook' ? `hook ${run.hook}` : scriptLabel(run);
}

interface Post {
  readonly type: 'post';
  readonly kind: 'hook';
  readonly name: string;
  readonly post: WebRequest;
}

export type Work = Program | Post;

type Told = Pick<RunRequest, 'message' | 'secret'>;

/** What is to be done, or why it cannot be. */
export function hookWork(name: string, task: HookTask, { message = '', secret = {} }: Told): Work | string {
  if (task.type === 'webhook') {
    const post = webRequest(task, secret, message);
    if (typeof post === 'string') return post;
    return { type: 'post', kind: 'hook', name: workLabel({ type: 'hook', hook: name }), post };
  }
  if (task.type === 'mail') {
    const script: Script = {
      command: [task.sendmail, '-i', '-t'],
      environment: PROGRAM_ENVIRONMENT,
      timeoutMs: task.timeoutMs,
    };
    const about = workLabel({ type: 'hook', hook: name });
    return { type: 'program', kind: 'hook', name: about, script, input: mailText(task, readObject(message)) };
  }
  const environment = { ...task.environment, ...toldByEnvironment(message) };
  const script = { command: task.command, environment, timeoutMs: task.timeoutMs };
  return {
    type: 'program',
    kind: 'hook',
    name: workLabel({ type: 'hook', hook: name }),
    script,
    input: `${message}\n`,
  };
}

/** Longest value of a variable. */
const VARIABLE_LENGTH_MAX = 1_000;

/** The same for scripts that read no JSON. */
const VARIABLES = { EVENT: 'code', SEVERITY: 'severity', NODE: 'node', TEXT: 'text', DEDUP: 'dedup' } as const;

function toldByEnvironment(message: string): Record<string, string> {
  const told = readObject(message);
  return Object.fromEntries(
    Object.entries(VARIABLES).map(([variable, field]) => [
      `${OWN_VARIABLES}${variable}`,
      String(told[field] ?? '')
        .replace(/\p{C}/gu, '?')
        .slice(0, VARIABLE_LENGTH_MAX),
    ]),
  );
}

function readObject(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
