// What leaves this router in a support bundle has no secret in it. Two nets: of the config only
// what the schema knows and may not be secret is kept; and every text of the bundle is searched for
// what was taken out, for what is in the secret files, and for what looks like a password. Pure.
import { parseDocument, stringify } from 'yaml';
import { configJsonSchema, fieldsAt, type JsonSchema } from '../config/json-schema.ts';
import { isMap } from '../config/mistakes.ts';
import { hiddenValues, secretFilesInText, secretFilesOf } from './secret-files.ts';

const REMOVED = '(removed)';

export interface RedactedConfig {
  readonly text: string;
  /** What was taken out. */
  readonly secrets: readonly string[];
  /** The secret files that it names. */
  readonly files: readonly string[];
}

/** Fields of the schema whose values may be secret, or hold one: an address may be a password. */
const MAY_BE_SECRET = new Set([
  'send',
  'send_hex',
  'expect',
  'expect_hex',
  'banner',
  'script',
  'sha256',
  'command',
  'url',
  'environment',
]);

/**
 * The config of `text` without comments, unknown fields and what may be secret. `wrong`: paths of
 * mistakes, as `tandem check` writes them; their values go, too.
 */
export function redactConfig(text: string, wrong: readonly string[] = []): RedactedConfig {
  const secrets: string[] = [];
  let value: unknown;
  let hidden: ReturnType<typeof hiddenValues>;
  let files: string[];
  try {
    const document = parseDocument(text, { logLevel: 'error', uniqueKeys: false });
    if (document.errors.length > 0) return unreadable(text);
    value = document.toJS({ maxAliasCount: 100 });
    hidden = hiddenValues(document);
    files = secretFilesOf(document);
  } catch {
    return unreadable(text);
  }
  const schema = configJsonSchema();
  const about = { schema, root: value, wrong: new Set(wrong), secrets };
  const kept = keep(value, [], about);
  // None of them is kept; the secrets in them may be in other files.
  for (const one of hidden) keep(one.value, one.path, about);
  return { text: stringify(kept), secrets: secrets.filter(worthHiding), files };
}

