// Old configs as people have them, written anew from what was found in the field: their shapes,
// mistakes and oddities. Files of one's own beside them, in .lab/old-configs/KIND, are compared,
// too. Io.
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { type HostInterface, readHostInterfaces } from '../../src/import/networks.ts';
import type { OldKind } from '../../src/import/old-kind.ts';
import { parseCidr } from '../../src/units/address.ts';

/** The checkout: this file is compiled to dist/test/import/. */
const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const SAMPLES = path.join(ROOT, 'test/import/samples');
const OWN = path.join(ROOT, '.lab/old-configs');
const FOLDERS: Readonly<Record<string, OldKind>> = {
  keepalived: 'keepalived.conf',
  ldirectord: 'ldirectord.cf',
  lvs: 'lvs.cf',
};

export interface Sample {
  readonly kind: OldKind;
  readonly name: string;
  readonly text: string;
}

/** All of them; `own`: with those that this checkout has of its own. */
export function samples(own: 'own' | 'shipped'): Sample[] {
  return [SAMPLES, ...(own === 'own' ? [OWN] : [])].flatMap(folder =>
    Object.entries(FOLDERS).flatMap(([part, kind]) =>
      namesIn(path.join(folder, part)).map(name => ({
        kind,
        name: `${part}/${name}`,
        text: readFileSync(path.join(folder, part, name), 'utf8'),
      })),
    ),
  );
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch {
    return [];
  }
}

/** What `ip -json addr` says on the two routers that the samples are imported for. */
export function sampleHosts(): [readonly HostInterface[], readonly HostInterface[]] {
  const both = JSON.parse(readFileSync(path.join(SAMPLES, 'hosts.json'), 'utf8')) as unknown[];
  const [first = [], second = []] = both.map(host => readHostInterfaces(JSON.stringify(host), parseCidr));
  return [first, second];
}
