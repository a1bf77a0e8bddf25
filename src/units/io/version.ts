// The version of this Tandem, from the package.json that is installed with it.
import { readFileSync } from 'node:fs';

/** As in package.json, from dist/src/units/io/version.js; "unknown" when it cannot be read. */
export function packageVersion(): string {
  try {
    const text = readFileSync(new URL('../../../../package.json', import.meta.url), 'utf8');
    return String((JSON.parse(text) as { version?: unknown }).version ?? 'unknown');
  } catch {
    return 'unknown';
  }
}
