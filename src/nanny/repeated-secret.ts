// Whether what a server says repeats a secret that it was sent: some quote what they got, as it was
// or decoded. Then it is told to nobody. Pure.
import { Buffer } from 'node:buffer';

/** What is shorter is found in any text. */
export const SECRET_LENGTH_MIN = 4;

/**
 * `isCut`: more of it was to come, or has come and was dropped, so that it may end within a secret.
 * Upper and lower case are the same.
 */
export function repeatsSecret(said: string, secrets: readonly string[], isCut: boolean): boolean {
  const texts = formsOf(said);
  const wanted = secrets.flatMap(formsOf).filter(({ length }) => length >= SECRET_LENGTH_MIN);
  return wanted.some(secret => texts.some(text => text.includes(secret) || (isCut && endsWithin(text, secret))));
}

/** A text that may be a secret, and each word of it: by blanks, and by all that is no letter. */
export function secretWords(text: string): string[] {
  const words = (form: string) => [form.trim(), ...form.split(/\s+/), ...form.split(/[^\p{L}\p{N}]+/u)];
  return [text, decoded(text)].flatMap(words);
}

/** The values in the query of a path; what has no name is one. */
export function queryValues(path: string): string[] {
  const query = path.slice(path.split('?', 1)[0]?.length).slice(1);
  return query.split(/[&;]/).flatMap(part => secretWords(part.slice(part.indexOf('=') + 1)));
}

function formsOf(text: string): string[] {
  return [text, decoded(text)].map(form => form.toLowerCase());
}

function endsWithin(text: string, secret: string): boolean {
  for (let length = SECRET_LENGTH_MIN; length < secret.length; length++)
    if (text.endsWith(secret.slice(0, length))) return true;
  return false;
}

/** As a URL or a form has it (RFC 3986 section 2.1); what is no UTF-8 is replaced. */
function decoded(text: string): string {
  const bytes = (run: string) => new TextDecoder().decode(Buffer.from(run.replaceAll('%', ''), 'hex'));
  return text.replaceAll('+', ' ').replace(/(?:%[0-9a-f]{2})+/gi, bytes);
}
