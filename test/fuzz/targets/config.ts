// The config, as people mistype it and as nobody would: read, or every mistake told with its place and its remedy, in bounded time.
import { readFileSync } from 'node:fs';
import { insist, type Target } from '../target.ts';

const EXAMPLE = new URL('../../../../conf/tandem.yaml', import.meta.url);
const RULES = ['network', 'timing', 'service', 'sync'].map(name => `src/config/rules/${name}-rules.ts`);

export const configTarget: Target = {
  name: 'config',
  says: 'mutated YAML: never throws, each mistake has a line and a remedy; a config that is taken can be used',
  files: ['document', 'mistakes', 'salvage', 'node'].map(name => `src/config/${name}.ts`).concat(RULES),
  words: [
    ...['&a ', '*a', '<<: *a', '!!binary ', '? ', '- ', '|\n', '>\n', '---\n', '...\n', '\t', '{', '}', '[', ']', '# '],
    ...[
      '~',
      'null',
      '.nan',
      '.inf',
      '0o17',
      '1e3',
      '"\\u0000"',
      '__proto__: 1',
      'constructor: {}',
      '192.0.2.100',
      '::1/129',
    ],
    ...['100ms', '1d', '0ms', '-5s', '9999999999999d', '10000-20000', '20000-10000', '*/30 * * * * *', '192.0.2.2/24'],
    ...['servers: {}', 'vips: []', 'links: []', 'mode: helper', 'forwarding: dr', 'targets: [192.0.2.1]'],
  ],
  bytesMax: 12_000,
  async load() {
    const { parseConfig } = await import('../../../src/config/document.ts');
    const { nodeView } = await import('../../../src/config/node.ts');
    const { firewallOf, ruleset } = await import('../../../src/firewall/ruleset.ts');
    const example = readFileSync(EXAMPLE, 'utf8');
    // Without its comments it is a quarter of the size, and tried the more often.
    const bare = example.split('\n').filter(line => !/^\s*(#|$)/.test(line));
    const plain = bare.map(line => line.replace(/ +#.*/, ''));
    return {
      seeds: [plain.join('\n'), plain.slice(0, 24).join('\n'), 'pair: {a: &x [1, *x]}'].map(text => Buffer.from(text)),
      run(input) {
        const text = input.toString('utf8');
        const parsed = parseConfig(text);
        const lines = text.split(/\r\n|\n/).length;
        for (const mistake of parsed.ok ? parsed.warnings : parsed.mistakes) {
          insist(
            mistake.line >= 1 && mistake.line <= lines + 1,
            `line ${mistake.line} of ${lines}: ${mistake.problem}`,
          );
          insist(mistake.column >= 1 && Number.isInteger(mistake.column), `column ${mistake.column}`);
          insist(mistake.problem !== '' && mistake.remedy !== '', `no words: ${JSON.stringify(mistake)}`);
        }
        if (!parsed.ok)
          return insist(
            parsed.mistakes.some(each => each.severity === 'error'),
            'refused for no reason',
          );
        for (const node of Object.keys(parsed.config.routers)) {
          nodeView(parsed.config, node);
          ruleset(firewallOf(parsed.config, node));
        }
      },
    };
  },
};
