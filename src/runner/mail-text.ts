// The text of a mail, as sendmail -t reads it: RFC 5322 headers, an empty line, a body. Pure. What
// an event says comes from strangers, too, so no header has any of it unchecked.
import type { HookTask } from '../config/hook-task.ts';

const SUBJECT_LENGTH_MAX = 150;
/** RFC 5322, section 2.1.1. */
const LINE_LENGTH_MAX = 998;
const BASE64_LINE = 76;

type Addressed = Pick<Extract<HookTask, { readonly type: 'mail' }>, 'to' | 'from'>;

/** `told`: a hook's message (src/hooks/hook-message.ts). */
export function mailText({ to, from }: Addressed, told: Readonly<Record<string, unknown>>): string {
  const text = (name: string) => (told[name] === undefined || told[name] === null ? '' : String(told[name]));
  const subject = `[${text('pair')}] ${text('severity')}: ${text('text') === '' ? text('code') : text('text')}`;
  const { body, encoding } = encoded(bodyOf(told, text));
  const headers = [
    ...(from === undefined ? [] : [`From: Tandem <${from}>`]),
    `To: ${to.join(', ')}`,
    `Subject: ${headerText(subject)}`,
    ...dateOf(text('time')),
    // RFC 3834: no answer by machines.
    'Auto-Submitted: auto-generated',
    `X-Tandem-Event: ${headerText(text('code'))}`,
    `X-Tandem-Dedup: ${headerText(text('dedup'))}`,
    'MIME-Version: 1.0',
    'Content-Type: text/plain; charset=utf-8',
    `Content-Transfer-Encoding: ${encoding}`,
  ];
  return `${[...headers, '', body].join('\n')}\n`;
}

function bodyOf(told: Readonly<Record<string, unknown>>, text: (name: string) => string): string {
  const fields = Object.entries((told.fields ?? {}) as Record<string, unknown>);
  const lines = [
    `${text('code')} (${text('severity')})`,
    text('message'),
    ...(text('remedy') === '' ? [] : ['', `What to do: ${text('remedy')}`]),
    '',
    ...[
      ['time', text('time')] as const,
      ['pair', text('pair')] as const,
      ['router', text('node')] as const,
      ...fields,
    ].map(([name, value]) => `${name}: ${String(value)}`),
    '',
    `dedup: ${text('dedup')}`,
  ];
  return lines.map(line => line.replace(/[^\P{C}\n\t]/gu, '?')).join('\n');
}

/** Printable ASCII on one line: it can neither end the header nor begin another one. */
function headerText(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?').slice(0, SUBJECT_LENGTH_MAX);
}

/** RFC 5322, section 3.3. Without one the mailer sets its own. */
function dateOf(iso: string): string[] {
  const date = new Date(iso);
  return Number.isNaN(date.getTime()) ? [] : [`Date: ${date.toUTCString().replace('GMT', '+0000')}`];
}

function encoded(text: string): { readonly body: string; readonly encoding: string } {
  const isPlain = /^[\x20-\x7e\n\t]*$/.test(text) && text.split('\n').every(line => line.length <= LINE_LENGTH_MAX);
  if (isPlain) return { body: text, encoding: '7bit' };
  const base64 = Buffer.from(text, 'utf8').toString('base64');
  return { body: base64.match(new RegExp(`.{1,${BASE64_LINE}}`, 'g'))?.join('\n') ?? '', encoding: 'base64' };
}
