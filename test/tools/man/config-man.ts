// tandem.yaml(5) from the config's schema and its rules, as docs/reference/CONFIG.md is. Pure.
import { type ConfigRow, configRules, configSections } from '../docs/config-page.ts';
import {
  bullet,
  example,
  heading,
  type ManHead,
  manHead,
  manPage,
  paragraph,
  seeAlso,
  subheading,
  tagged,
} from './roff.ts';

/** `sample`: the commented example, conf/tandem.yaml. */
export function configManual(sample: string, head: Pick<ManHead, 'version' | 'date'>): string {
  return manPage([
    ...manHead({ ...head, name: 'tandem.yaml', section: '5', about: 'config of a Tandem router pair' }),
    heading('Description'),
    ...paragraph(
      '`/etc/tandem/tandem.yaml` is one YAML file, identical on both routers. `tandem check` tells every mistake with its line and what to write instead, `tandem init` writes a first one, `tandem reload` puts a changed one into force.',
    ),
    ...paragraph(
      'NAME stands for a name you choose. A duration is a number with its unit, `ms`, `s`, `m`, `h` or `d`: `50ms`, `2s`, `10m`.',
    ),
    heading('Fields'),
    ...configSections().flatMap(({ path, kind, about, rows }) => [
      subheading(path === '' ? 'The file' : `${path}${kind}`),
      ...paragraph(about),
      ...rows.flatMap(row => tagged(row.field, meaningOf(row), boundsOf(row))),
    ]),
    heading('Rules between fields'),
    ...paragraph('An error keeps the daemons from using the file, a warning does not.'),
    ...configRules().flatMap(bullet),
    heading('Example'),
    ...example(sample.trimEnd().split('\n')),
    ...seeAlso('tandem(8)', 'tandem-events(7)'),
  ]);
}

function meaningOf({ meaning }: ConfigRow): string {
  return /[.?]$/.test(meaning) ? meaning : `${meaning}.`;
}

function boundsOf({ type, standard, bounds }: ConfigRow): string {
  const given = standard === '**required**' ? 'required' : standard === 'none' ? 'no default' : `default ${standard}`;
  return [type, ...(bounds === '' ? [] : [bounds]), given].join('; ');
}