/** Nothing is known of it: none of it is kept, and each of its words may be a secret. */
function unreadable(text: string): RedactedConfig {
  const known = new Set(JSON.stringify(configJsonSchema()).split(/[^\w-]+/));
  const words = text.split(/[\s"',:[\]{}]+/).filter(word => !known.has(word));
  const secrets = [...new Set([...words, ...text.split(/\s+/).filter(word => !known.has(word.replace(/:$/, '')))])];
  return {
    text: '# the file is no YAML; nothing of it is kept\n',
    secrets: secrets.filter(worthHiding),
    files: secretFilesInText(text),
  };
}

interface Keeping {
  readonly schema: JsonSchema;
  readonly root: unknown;
  readonly wrong: ReadonlySet<string>;
  readonly secrets: string[];
}

function keep(value: unknown, path: readonly (string | number)[], about: Keeping): unknown {
  const name = path.findLast(step => typeof step === 'string');
  const known = path.length === 0 || fieldsAt(about.schema, [...path], about.root).length > 0;
  if (!known || MAY_BE_SECRET.has(String(name)) || about.wrong.has(path.join('.'))) {
    about.secrets.push(...leaves(value));
    return REMOVED;
  }
  if (Array.isArray(value)) return value.map((item, index) => keep(item, [...path, index], about));
  if (isMap(value)) {
    let unknown = 0;
    const entries = Object.entries(value).map(([key, item]) => {
      const isKnown = fieldsAt(about.schema, [...path, key], about.root).length > 0;
      if (!isKnown) about.secrets.push(key);
      return [isKnown ? key : `removed-${++unknown}`, keep(item, [...path, key], about)];
    });
    return Object.fromEntries(entries);
  }
  if (typeof value !== 'string') return value;
  // A page's query is never logged, either.
  const at = value.indexOf('?');
  if (at >= 0) about.secrets.push(value.slice(at + 1), ...value.slice(at + 1).split(/[&=]/));
  return withoutCredentials(at >= 0 ? `${value.slice(0, at + 1)}${REMOVED}` : value, about.secrets);
}

/** All texts in it, names of fields included. */
function leaves(value: unknown): string[] {
  if (Array.isArray(value)) return value.flatMap(leaves);
  if (isMap(value)) return Object.entries(value).flatMap(([key, item]) => [key, ...leaves(item)]);
  if (value === null || value === undefined || typeof value === 'boolean') return [];
  const text = String(value);
  return [text, ...text.split(/[\s?&=]+/), ...innerSecrets(text)];
}

const CREDENTIALS = /\b([a-z][a-z0-9+.-]*:\/\/)([^\s/@"']+)@/gi;

function withoutCredentials(text: string, secrets: string[]): string {
  return text.replace(CREDENTIALS, (_, scheme: string, credentials: string) => {
    secrets.push(credentials, ...credentials.split(':'));
    return `${scheme}${REMOVED}@`;
  });
}

/** Shorter ones are in every text by chance. */
const SECRET_LENGTH_MIN = 4;
/** Words of the config's own language say nothing, and their loss would make a bundle useless. */
const HARMLESS = /^(?:true|false|null|none|password|passwd|secret|token|auth|user|send|script|\d{1,5})$/i;

function worthHiding(text: string): boolean {
  return text.length >= SECRET_LENGTH_MIN && !HARMLESS.test(text);
}

/** The secrets in a file: as a whole and line by line, of a header and an address also the rest. */
export function secretsIn(text: string): string[] {
  const whole = [text, ...text.split(/\r?\n/)].map(line => line.trim());
  return [...new Set(whole.flatMap(line => [line, ...innerSecrets(line)]))].filter(worthHiding);
}

function innerSecrets(line: string): string[] {
  const value = /^[\w-]+:\s+(.+)$/.exec(line)?.[1];
  const path = /^https?:\/\/[^/]+\/(.+)$/i.exec(line)?.[1];
  return [value, value?.split(/\s+/).at(-1), path].filter(one => one !== undefined);
}

/** Values of an environment that by their names are secret, or hold credentials. */
export function environmentSecrets(environment: Readonly<Record<string, string | undefined>>): string[] {
  const secrets: string[] = [];
  for (const [name, value = ''] of Object.entries(environment)) {
    if (/pass|pwd|secret|token|key|auth|cred/i.test(name)) secrets.push(...secretsIn(value));
    withoutCredentials(value, secrets);
  }
  return secrets.filter(worthHiding);
}

/** What looks like a secret whatever it is. */
const LOOKS: readonly (readonly [RegExp, string])[] = [
  [CREDENTIALS, `$1${REMOVED}@`],
  [
    /\b((?:pass(?:word|wd|phrase)?|secret|token|authorization|requirepass|api[_-]?key)["']?\s*[=:]\s*["']?)[^\s"',{}[\]]+(?: [^\s"',{}[\]]+)?/gi,
    `$1${REMOVED}`,
  ],
  [/\b((?:PASS|AUTH|IDENTIFIED BY)\s+)[^\s"',}]+/g, `$1${REMOVED}`],
];

/** Takes secrets out of texts: as they are, in JSON, by base64, by hex, in URLs. */
export function scrubber(secrets: readonly string[]): (text: string) => string {
  const forms = [...new Set(secrets.filter(worthHiding).flatMap(formsOf))]
    .filter(form => form.length >= SECRET_LENGTH_MIN)
    .sort((a, b) => b.length - a.length);
  return text => {
    let clean = text;
    for (const form of forms) if (clean.includes(form)) clean = clean.replaceAll(form, REMOVED);
    for (const [look, instead] of LOOKS) clean = clean.replace(look, instead);
    return clean;
  };
}

function formsOf(secret: string): string[] {
  const bytes = Buffer.from(secret, 'utf8');
  const hex = bytes.toString('hex');
  const encoded = encodeURIComponent(secret);
  const inBase64 = [0, 1, 2].map(before => base64Core(bytes, before));
  return [
    secret,
    JSON.stringify(secret).slice(1, -1),
    ...[encoded, encoded.replaceAll('%20', '+'), encoded.replace(/%../g, code => code.toLowerCase())],
    ...[bytes.toString('base64'), bytes.toString('base64url')],
    ...inBase64.flatMap(core => [core, core.replaceAll('+', '-').replaceAll('/', '_')]),
    ...[hex, hex.toUpperCase()],
  ];
}

/** The digits that are the secret's alone where `before` bytes (modulo 3) stand before it. */
function base64Core(bytes: Buffer, before: number): string {
  const text = Buffer.concat([Buffer.alloc(before), bytes]).toString('base64');
  return text.slice(Math.ceil((before * 8) / 6), Math.floor(((before + bytes.length) * 8) / 6));
}
