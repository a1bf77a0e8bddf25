// Rules about hooks: that each does one thing, and that the events that it names exist. Pure.
import { EVENTS } from '../../log/catalogue.ts';
import type { EventEntry } from '../../log/event.ts';
import { fitsText, isForHooks, readEventPattern } from '../event-pattern.ts';
import type { HookConfig } from '../hook-schema.ts';
import { choice, error, type Finding, nearest, type Path, type Rule, warning } from './finding.ts';

const CODES = Object.keys(EVENTS).filter(isForHooks);
const SHOWN_MAX = 6;

function rule(says: string, check: (hook: HookConfig, at: Path) => Finding[]): Rule {
  return { says, check: ({ hooks }) => Object.entries(hooks).flatMap(([name, hook]) => check(hook, ['hooks', name])) };
}

export const HOOK_RULES: readonly Rule[] = [
  rule('A hook does one thing.', oneThing),
  rule('A `webhook` has either `url` or `url_file`.', oneUrl),
  rule('Warning: `webhook.header_file` with an address that is not encrypted.', headerInTheClear),
  rule('`environment` is of a hook with `command`.', environmentUsed),
  rule('A hook wants something: it has `events` or a `severity`.', wantsSomething),
  rule(
    'Each of `events` and `except` names events that there are, and fields that they have. Hooks are never told of events HOOK_… and RUNNER_….',
    knownEvents,
  ),
];

const DEEDS = ['command', 'webhook', 'mail'] as const;

function oneThing(hook: HookConfig, at: Path): Finding[] {
  const named = DEEDS.filter(deed => hook[deed] !== undefined);
  const basis = DEEDS.map(deed => [...at, deed]);
  if (named.length === 0) return [error(at, 'this hook does nothing', `write ${choice(DEEDS)}`, basis)];
  if (named.length === 1) return [];
  const second = named[1] as string;
  return [error([...at, second], `this hook has ${named.join(' and ')}`, 'write a hook for each', basis)];
}

function oneUrl({ webhook }: HookConfig, at: Path): Finding[] {
  if (webhook === undefined || (webhook.url === undefined) !== (webhook.url_file === undefined)) return [];
  const where = [...at, 'webhook'];
  const basis = ['url', 'url_file'].map(field => [...where, field]);
  if (webhook.url === undefined) return [error(where, 'this webhook has no address', 'write url, or url_file', basis)];
  return [error([...where, 'url_file'], 'this webhook has two addresses', 'delete url or url_file', basis)];
}

function headerInTheClear({ webhook }: HookConfig, at: Path): Finding[] {
  if (webhook?.header_file === undefined || !/^http:/i.test(webhook.url ?? '')) return [];
  if (/^http:\/\/(?:localhost|127\.[\d.]+|\[::1\])(?:[:/]|$)/i.test(webhook.url ?? '')) return [];
  const where = [...at, 'webhook'];
  const problem = 'what header_file says goes over the network unencrypted';
  return [warning([...where, 'header_file'], problem, 'write an https address', [[...where, 'url']])];
}

function environmentUsed({ command, environment }: HookConfig, at: Path): Finding[] {
  if (command !== undefined || Object.keys(environment).length === 0) return [];
  const where = [...at, 'environment'];
  return [error(where, 'only a command has an environment', 'delete it', [[...at, 'command']])];
}

function wantsSomething({ events, severity }: HookConfig, at: Path): Finding[] {
  if (events.length > 0 || severity !== undefined) return [];
  const remedy = 'write events: [SERVER_DOWN, …], or severity: err for all of this severity and worse ones';
  return [
    error(at, 'this hook is told of nothing', remedy, [
      [...at, 'events'],
      [...at, 'severity'],
    ]),
  ];
}

function knownEvents(hook: HookConfig, at: Path): Finding[] {
  return (['events', 'except'] as const).flatMap(list =>
    hook[list].flatMap((text, index) => patternFindings(text, [...at, list, index])),
  );
}

function patternFindings(text: string, path: Path): Finding[] {
  const { code, fields } = readEventPattern(text);
  if (!isForHooks(code)) {
    const why = 'hooks are told neither of events of hooks, which would go on for ever, nor of the runner’s';
    return [error(path, `${code} never comes to a hook: ${why}`, 'delete it')];
  }
  const codes = CODES.filter(known => fitsText(code, known));
  if (codes.length === 0) {
    const near = nearest(code, CODES);
    const remedy = near === undefined ? 'see docs/reference/EVENTS.md' : `did you mean "${near}"?`;
    return [error(path, `there is no event "${code}"`, remedy)];
  }
  const known = [
    ...new Set(codes.flatMap(one => Object.keys((EVENTS as Record<string, EventEntry>)[one]?.fields ?? {}))),
  ];
  return fields.flatMap(([name]) => {
    if (known.includes(name)) return [];
    const near = nearest(name, known);
    const has = known.length <= SHOWN_MAX ? `write one of ${choice(known)}` : 'see docs/reference/EVENTS.md';
    return [error(path, `${code} has no field "${name}"`, near === undefined ? has : `did you mean "${near}"?`)];
  });
}
