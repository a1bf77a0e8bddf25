import test from 'ava';
import type { Placeholder } from '../../src/import/placeholder.ts';
import { filledWith, imported } from './importing.ts';
import { sampleHosts, samples } from './samples.ts';

/** What a site says in the place of each placeholder, by its path and its words. */
const SAYS: readonly (readonly [RegExp, string | number])[] = [
  [/^lans\.client\.addresses\.r1\S* .*IPv4/, '192.0.2.2/24'],
  [/^lans\.client\.addresses\.r2\S* .*IPv4/, '192.0.2.3/24'],
  [/^lans\.client\.addresses\.r1\S* .*IPv6/, '2001:db8:1::2/64'],
  [/^lans\.client\.addresses\.r2\S* .*IPv6/, '2001:db8:1::3/64'],
  [/^lans\.client\.gateways\.0 /, '192.0.2.254'],
  [/^lans\.(?:client-2|servers)\.gateways\.0 /, '198.51.100.254'],
  [/ the VIP that your rules give the mark/, '192.0.2.222'],
  [/ the ports that your rules give this mark/, '[80, 443]'],
  [/^services\.\S+\.script/, '/etc/tandem/checks/site'],
  [/^fitness\.\S+\.script/, '/etc/tandem/checks/router'],
  [/ the login of the check/, 'probe'],
  [/^services\.\S+\.send_file /, '/etc/tandem/checks/request'],
];

function said({ path, what }: Placeholder): string | number {
  const asked = `${path.join('.')} ${what}`;
  const found = SAYS.find(([words]) => words.test(asked));
  if (found === undefined) throw new Error(`the site has not said: ${asked}`);
  return found[1];
}

for (const { kind, name, text } of samples('shipped')) {
  test(`${name}: its import passes tandem check, once a site has filled in what is missing`, t => {
    const made = imported(kind, text, { hosts: sampleHosts() });
    const { services } = filledWith(made, said);
    // What is left out is told, so that a service can be missing only with a note.
    if (Object.keys(services).length === 0)
      t.true(made.notes.some(({ effect, path }) => effect === 'lost' && path[0] === 'services'));
    else t.pass();
  });
}
