// The version of this Tandem, from the package.json that is installed with it.
import { readFileSync } from 'node:fs';
import { ownFile } from './own-files.ts';

/** As in package.json; "unknown" when it cannot be read. */
export function packageVersion(): string {
  try {
    const text = readFileSync(ownFile('package.json'), 'utf8');
    return String((JSON.parse(text) as { version?: unknown }).version ?? 'unknown');
  } catch {
    return 'unknown';
  }
}
